// How a container tells that it is alive: its process touches a small file as long as its event loop turns. A worker has no
// port to be asked at, and one that is busy on all its slots is not seen polling by Temporal either.
import { readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';

const BEAT_MS = 5_000;
/** DuckDB and ONNX may hold the event loop for a while. */
export const STALE_MS = 60_000;

const fileOf = () => join(tmpdir(), 'refit-alive.json');

/** Writes who runs here, then beats without keeping the process alive. */
export function startBeating(role) {
  const file = fileOf();
  // The identity under which Temporal lists this process's pollers.
  writeFileSync(file, JSON.stringify({ role, identity: `${process.pid}@${hostname()}` }));
  setInterval(() => {
    const now = new Date();
    utimesSync(file, now, now);
  }, BEAT_MS).unref();
}

/** @returns {{ role: string, identity: string, polled?: boolean, beatAgoMs: number } | undefined} */
export function readBeat() {
  try {
    const beatAgoMs = Date.now() - statSync(fileOf()).mtimeMs;
    return { ...JSON.parse(readFileSync(fileOf(), 'utf8')), beatAgoMs };
  } catch {
    return undefined;
  }
}

/** Notes that Temporal has seen this worker, so that it is not asked each time. */
export function notePolled({ role, identity }) {
  writeFileSync(fileOf(), JSON.stringify({ role, identity, polled: true }));
}
