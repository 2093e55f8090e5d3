import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import path from 'node:path';
import { RefitError } from '../core/spec/errors.ts';
import { SearchAttribute } from '../core/spec/queues.ts';
import { temporalBinary } from '../infra/parts.mjs';
import type { Running } from './supervise.ts';

export interface EmbeddedServer extends Running {
  address: string;
  /** Address of its UI; absent without one. */
  ui?: string;
}

export interface ServerOptions {
  port: number;
  /** Absent: no UI. */
  uiPort?: number;
  /** Name of the database: one server at a time may have it. */
  database?: string;
}

/**
 * As shipped the dev server takes 50 ms a hop and a second a timer: its one shard polls its queues 20 times a second. And a
 * workflow with more than 100 answers of activities waiting has its task taken away and given again, over and over. A queue
 * is cut into four partitions: a task that waits in one of them, with the workers' few polls in the others, is sent over,
 * and where that is refused it waits 2 s (service/matching/matcher.go). One partition serves a machine.
 */
const FAST = [
  ['--dynamic-config-value', 'history.transferProcessorMaxPollRPS=2000'],
  ['--dynamic-config-value', 'history.timerProcessorMaxPollRPS=2000'],
  ['--dynamic-config-value', 'history.timerProcessorMaxTimeShift="20ms"'],
  ['--dynamic-config-value', 'history.maximumBufferedEventsBatch=5000'],
  ['--dynamic-config-value', 'matching.numTaskqueueReadPartitions=1'],
  ['--dynamic-config-value', 'matching.numTaskqueueWritePartitions=1'],
  ['--sqlite-pragma', 'journal_mode=WAL'],
  ['--sqlite-pragma', 'synchronous=NORMAL'],
].flat();

/** A fifth less CPU time under load, and no more memory when idle, than with the garbage collector's usual settings. */
const EASY_MEMORY = { GOGC: '300', GOMEMLIMIT: '400MiB' };

/**
 * Stands between this process and the server. It tells the server's process id and waits for it; when this process dies,
 * however it dies, its end of the pipe closes and the server is ended.
 */
const GUARD =
  'exec 3<&0; "$0" "$@" </dev/null 3<&- 4>&- & server=$!; echo "$server" >&4; exec 4>&-; (read -r _ <&3; kill "$server") 2>/dev/null & wait "$server"';

/**
 * Starts a Temporal dev server on the loopback, its database in `state`; without `options` on the usual ports where they
 * are free, else on any. @throws RefitError REFIT_SETUP_MISSING, REFIT_TEMPORAL_UNREACHABLE
 */
export async function startEmbeddedServer(state: string, options?: ServerOptions): Promise<EmbeddedServer> {
  const binary = await temporalBinary();
  if (!binary) throw new RefitError('REFIT_SETUP_MISSING', 'There is no Temporal server on this machine yet.');
  const { port, uiPort, database = 'dev' } = options ?? (await freePorts());
  const folder = path.join(state, 'temporal');
  const log = path.join(folder, `${database === 'dev' ? 'server' : database}.log`);
  mkdirSync(folder, { recursive: true });
  const child = launch(binary, { port, uiPort, file: path.join(folder, `${database}.db`) }, log);
  const server = pidOf(child);
  const ended = endOf(child, server);
  const stop = async () => {
    child.stdin?.end();
    await ended;
  };
  if (!(await answering(child, port))) {
    await stop();
    throw new RefitError('REFIT_TEMPORAL_UNREACHABLE', `The Temporal server did not start; its log is ${log}.`, {
      log,
    });
  }
  const ui = uiPort === undefined ? {} : { ui: `http://127.0.0.1:${uiPort}` };
  return { address: `127.0.0.1:${port}`, ...ui, pid: await server, ended, stop };
}

function launch(
  binary: string,
  { port, uiPort, file }: { port: number; uiPort: number | undefined; file: string },
  log: string,
): ChildProcess {
  const attributes = Object.values(SearchAttribute).flatMap((name) => ['--search-attribute', `${name}=Keyword`]);
  const ui = uiPort === undefined ? ['--headless'] : ['--ui-port', String(uiPort)];
  const place = ['--ip', '127.0.0.1', '--port', String(port), ...ui, '--db-filename', file];
  const args = ['server', 'start-dev', ...place, '--log-level', 'error', ...FAST, ...attributes];
  const out = openSync(log, 'w');
  try {
    const stdio = ['pipe', out, out, 'ignore', 'pipe'] as const;
    const env = { ...EASY_MEMORY, ...process.env };
    return spawn('sh', ['-c', GUARD, binary, ...args], { stdio: [...stdio], env, detached: true });
  } finally {
    closeSync(out);
  }
}

/** The server's own process id, which the guard tells first. */
function pidOf(child: ChildProcess): Promise<number | undefined> {
  return new Promise((resolve) => {
    child.stdio[4]?.once('data', (text: Buffer) => resolve(Number(text.toString())));
    child.stdio[4]?.once('close', () => resolve(undefined));
    child.once('error', () => resolve(undefined));
  });
}

/** When the guard and the server are gone: the guard alone may have been killed. */
async function endOf(child: ChildProcess, server: Promise<number | undefined>): Promise<string> {
  const how = await new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ? `was ended by ${signal}` : words(code)));
    child.once('error', (error) => child.pid === undefined && resolve(`could not be started: ${error.message}`));
  });
  // Ends what waits for the other end of the pipe.
  child.stdin?.end();
  const pid = await server;
  for (let tries = 0; pid !== undefined && isAlive(pid); tries++) {
    process.kill(pid, tries < 100 ? 'SIGTERM' : 'SIGKILL');
    await pause(100);
  }
  return how;
}

/** A shell tells the signal n that ended its child as 128 + n. */
function words(code: number | null): string {
  if (code === 137) return 'was ended by SIGKILL';
  return code !== null && code > 128 ? `was ended by signal ${code - 128}` : `ended with status ${code}`;
}

/** The usual ports where they are free, else any. */
async function freePorts(): Promise<{ port: number; uiPort: number; database?: string }> {
  return { port: await anyPort(7233), uiPort: await anyPort(8233) };
}

async function anyPort(preferred: number): Promise<number> {
  return (await probe(preferred)) ?? (await probe(0)) ?? preferred;
}

/** Binds a port of the loopback for a moment (0: any). @returns it; undefined where it is taken */
export function probe(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : undefined));
    });
  });
}

async function answering(child: ChildProcess, port: number): Promise<boolean> {
  const deadline = Date.now() + 30_000;
  while (Date.now() < deadline && child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
    if (await accepts(port)) return true;
    await pause(50);
  }
  return false;
}

/** Whether something listens there. */
function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
    socket.setTimeout(2_000, () => end(false));
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
