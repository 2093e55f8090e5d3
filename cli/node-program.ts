import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { ERRORS, type ErrorCode, RefitError } from '../core/spec/errors.ts';
import { programArguments } from '../infra/parts.mjs';
import type { Program, Running } from './supervise.ts';

const READY_TIMEOUT_MS = 60_000;
/** How long a program may take to finish what it has begun; it is killed then. */
const PATIENCE_MS = 15_000;

/** What these programs send when they are ready. */
interface Ready {
  ready: true;
  port?: number;
}

export interface NodeProgramOptions {
  name: 'worker' | 'gateway';
  /** The project's folder. */
  root: string;
  env: NodeJS.ProcessEnv;
  /** File for both outputs. */
  log: string;
}

/** An idle process keeps little: a small young generation, no garbage of its start, few pools of the allocator instead of one a thread. */
const COMPACT = new URL('../infra/compact-heap.mjs', import.meta.url).href;
const NODE_FLAGS = ['--max-semi-space-size=2', '--import', COMPACT];
const SMALL = { MALLOC_ARENA_MAX: '2' };

/** The worker or the gateway as a process of its own, which ends when this one is gone, however that ends. */
export function nodeProgram(options: NodeProgramOptions): Program {
  mkdirSync(path.dirname(options.log), { recursive: true });
  let flags: 'a' | 'w' = 'w';
  return {
    name: options.name,
    start: async (signal) => {
      const program = await programArguments(options.name);
      signal.throwIfAborted();
      const child = launch(program, options, flags);
      flags = 'a';
      return ready(child, options, signal);
    },
  };
}

function launch(program: string[], { root, env, log }: NodeProgramOptions, flags: 'a' | 'w'): ChildProcess {
  const out = openSync(log, flags);
  try {
    return spawn(process.execPath, [...NODE_FLAGS, ...program], {
      cwd: root,
      env: { ...SMALL, ...process.env, ...env, REFIT_ROOT: root },
      stdio: ['ignore', out, out, 'ipc'],
      // Ctrl-C is ours to handle: it cancels the run first, which needs a worker.
      detached: true,
    });
  } finally {
    closeSync(out);
  }
}

async function ready(child: ChildProcess, options: NodeProgramOptions, signal: AbortSignal): Promise<Running> {
  const ended = endOf(child);
  let timer: NodeJS.Timeout | undefined;
  let stopped: () => void = () => undefined;
  const outcome = await new Promise<'ready' | 'gone' | 'late' | 'stopped'>((resolve) => {
    stopped = () => resolve('stopped');
    timer = setTimeout(() => resolve('late'), READY_TIMEOUT_MS);
    child.on('message', (message) => (message as Ready).ready && resolve('ready'));
    signal.addEventListener('abort', stopped);
    void ended.then(() => resolve('gone'));
  });
  clearTimeout(timer);
  signal.removeEventListener('abort', stopped);
  if (outcome === 'ready') return { pid: child.pid, ended, stop: () => stop(child, ended) };
  // It has not begun anything.
  child.kill('SIGKILL');
  const how = await ended;
  signal.throwIfAborted();
  throw failure(options, outcome === 'late' ? `was not ready within ${READY_TIMEOUT_MS / 1000} s` : how);
}

/** How it ended, in words. Not 'close': a grandchild may hold the outputs. */
function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ? `was ended by ${signal}` : `ended with status ${code}`));
    child.once('error', (error) => {
      if (child.pid === undefined) resolve(`could not be started: ${error.message}`);
    });
  });
}

/** The error of the catalogue that the log tells; else where to look. */
function failure({ name, log }: NodeProgramOptions, how: string): RefitError {
  const words = readFileSync(log, 'utf8').slice(-10_000);
  const code = words.match(/REFIT_[A-Z_]+/g)?.findLast((one) => one in ERRORS) as ErrorCode | undefined;
  const said = words
    .match(/^(?:RefitError|REFIT_[A-Z_]+): (.+)$/gm)
    ?.at(-1)
    ?.replace(/^\w+: /, '');
  if (code && said) return new RefitError(code, `The ${name} did not start: ${said}`, { log });
  return new RefitError('REFIT_WORKER_MISSING', `The ${name} ${how} before it was ready; its log is ${log}.`, { log });
}

/** Asks, waits, insists. */
async function stop(child: ChildProcess, ended: Promise<string>): Promise<void> {
  child.kill('SIGTERM');
  const insist = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  await ended;
  clearTimeout(insist);
}
