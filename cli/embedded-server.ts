import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, openSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import path from 'node:path';
import { RefitError } from '../core/spec/errors.ts';
import { SearchAttribute } from '../core/spec/queues.ts';
import { temporalBinary } from '../infra/parts.mjs';

export interface EmbeddedServer {
  address: string;
  ui: string;
  stop(): Promise<void>;
}

/** As shipped the dev server takes 50 ms a hop and a second a timer: its one shard polls its queues 20 times a second. */
const FAST = [
  ['--dynamic-config-value', 'history.transferProcessorMaxPollRPS=2000'],
  ['--dynamic-config-value', 'history.timerProcessorMaxPollRPS=2000'],
  ['--dynamic-config-value', 'history.timerProcessorMaxTimeShift="20ms"'],
  ['--sqlite-pragma', 'journal_mode=WAL'],
  ['--sqlite-pragma', 'synchronous=NORMAL'],
].flat();

/**
 * Starts a Temporal dev server on free ports of the loopback, its database in `state`. A shell stands between: when this
 * process dies, however it dies, its end of the pipe closes and the shell ends the server.
 */
export async function startEmbeddedServer(state: string): Promise<EmbeddedServer> {
  const binary = await temporalBinary();
  if (!binary) throw new RefitError('REFIT_SETUP_MISSING', 'There is no Temporal server on this machine yet.');
  const folder = path.join(state, 'temporal');
  mkdirSync(folder, { recursive: true });
  const [port, uiPort] = await freePorts([7233, 8233]);
  const attributes = Object.values(SearchAttribute).flatMap((name) => ['--search-attribute', `${name}=Keyword`]);
  const log = openSync(path.join(folder, 'server.log'), 'w');
  const guard =
    'exec 3<&0; "$0" "$@" </dev/null 3<&- & server=$!; (read -r _ <&3; kill "$server") 2>/dev/null & wait "$server"';
  const child = spawn(
    'sh',
    [
      '-c',
      guard,
      binary,
      'server',
      'start-dev',
      '--ip',
      '127.0.0.1',
      '--port',
      String(port),
      '--ui-port',
      String(uiPort),
      '--db-filename',
      path.join(folder, 'dev.db'),
      '--log-level',
      'error',
      ...FAST,
      ...attributes,
    ],
    { stdio: ['pipe', log, log], detached: true },
  );
  const address = `127.0.0.1:${port}`;
  await answering(child, port ?? 0, path.join(folder, 'server.log'));
  return {
    address,
    ui: `http://127.0.0.1:${uiPort}`,
    stop: () =>
      new Promise((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve();
        child.once('exit', () => resolve());
        child.stdin?.end();
      }),
  };
}

/** The preferred ports where they are free, else any. */
async function freePorts(preferred: number[]): Promise<number[]> {
  const ports: number[] = [];
  for (const port of preferred) ports.push((await probe(port)) ?? (await probe(0)) ?? 0);
  return ports;
}

function probe(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : undefined));
    });
  });
}

async function answering(child: ChildProcess, port: number, log: string): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (Date.now() < deadline) {
    if (child.exitCode !== null) break;
    if (await accepts(port)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  child.stdin?.end();
  throw new RefitError('REFIT_TEMPORAL_UNREACHABLE', `The embedded Temporal server did not start; its log is ${log}.`);
}

/** Whether something listens there. */
export function accepts(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
    socket.setTimeout(2_000, () => end(false));
  });
}
