import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { RefitError } from '../core/spec/errors.ts';

const ENTRY = fileURLToPath(new URL('../workers/all.ts', import.meta.url));
const READY_TIMEOUT_MS = 60_000;
/** A worker that dies this often within a minute will not get better by itself. */
const MOST_RESTARTS = 5;

export interface SupervisedWorker {
  stop(): Promise<void>;
}

/** Starts the worker process and starts it again when it dies; `onRestart` is told why. */
export async function startWorker(
  options: { root: string; state: string; env: NodeJS.ProcessEnv },
  onRestart: (pid: number | undefined) => void,
): Promise<SupervisedWorker> {
  const log = path.join(options.state, 'logs', 'worker.log');
  mkdirSync(path.dirname(log), { recursive: true });
  let stopping = false;
  let deaths: number[] = [];
  let child = launch(options, log, 'w');
  await ready(child, log);

  const supervise = (watched: ChildProcess) =>
    watched.once('exit', () => {
      if (stopping) return;
      deaths = [...deaths.filter((at) => Date.now() - at < 60_000), Date.now()];
      if (deaths.length > MOST_RESTARTS) return;
      child = launch(options, log, 'a');
      supervise(child);
      onRestart(child.pid);
    });
  supervise(child);
  return {
    stop: async () => {
      stopping = true;
      await end(child);
    },
  };
}

function launch({ root, env }: { root: string; env: NodeJS.ProcessEnv }, log: string, flags: 'a' | 'w'): ChildProcess {
  const out = openSync(log, flags);
  return spawn(process.execPath, ['--import', import.meta.resolve('tsx'), ENTRY], {
    cwd: root,
    env: { ...process.env, ...env, REFIT_ROOT: root },
    stdio: ['ignore', out, out, 'ipc'],
    // Ctrl-C is ours to handle: it cancels the run first, which needs a worker.
    detached: true,
  });
}

async function ready(child: ChildProcess, log: string): Promise<void> {
  const outcome = await new Promise<'ready' | 'gone' | 'late'>((resolve) => {
    const timer = setTimeout(() => resolve('late'), READY_TIMEOUT_MS);
    child.once('message', () => resolve('ready'));
    child.once('exit', () => resolve('gone'));
    child.once('close', () => clearTimeout(timer));
    child.once('message', () => clearTimeout(timer));
  });
  if (outcome === 'ready') return;
  await end(child);
  const code = /REFIT_[A-Z_]+/.exec(readFileSync(log, 'utf8'))?.[0];
  if (code === 'REFIT_SETUP_MISSING') throw new RefitError(code, 'The worker lacks a part of the set-up.');
  throw new RefitError('REFIT_WORKER_MISSING', `The worker did not start; its log is ${log}.`);
}

/** Asks, waits, insists. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const insist = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await gone;
  clearTimeout(insist);
}
