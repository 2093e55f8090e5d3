/**
 * A lock between processes of one file system, for the moment in which an object is replaced. It is a symbolic link whose
 * target names its owner: made in one system call, content included, and only where none is.
 *
 * A lock whose owner died is not removed (two processes could each remove "the stale one", the second of them a live one) but
 * inherited: whoever creates the link `<lock>.<owner's nonce>` holds it from then on; nonces never recur, so only one can.
 */
import { lstat, mkdir, readlink, symlink, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RefitError } from '../spec/errors.ts';
import { isAbandoned, ownerToken } from './process-identity.ts';
import { systemCode } from './store-errors.ts';

/** Holding takes milliseconds; after this long of waiting something is wrong, and the caller's retry decides. */
const PATIENCE_MS = 30_000;

/** Runs `work` while holding the lock file. @throws RefitError REFIT_CONFLICT when it cannot be had for 30 s */
export async function withLock<T>(lock: string, work: () => Promise<T>): Promise<T> {
  const links = await acquire(lock);
  try {
    return await work();
  } finally {
    // Head first: once it is gone the claims that hang on it mean nothing to anybody.
    for (const link of links) await unlink(link);
  }
}

async function acquire(lock: string): Promise<string[]> {
  await mkdir(dirname(lock), { recursive: true });
  const me = ownerToken();
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    if (await create(me, lock)) return [lock];
    const inherited = await inherit(me, lock);
    if (inherited) return inherited;
    if (Date.now() > deadline) {
      throw new RefitError('REFIT_CONFLICT', `Another process has been holding ${lock} for too long.`, { lock });
    }
    await sleep(1 + Math.random() * 8);
  }
}

/** Follows the owners from the lock's first to its last; takes over when the last one is dead. */
async function inherit(me: string, lock: string): Promise<string[] | undefined> {
  const first = await ownerOf(lock);
  const links = [lock];
  let owner = first;
  while (owner && isAbandoned(owner.token, owner.ageMs)) {
    const claim = `${lock}.${owner.token.slice(owner.token.lastIndexOf('.') + 1)}`;
    if (await create(me, claim)) {
      links.push(claim);
      if ((await ownerOf(lock))?.token === first?.token) return links;
      await unlink(claim); // the lock was released while we looked
      return undefined;
    }
    links.push(claim);
    owner = await ownerOf(claim);
  }
  return undefined;
}

async function create(me: string, link: string): Promise<boolean> {
  try {
    await symlink(me, link);
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  }
}

async function ownerOf(link: string): Promise<{ token: string; ageMs: number } | undefined> {
  try {
    const [token, info] = await Promise.all([readlink(link), lstat(link)]);
    return { token, ageMs: Date.now() - info.mtimeMs };
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
