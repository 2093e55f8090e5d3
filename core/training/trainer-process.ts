/**
 * Starts a training in a process of its own and follows it: a round blocks, LightGBM's last error belongs to a thread, and
 * ending a process is the one sure way to cancel. The process is gone before the promise settles.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { readFile, unlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { RefitError } from '../spec/errors.ts';
import type { FromChild, Job, OutcomeOf, SelectionOutcome, ToChild, TrainingOutcome } from './protocol.ts';
import type { TrainerProgress } from './trainer.ts';

/** How long after SIGTERM the process is killed. */
const KILL_AFTER_MS = 400;
/** The last progress is told again at least this often, so that who listens knows that the process lives. */
const BEAT_MS = 1000;
/** The end of what the process wrote to standard error is kept for the message. */
const KEPT_WORDS = 2000;

export interface TrainerProcessOptions {
  /** On abort the process is ended and the promise rejects with the signal's reason. */
  signal: AbortSignal;
  onProgress(progress: TrainerProgress): void;
  /** Makes a checkpoint durable. The process goes on meanwhile, but not past the next checkpoint. */
  publish(index: number, body: Uint8Array): Promise<void>;
}

/**
 * Runs one job to its end.
 * @throws RefitError what the trainer threw; REFIT_TRAINER_CRASHED when the process died of itself; the signal's reason
 */
export async function runTrainerProcess<J extends Job>(job: J, options: TrainerProcessOptions): Promise<OutcomeOf<J>> {
  options.signal.throwIfAborted();
  const child = start();
  const words = collectWords(child);
  const ended = endOf(child);
  // Nothing is told before the first round: a resumed training does not start at round 0.
  let progress: TrainerProgress | undefined;
  const beat = setInterval(() => progress && options.onProgress(progress), BEAT_MS);
  const stop = () => void end(child, ended);
  options.signal.addEventListener('abort', stop);
  try {
    const outcome = conversation(child, ended, job, words, {
      ...options,
      onProgress: (now) => {
        progress = now;
        options.onProgress(now);
      },
    });
    return (await outcome) as OutcomeOf<J>;
  } catch (error) {
    options.signal.throwIfAborted();
    throw error;
  } finally {
    clearInterval(beat);
    options.signal.removeEventListener('abort', stop);
    await end(child, ended);
  }
}

/** tsx is found from this file, not from the working directory; compiled files need none. */
function start(): ChildProcess {
  const compiled = import.meta.url.endsWith('.js');
  const script = fileURLToPath(new URL(compiled ? './child.js' : './child.ts', import.meta.url));
  const tsx = compiled ? [] : ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href];
  return fork(script, [String(process.pid)], {
    execArgv: tsx,
    // Waiting OpenMP threads would otherwise spin and take the cores from everybody else.
    env: { ...process.env, OMP_WAIT_POLICY: 'passive' },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
}

function collectWords(child: ChildProcess): () => string {
  let words = '';
  child.stderr?.setEncoding('utf8').on('data', (more: string) => {
    words = (words + more).slice(-KEPT_WORDS);
  });
  return () => words.trim();
}

interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
  error?: Error;
}

/** When the process is gone and its last words are read. Not 'close': that does not come after a disconnect of ours. */
async function endOf(child: ChildProcess): Promise<Exit> {
  const silent = new Promise<void>((resolve) => void child.stderr?.once('close', resolve));
  const exit = await new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', (error) => {
      if (child.pid === undefined) resolve({ code: null, signal: null, error });
    });
  });
  if (!exit.error) await silent;
  return exit;
}

/** Asks, then forces; resolves when the process is gone. */
async function end(child: ChildProcess, ended: Promise<Exit>): Promise<void> {
  if (child.connected) child.disconnect();
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
  await ended;
  clearTimeout(force);
}

function conversation(
  child: ChildProcess,
  ended: Promise<Exit>,
  job: Job,
  words: () => string,
  options: TrainerProcessOptions,
): Promise<TrainingOutcome | SelectionOutcome> {
  return new Promise((resolve, reject) => {
    let publishing: Promise<void> = Promise.resolve();
    const say = (message: ToChild): void => void (child.connected && child.send(message, () => undefined));
    async function store({ index, path }: { index: number; path: string }): Promise<void> {
      await options.publish(index, await readFile(path));
      await unlink(path);
      say({ type: 'stored', index });
    }
    child.on('message', (message: FromChild) => {
      if (message.type === 'progress') options.onProgress(message.progress);
      if (message.type === 'checkpoint') {
        publishing = store(message);
        publishing.catch(reject);
      }
      if (message.type === 'done') publishing.then(() => resolve(message.outcome), reject);
      if (message.type === 'error') publishing.then(() => reject(errorOf(message)), reject);
    });
    void ended.then((exit) => publishing.catch(() => undefined).then(() => reject(crashed(exit, words()))));
    say({ type: 'start', job });
  });
}

function errorOf({ code, message, details }: Extract<FromChild, { type: 'error' }>): Error {
  return code ? new RefitError(code, message, details) : new RefitError('REFIT_INTERNAL', message, details);
}

/** Also when the system took its memory: that comes as SIGKILL. */
function crashed({ code, signal, error }: Exit, words: string): RefitError {
  const how = error
    ? `could not start: ${error.message}`
    : signal
      ? `was ended by ${signal}`
      : `ended with status ${code}`;
  const said = words ? `; it said: ${words}` : '';
  return new RefitError('REFIT_TRAINER_CRASHED', `The training process ${how}${said}.`, { code, signal });
}
