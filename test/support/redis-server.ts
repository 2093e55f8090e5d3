import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { findRedis } from '../../infra/parts.mjs';
import { REPOSITORY } from './project.ts';

/** A Redis server of a test's own, on a free port of the loopback; what it holds survives `kill` and `start`. */
export interface RedisServer {
  /** `redis://127.0.0.1:<port>/0`, with the password where there is one. */
  url: string;
  port: number;
  /** Kills it, as a power cut does. */
  kill(): Promise<void>;
  /** Starts it again, on the same port. */
  start(): Promise<void>;
  /** Makes it answer nobody, as a network does that loses everything; `false` lets it go on. */
  freeze(frozen: boolean): void;
  remove(): Promise<void>;
}

/** @throws Error where there is no Redis and it cannot be installed: the set-up's own sentence */
export async function startRedis({ password, options = [] }: { password?: string; options?: string[] } = {}) {
  const program = await redisProgram();
  const folder = await mkdtemp(path.join(tmpdir(), 'refit-redis-'));
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'yes'];
  args.push('--appendfsync', 'always', '--loglevel', 'warning', ...options);
  if (password) args.push('--requirepass', password);
  let child: ChildProcess | undefined;
  const server: RedisServer = {
    url: `redis://${password ? `:${encodeURIComponent(password)}@` : ''}127.0.0.1:${port}/0`,
    port,
    async kill() {
      const one = child;
      child = undefined;
      if (!one || one.exitCode !== null || one.signalCode !== null) return;
      const ended = new Promise((resolve) => one.once('exit', resolve));
      one.kill('SIGKILL');
      await ended;
    },
    async start() {
      let said = '';
      const one = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
      for (const stream of [one.stdout, one.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
      child = one;
      for (let tries = 0; !(await listens(port)); tries++) {
        if (one.exitCode !== null || tries > 200) throw new Error(`redis-server did not start: ${said}`);
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    },
    freeze: (frozen) => child?.kill(frozen ? 'SIGSTOP' : 'SIGCONT'),
    async remove() {
      await server.kill();
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
  try {
    await server.start();
  } catch (error) {
    await server.remove();
    throw error;
  }
  return server;
}

async function redisProgram(): Promise<string> {
  const here = await findRedis();
  if (here) return here.path;
  const setup = [path.join(REPOSITORY, 'infra/setup.mjs'), '--only', 'redis-server'];
  await promisify(execFile)(process.execPath, setup, { maxBuffer: 1e8 }).catch((error: { stdout: string }) => {
    throw new Error(error.stdout);
  });
  return ((await findRedis()) as { path: string }).path;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
