/**
 * Object store in a folder: each key is a file. What a reader sees is always a whole object, and what `put` has returned
 * survives a power cut: bytes go to `.tmp`, are synced, then get their name by `link` (create) or `rename` (replace), and the
 * folder is synced. Replacing and deleting hold a lock per key, so compare-and-set is safe between processes.
 */
import { constants, readdirSync, rmSync, statSync } from 'node:fs';
import { copyFile, link, mkdir, open, readdir, readFile, rename, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileDigest, hashFile, sha256 } from './digest.ts';
import { withLock } from './key-lock.ts';
import { checkKey } from './keys.ts';
import type { ObjectStore, PutCondition } from './ports.ts';
import { isAbandoned, ownerToken } from './process-identity.ts';
import { storeError, systemCode } from './store-errors.ts';

/**
 * Opens (and on the first write makes) a store in a folder; temporary files of processes that died are removed.
 * An etag is the SHA-256 of the bytes. Methods throw RefitError REFIT_STORE_FULL, REFIT_STORE_UNWRITABLE, and REFIT_CONFLICT
 * when the lock of a key cannot be had.
 */
export function createFolderStore(root: string): ObjectStore {
  const base = resolve(root);
  const temps = join(base, '.tmp');
  sweep(temps);

  const pathOf = (key: string): string => {
    checkKey(key);
    return join(base, ...key.split('/'));
  };
  const locked = <T>(key: string, work: () => Promise<T>): Promise<T> =>
    withLock(join(base, '.locks', sha256(key).slice(0, 32)), work);

  /** Writes a temporary file, then gives it its name if the condition holds. `fill` returns the bytes' SHA-256. */
  async function publish(
    key: string,
    condition: PutCondition | undefined,
    fill: (temp: string) => Promise<string>,
  ): Promise<string | undefined> {
    const target = pathOf(key);
    const temp = join(temps, ownerToken());
    try {
      if (condition && 'create' in condition && (await isObject(target))) return undefined;
      await mkdir(temps, { recursive: true });
      const etag = await fill(temp);
      if (condition && 'create' in condition) return (await linkInto(base, temp, target)) ? etag : undefined;
      return await locked(key, async () => {
        if (condition && (await etagNow(target)) !== condition.ifMatch) return undefined;
        await renameInto(base, temp, target);
        return etag;
      });
    } catch (error) {
      throw storeError(error, target);
    } finally {
      // Failing here must not hide why writing failed; what stays is swept when its process is gone.
      await rm(temp, { force: true }).catch(() => undefined);
    }
  }

  return {
    address: `file:${base}`,
    get: (key) =>
      reading(pathOf(key), async (path) => {
        const body = new Uint8Array(await readFile(path));
        return { body, etag: sha256(body) };
      }),
    stat: (key) =>
      reading(pathOf(key), async (path) => {
        const { sha256: etag, bytes } = await fileDigest(path);
        return { bytes, etag };
      }),
    digest: (key) => reading(pathOf(key), fileDigest),
    localPath: (key) => reading(pathOf(key), async (path) => ((await stat(path)).isFile() ? path : undefined)),
    put: (key, body, condition) =>
      publish(key, condition, async (temp) => {
        await writeSynced(temp, body);
        return sha256(body);
      }),
    putFile: (key, path, condition) =>
      publish(key, condition, async (temp) => {
        await copyFile(path, temp, constants.COPYFILE_FICLONE);
        await syncPath(temp);
        return hashFile(temp);
      }),
    list: (prefix) => walk(base, '', prefix),
    async delete(key) {
      const target = pathOf(key);
      try {
        if (await isObject(target)) await locked(key, () => removeFrom(base, target));
      } catch (error) {
        throw storeError(error, target);
      }
    },
  };
}

/** Runs a read; undefined when no object has the name. */
async function reading<T>(path: string, read: (path: string) => Promise<T>): Promise<T | undefined> {
  try {
    return await read(path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EISDIR'].includes(systemCode(error) ?? '')) return undefined;
    throw storeError(error, path);
  }
}

async function isObject(path: string): Promise<boolean> {
  return (await reading(path, async () => (await stat(path)).isFile())) ?? false;
}

/** Read anew, not from memory: compare-and-set rests on it. */
function etagNow(path: string): Promise<string | undefined> {
  return reading(path, hashFile);
}

async function writeSynced(path: string, body: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o644);
  try {
    await file.writeFile(body);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Gives the file its name unless the name is taken; a folder in its place is an error, not a taken name. */
async function linkInto(base: string, temp: string, target: string): Promise<boolean> {
  try {
    await naming(base, target, () => link(temp, target));
    return true;
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
    if (await isObject(target)) return false;
    throw Object.assign(new Error(`${target} is a folder`), { code: 'EISDIR' });
  }
}

async function renameInto(base: string, temp: string, target: string): Promise<void> {
  await naming(base, target, () => rename(temp, target));
}

/** Makes the parent folders durable around the naming; starts over when a delete removed one of them as empty. */
async function naming(base: string, target: string, give: () => Promise<void>): Promise<void> {
  const folder = dirname(target);
  for (let left = 10; ; left--) {
    try {
      const made = await mkdir(folder, { recursive: true });
      await give();
      await syncPath(folder);
      if (made)
        for (let at = folder; at !== dirname(made) && at !== base; at = dirname(at)) await syncPath(dirname(at));
      return;
    } catch (error) {
      if (systemCode(error) !== 'ENOENT' || left === 0) throw error;
    }
  }
}

/** Removes an object and the folders that this leaves empty. */
async function removeFrom(base: string, target: string): Promise<void> {
  await rm(target, { force: true });
  for (let at = dirname(target); at !== base; at = dirname(at)) {
    try {
      await rmdir(at);
    } catch {
      await syncPath(at).catch(() => undefined);
      return;
    }
  }
}

/** Keys in byte order: a folder sorts as `name/`, so that `a.json` stands before `a/b`, as in S3. */
async function* walk(base: string, at: string, prefix: string): AsyncGenerator<string> {
  const folder = join(base, ...at.split('/'));
  const entries = (await reading(folder, () => readdir(folder, { withFileTypes: true }))) ?? [];
  const names = entries
    .filter((entry) => !entry.name.startsWith('.') && (entry.isDirectory() || entry.isFile()))
    .map((entry) => `${at}${entry.name}${entry.isDirectory() ? '/' : ''}`)
    .sort((a, b) => (a < b ? -1 : 1));
  for (const name of names) {
    if (!name.endsWith('/')) {
      if (name.startsWith(prefix)) yield name;
    } else if (name.startsWith(prefix) || prefix.startsWith(name)) {
      yield* walk(base, name, prefix);
    }
  }
}

/** Removes what dead processes left in `.tmp`. A store that cannot be written says so at its first write. */
function sweep(temps: string): void {
  try {
    for (const name of readdirSync(temps)) {
      const path = join(temps, name);
      if (isAbandoned(name, Date.now() - statSync(path).mtimeMs)) rmSync(path, { force: true });
    }
  } catch {
    // no such folder yet, or another process swept the same file
  }
}
