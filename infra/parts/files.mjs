// Files: digests, small JSON records, and the lock that lets two set-ups run at once.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** SHA-256 of a file, hex. */
export async function sha256(path) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** The JSON in a file; undefined where there is none or it is damaged. */
export async function readJson(path) {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Writes JSON so that a reader sees all of it or none. */
export async function writeJson(path, value) {
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, `${JSON.stringify(value, null, 2)}\n`);
  await rename(draft, path);
}

/**
 * Does `work` while no other set-up of this project works. The lock is a file that names its holder; one whose holder is
 * gone (killed, machine restarted) is broken.
 */
export async function withLock(path, log, work) {
  await mkdir(dirname(path), { recursive: true });
  const mine = JSON.stringify({ pid: process.pid, started: await startOf(process.pid) });
  await take(path, mine, log);
  try {
    return await work();
  } finally {
    if ((await text(path)) === mine) await rm(path, { force: true });
  }
}

async function take(path, mine, log) {
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, mine);
  try {
    for (let waited = 0; !(await linked(draft, path)); waited++) {
      const held = await text(path);
      if (held === undefined) continue;
      if (await isGone(held)) {
        await breakLock(path, held);
        continue;
      }
      if (waited % 60 === 0) log(`another set-up (process ${JSON.parse(held).pid}) is at work: waiting for it`);
      await sleep(500);
    }
  } finally {
    await rm(draft, { force: true });
  }
}

/** link, unlike rename, never replaces: one taker wins, and the file appears with its content. */
async function linked(from, to) {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

/** Moves a dead lock away; where another waiter was faster and the lock is a living one by now, puts it back. */
async function breakLock(path, dead) {
  const aside = `${path}.broken.${process.pid}`;
  try {
    await rename(path, aside);
  } catch {
    return;
  }
  if ((await text(aside)) !== dead) await linked(aside, path);
  await rm(aside, { force: true });
}

async function isGone(held) {
  try {
    const { pid, started } = JSON.parse(held);
    process.kill(pid, 0);
    return (await startOf(pid)) !== started;
  } catch (error) {
    return error.code !== 'EPERM';
  }
}

/** When a process began (ticks since boot), so that a reused process id is not taken for the holder; null off Linux. */
async function startOf(pid) {
  const stat = await text(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
}

async function text(path) {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
}
