/**
 * Local copies of immutable bytes, for what must have a file (DuckDB, ONNX Runtime, LightGBM), shared by the processes of a
 * project and bounded in size.
 *
 *   files/<2>/<name>          the copies, each whole: it gets its name when it is
 *   use/<process>/<name>      the copies that a process uses, as hard links: whoever evicts a file takes its name in `files`
 *                             only, and leaves alone what has a second link; so no file goes while somebody reads it
 *   tmp/<process>             being written
 *   notes/                    of whoever fetches from elsewhere: what lay where
 *
 * What a process that died left behind goes when the next one opens the cache. It may be deleted as a whole at any time
 * when nothing runs.
 */
import { rmSync } from 'node:fs';
import { constants, copyFile, link, mkdir, readdir, rm, stat, utimes } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { RefitError } from '../spec/errors.ts';
import { hashFile } from './digest.ts';
import { heldByWork } from './local-files.ts';
import { isAbandoned, ownerToken } from './process-identity.ts';
import { storeError, systemCode } from './store-errors.ts';

/** What a copy is called, and what it must be to be believed. */
export interface CachedFile {
  /** Hex digits: the SHA-256 of the bytes, or of what else tells them apart. */
  name: string;
  bytes: number;
  /** Checked at the first use of a process, and when the file changed since. */
  sha256?: string | undefined;
}

export interface FileCache {
  /** Absolute. */
  readonly folder: string;
  /** A path with the bytes; `fill` writes them to a new file where no good copy is. @throws RefitError REFIT_STORE_FULL and what `fill` throws */
  path(file: CachedFile, fill: (path: string) => Promise<void>): Promise<string>;
  /** A path with the bytes where a good copy is here. */
  find(sha256: string): Promise<string | undefined>;
  /** A new path beside the copies, for a file or folder to be written; what is left there when this process dies is removed. */
  draft(): Promise<string>;
  /** Takes a copy of a local file, so that it need not be fetched. Never fails. */
  adopt(file: CachedFile, path: string): Promise<void>;
}

/** Files that nobody has asked this process for in so long may be evicted by others too. */
const IDLE_MS = 300_000;
const TEND_MS = 30_000;
/** Eviction leaves this share of the limit, so that not each new file evicts one. */
const LEFT_SHARE = 0.9;

/** Its size is unknown to who only asks for a copy that may be here. */
type Wanted = Omit<CachedFile, 'bytes'> & Partial<CachedFile>;

interface Held {
  users: number;
  lastAt: number;
  /** Size, inode and time of modification when the bytes were checked; empty before. */
  checked: string;
}

/** Folders of this process in all its caches, removed when it ends. */
const own = new Set<string>();
process.once('exit', () => {
  for (const folder of own) rmSync(folder, { recursive: true, force: true });
});

export function createFileCache(root: string, limitBytes: number): FileCache {
  const base = resolve(root);
  const files = join(base, 'files');
  const mine = join(base, 'use', ownerToken());
  const held = new Map<string, Held>();
  const underWay = new Map<string, Promise<string | undefined>>();
  /** Links that are being removed. */
  const leaving = new Map<string, Promise<void>>();
  /** Given out to be written, and not yet gone. */
  const drafts = new Set<string>();
  let opened: Promise<void> | undefined;
  /** Bytes in `files`, as far as this process knows; undefined: not counted yet. */
  let total: number | undefined;
  let addedSinceCount = 0;

  const shared = (name: string): string => join(files, name.slice(0, 2), name);
  const linked = (name: string): string => join(mine, name);

  async function open(): Promise<void> {
    for (const folder of ['use', 'tmp']) await sweep(join(base, folder));
    await mkdir(join(base, 'tmp'), { recursive: true });
    await mkdir(mine, { recursive: true });
    own.add(mine);
    setInterval(() => void tend().catch(() => undefined), TEND_MS).unref();
  }

  /** Lets go of what is idle, and tells those who cannot ask (other containers) that we are alive. */
  async function tend(): Promise<void> {
    await utimes(mine, new Date(), new Date());
    // What is written in a folder does not touch it, and what nobody touched looks abandoned.
    for (const draft of drafts) await utimes(draft, new Date(), new Date()).catch(() => drafts.delete(draft));
    await letGo(Date.now() - IDLE_MS);
  }

  async function letGo(before: number): Promise<void> {
    for (const [name, { users, lastAt }] of held) {
      if (users > 0 || lastAt > before || underWay.has(name)) continue;
      held.delete(name);
      await unlink(name);
    }
  }

  /** Takes our link away; who asks for the file meanwhile waits, and links it anew. */
  function unlink(name: string): Promise<void> {
    const gone = rm(linked(name), { force: true }).finally(() => leaving.delete(name));
    leaving.set(name, gone);
    return gone;
  }

  /** Whether the file at our link has the right bytes; one that has not changed since it was checked is not read again. */
  async function isGood({ name, bytes, sha256 }: Wanted): Promise<boolean> {
    const info = await stat(linked(name)).catch(() => undefined);
    if (info === undefined || (bytes ?? info.size) !== info.size) return false;
    const mark = `${info.ino} ${info.size} ${info.mtimeMs}`;
    const entry = entryOf(name);
    if (entry.checked === mark) return true;
    if (sha256 !== undefined && (await hashFile(linked(name))) !== sha256) return false;
    entry.checked = mark;
    return true;
  }

  /** Whether a good copy lies at our link now; one that is not good is removed. */
  async function linkShared(file: Wanted): Promise<boolean> {
    opened ??= open();
    await opened;
    await leaving.get(file.name);
    const path = linked(file.name);
    if (await isGood(file)) return true;
    await rm(path, { force: true });
    if ((await linkTo(shared(file.name), path)) && (await isGood(file))) return true;
    for (const bad of [path, shared(file.name)]) await rm(bad, { force: true });
    return false;
  }

  async function obtain(file: CachedFile, fill: (path: string) => Promise<void>): Promise<string> {
    const path = linked(file.name);
    if (await linkShared(file)) return path;
    await add(file, fill);
    if (await isGood(file)) return path;
    throw new RefitError('REFIT_STORE_CORRUPT', `A local copy of an object does not have its bytes (${path}).`, {
      path,
    });
  }

  async function add({ name, bytes }: CachedFile, fill: (path: string) => Promise<void>): Promise<void> {
    const temp = join(base, 'tmp', ownerToken());
    try {
      // Somebody may have deleted the cache meanwhile.
      for (const folder of [join(base, 'tmp'), mine, join(files, name.slice(0, 2))])
        await mkdir(folder, { recursive: true });
      await makeRoom(bytes);
      await fill(temp);
      await linkTo(temp, linked(name));
      await linkTo(temp, shared(name));
    } finally {
      await rm(temp, { force: true });
    }
  }

  async function makeRoom(bytes: number): Promise<void> {
    addedSinceCount += 1;
    if (total === undefined || addedSinceCount > 100 || total + bytes > limitBytes) {
      const found = await measure(files);
      addedSinceCount = 0;
      total = found.reduce((sum, { size }) => sum + size, 0);
      if (total + bytes > limitBytes) total -= await evict(found, total + bytes - limitBytes * LEFT_SHARE);
    }
    total += bytes;
  }

  /** Removes the files that were used longest ago, until so many bytes are free; what a process uses stays. */
  async function evict(found: Measured[], wanted: number): Promise<number> {
    await letGo(Number.POSITIVE_INFINITY);
    let freed = 0;
    for (const { path, size } of found.sort((a, b) => a.usedAt - b.usedAt)) {
      if (freed >= wanted) break;
      const links = (await stat(path).catch(() => undefined))?.nlink;
      if (links !== 1) continue;
      await rm(path, { force: true });
      freed += size;
    }
    return freed;
  }

  function entryOf(name: string): Held {
    const entry = held.get(name) ?? { users: 0, lastAt: Date.now(), checked: '' };
    held.set(name, entry);
    return entry;
  }

  function hold(name: string): () => void {
    const entry = entryOf(name);
    entry.users += 1;
    return () => {
      entry.users -= 1;
      entry.lastAt = Date.now();
    };
  }

  /** Work on a file, by one at a time; who comes meanwhile is given the same. Held before it is there: it must not be let go in between. */
  async function one(name: string, work: () => Promise<string | undefined>): Promise<string | undefined> {
    heldByWork(linked(name), () => hold(name));
    const running = underWay.get(name) ?? work().finally(() => underWay.delete(name));
    underWay.set(name, running);
    try {
      return await running;
    } catch (error) {
      throw storeError(error, base);
    }
  }

  return {
    folder: base,
    async path(file, fill) {
      // Who came while another only looked whether it is here asks again.
      for (;;) {
        const found = await one(file.name, () => obtain(file, fill));
        if (found !== undefined) return found;
      }
    },
    find: (sha256) =>
      one(sha256, async () => ((await linkShared({ name: sha256, sha256 })) ? linked(sha256) : undefined)),
    async draft() {
      opened ??= open();
      await opened;
      await mkdir(join(base, 'tmp'), { recursive: true });
      const draft = join(base, 'tmp', ownerToken());
      drafts.add(draft);
      return draft;
    },
    async adopt(file, path) {
      if (file.bytes > limitBytes / 4) return;
      try {
        if ((await stat(shared(file.name)).catch(() => undefined))?.size === file.bytes) return;
        opened ??= open();
        await opened;
        await add(file, (temp) => copyFile(path, temp, constants.COPYFILE_FICLONE));
        // Nobody has asked for it yet: others may evict it.
        if (!held.has(file.name) && !underWay.has(file.name)) await unlink(file.name);
      } catch {
        // It is fetched when it is asked for.
      }
    },
  };
}

/** @returns false when there is nothing to link to, or the name is taken. */
async function linkTo(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (['ENOENT', 'EEXIST'].includes(systemCode(error) ?? '')) return false;
    throw error;
  }
}

/** `usedAt`: linking a file for use changes its ctime. */
interface Measured {
  path: string;
  size: number;
  usedAt: number;
}

async function measure(files: string): Promise<Measured[]> {
  const found: Measured[] = [];
  for (const folder of await readdir(files).catch(() => [])) {
    for (const name of await readdir(join(files, folder)).catch(() => [])) {
      const path = join(files, folder, name);
      const info = await stat(path).catch(() => undefined);
      if (info?.isFile()) found.push({ path, size: info.size, usedAt: info.ctimeMs });
    }
  }
  return found;
}

/** Removes what processes that are gone left in a folder. */
async function sweep(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    const ageMs = Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now());
    if (isAbandoned(name, ageMs)) await rm(path, { recursive: true, force: true }).catch(() => undefined);
  }
}
