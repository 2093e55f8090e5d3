import { readFile } from 'node:fs/promises';
import {
  type ClientHttp2Stream,
  createSecureServer,
  connect as http2Connect,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { succeed } from './services.ts';

/** What stands before a Temporal server elsewhere: TLS, client certificates, API keys. */
export interface Guard {
  address: string;
  close(): Promise<void>;
}

/** A certificate authority, a server's certificate for 127.0.0.1 and a client's, as PEM files in `folder`. */
export async function certificates(folder: string): Promise<{ ca: string; server: Pair; client: Pair }> {
  const file = (name: string) => path.join(folder, name);
  const openssl = (...args: string[]) => succeed('openssl', args, { cwd: folder });
  const fresh = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  await openssl('req', '-x509', ...fresh, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=test authority');
  const issue = async (name: string): Promise<Pair> => {
    const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
    const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-out', `${name}.pem`];
    await openssl('req', '-x509', ...fresh, ...subject, '-keyout', `${name}.key`, ...signed);
    return { cert: file(`${name}.pem`), key: file(`${name}.key`) };
  };
  return { ca: file('ca.pem'), server: await issue('server'), client: await issue('client') };
}
type Pair = { cert: string; key: string };

/** Lets through to the plain server at `upstream` who brings a certificate of `clients`, or the API key. */
export async function guard(
  upstream: string,
  { server, clients, apiKey }: { server: Pair; clients?: string; apiKey?: string },
): Promise<Guard> {
  const plain = http2Connect(`http://${upstream}`);
  const front = createSecureServer({
    cert: await readFile(server.cert),
    key: await readFile(server.key),
    ...(clients ? { requestCert: true, rejectUnauthorized: true, ca: await readFile(clients) } : {}),
  });
  front.on('stream', (stream, headers) => {
    if (apiKey && headers.authorization !== `Bearer ${apiKey}`) return refuse(stream);
    pass(stream, plain.request(headers));
  });
  const sessions = new Set<{ destroy(): void }>();
  front.on('session', (session) => sessions.add(session));
  // A client without a certificate is turned away here.
  front.on('tlsClientError', () => undefined);
  front.on('sessionError', () => undefined);
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(front.address() as AddressInfo).port}`,
    close: async () => {
      for (const session of sessions) session.destroy();
      plain.destroy();
      await new Promise((resolve) => front.close(resolve));
    },
  };
}

function refuse(stream: ServerHttp2Stream): void {
  const headers = { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '16', 'grpc-message': 'no key' };
  stream.respond(headers, { endStream: true });
}

function pass(stream: ServerHttp2Stream, onward: ClientHttp2Stream) {
  let trailers: IncomingHttpHeaders = {};
  onward.on('response', (headers, flags) => {
    // The first flag: a response without a body, its status in the headers.
    if (flags & 1) stream.respond(headers, { endStream: true });
    else stream.respond(headers, { waitForTrailers: true });
  });
  onward.on('trailers', (headers) => {
    trailers = headers;
  });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  onward.on('error', () => stream.close());
  stream.on('error', () => onward.close());
  stream.on('close', () => onward.close());
  stream.pipe(onward);
  onward.pipe(stream);
}
