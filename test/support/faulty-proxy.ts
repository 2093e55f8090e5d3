/** An HTTP proxy that hands requests on to a server of the loopback, and goes wrong where it is told to. */
import { createServer, type IncomingMessage, type ServerResponse, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * `{ status, code }`: the server is not asked, an S3 error is answered. 'lose the answer': the server does what it is asked,
 * and the connection ends before its answer. 'cut the request': the connection ends in the middle of the body.
 */
export type Fault = { status: number; code: string } | 'lose the answer' | 'cut the request';

export interface FaultyProxy {
  url: string;
  /** Asked for each request, in order. `line`: `PUT /bucket/key?query`. */
  fault: (line: string) => Fault | undefined;
  /** All requests so far. */
  seen: string[];
  stop(): Promise<void>;
}

export async function startFaultyProxy(port: number): Promise<FaultyProxy> {
  const server = createServer((request, response) => {
    const line = `${request.method} ${request.url}`;
    proxy.seen.push(line);
    handle(request, response, proxy.fault(line), port);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: FaultyProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fault: () => undefined,
    seen: [],
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return proxy;
}

function handle(request: IncomingMessage, response: ServerResponse, fault: Fault | undefined, port: number): void {
  if (fault === 'cut the request') {
    request.once('data', () => request.socket.destroy());
    if (!request.headers['content-length'] || request.headers['content-length'] === '0') request.socket.destroy();
    return;
  }
  if (typeof fault === 'object') {
    request.resume();
    request.once('end', () => {
      const body = `<?xml version="1.0"?><Error><Code>${fault.code}</Code><Message>planted</Message></Error>`;
      response
        .writeHead(fault.status, { 'content-type': 'application/xml' })
        .end(request.method === 'HEAD' ? '' : body);
    });
    return;
  }
  // The signature covers the Host header: it is handed on as it came.
  const { method, url, headers } = request;
  const onward = send({ host: '127.0.0.1', port, method, path: url, headers }, (answer) => {
    if (fault === 'lose the answer') {
      answer.resume();
      answer.once('end', () => request.socket.destroy());
      return;
    }
    response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
    answer.pipe(response);
  });
  onward.once('error', () => request.socket.destroy());
  request.once('close', () => !request.complete && onward.destroy());
  request.pipe(onward);
}
