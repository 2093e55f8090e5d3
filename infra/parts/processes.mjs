// Other programs: finding them on PATH and running them with a time limit, without ever throwing.
import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';

const running = new Set();

/** Ends what is still running: for a set-up that is interrupted. */
export function stopAll() {
  for (const child of running) child.kill('SIGTERM');
}

/** Every executable of that name on PATH, in order. */
export function findAll(name, env) {
  const folders = (env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, name)).filter(isExecutable);
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/**
 * Runs a program to its end. `onLine` gets each line of both outputs as it comes.
 * @returns {Promise<{ ok: boolean, code: number | null, output: string, timedOut: boolean }>} `output` is both, interleaved.
 */
export function run(command, args, { cwd, env, timeoutMs = 600_000, onLine } = {}) {
  return new Promise((resolve) => {
    const lines = [];
    let timedOut = false;
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(child);
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    const take = (line) => {
      lines.push(line);
      onLine?.(line);
    };
    for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', take);
    const finish = (code, last) => {
      clearTimeout(timer);
      running.delete(child);
      if (last) lines.push(last);
      resolve({ ok: code === 0, code, output: lines.join('\n'), timedOut });
    };
    child.on('error', (error) => finish(null, error.message));
    child.on('close', (code) => finish(code));
  });
}

/** Says every `everyMs` how long the work has taken, so that a long silence never looks like a hang. */
export async function withElapsed(log, what, everyMs, work) {
  const started = Date.now();
  const timer = setInterval(() => log(`${what()} (${elapsed(Date.now() - started)})`), everyMs);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

/** 75,000 ms → `1 min 15 s`. */
export function elapsed(ms) {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
