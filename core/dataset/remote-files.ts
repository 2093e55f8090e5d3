import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { RefitError } from '../spec/errors.ts';
import { hashFile, sha256 } from '../store/digest.ts';
import type { FileCache } from '../store/file-cache.ts';
import { releasingLocalFiles } from '../store/local-files.ts';
import { storeError, systemCode } from '../store/store-errors.ts';

/**
 * Files that are not on this machine, copied into its cache by their content, and by address (`notes/<address>.json`) what was last
 * fetched from there. A path that is handed out stays until the work that asked for it ends.
 */

/** Bytes somewhere else. `version` changes whenever they do: an S3 etag with the size. */
export interface RemoteFile {
  address: string;
  version: string;
}

export interface RemoteFiles {
  /** SHA-256 of the bytes, from memory while `version` is the same; else fetched. */
  fingerprint(file: RemoteFile, signal?: AbortSignal): Promise<string>;
  /** A local file with exactly those bytes, fetched where this machine does not have them. @throws REFIT_SOURCE_CHANGED */
  path(address: string, sha256: string, signal?: AbortSignal): Promise<string>;
  /** Digest of what was last kept from there, where its version is still the same. */
  remembered(file: RemoteFile): Promise<string | undefined>;
  /** A local file with that content; undefined where there is none. */
  kept(sha256: string): Promise<string | undefined>;
  /** A new path for a file or folder that is to be kept. */
  draft(): Promise<string>;
  /** Takes a file over that was fetched in another way. @returns its SHA-256 */
  keep(file: RemoteFile, draft: string): Promise<string>;
}

/** Streams the bytes at an address. @returns the version of what was read */
export type Fetch = (
  address: string,
  signal?: AbortSignal,
) => Promise<{ body: AsyncIterable<Uint8Array>; version: string; bytes?: number }>;

/** What was not asked for in so long is forgotten: then the file is fetched once more. */
const FORGET_MS = 30 * 86_400_000;

interface Loaded {
  path: string;
  digest: string;
}

export function createRemoteFiles(cache: FileCache, fetch: Fetch): RemoteFiles {
  const notes = path.join(cache.folder, 'notes');
  const note = (address: string) => path.join(notes, `${sha256(address)}.json`);
  let swept: Promise<void> | undefined;

  /** Streams break off; what the client could not even ask for, it tried thrice itself. */
  async function load(address: string, signal?: AbortSignal): Promise<Loaded> {
    for (let left = 2; ; left--) {
      try {
        return await loadOnce(address, signal);
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof RefitError || systemCode(error) === 'ENOSPC') throw storeError(error, cache.folder);
        if (left > 0) continue;
        const why = error instanceof Error ? error.message : String(error);
        throw new RefitError(
          'REFIT_SOURCE_UNREACHABLE',
          `${address} broke off: ${why}.`,
          { address },
          { cause: error },
        );
      }
    }
  }

  /** Puts a draft in its place and remembers where it is from. */
  async function settle({ address, version }: RemoteFile, draft: string, digest: string): Promise<Loaded> {
    const { size: bytes } = await stat(draft);
    const found = await cache.path({ name: digest, bytes, sha256: digest }, (place) => rename(draft, place));
    swept ??= forget(notes);
    await swept;
    await mkdir(notes, { recursive: true });
    const written = await cache.draft();
    await writeFile(written, JSON.stringify({ address, version, sha256: digest }));
    await rename(written, note(address));
    return { path: found, digest };
  }

  async function remembered({ address, version }: RemoteFile): Promise<string | undefined> {
    const last = readNote(await readFile(note(address), 'utf8').catch(() => '{}'));
    if (last.address !== address || last.version !== version) return undefined;
    await utimes(note(address), new Date(), new Date()).catch(() => undefined);
    return last.sha256;
  }

  async function loadOnce(address: string, signal?: AbortSignal): Promise<Loaded> {
    const draft = await cache.draft();
    try {
      const { body, version, bytes } = await fetch(address, signal);
      const { digest, size } = await save(body, draft, signal);
      if (bytes !== undefined && bytes !== size) {
        throw new Error(`${size} of ${bytes} bytes came`);
      }
      return await settle({ address, version }, draft, digest);
    } finally {
      await rm(draft, { force: true });
    }
  }

  return {
    remembered,
    kept: cache.find,
    draft: cache.draft,
    keep: async (file, draft) => (await settle(file, draft, await hashFile(draft))).digest,
    async fingerprint(file, signal) {
      const known = await remembered(file);
      // Only its digest is asked for: the copy may make room for others.
      return known ?? (await releasingLocalFiles(() => load(file.address, signal))).digest;
    },
    async path(address, digest, signal) {
      const here = await cache.find(digest);
      if (here) return here;
      const found = await load(address, signal);
      if (found.digest === digest) return found.path;
      const details = { address, expected: digest, found: found.digest };
      throw new RefitError('REFIT_SOURCE_CHANGED', `${address} changed after it was looked at.`, details);
    },
  };
}

function readNote(text: string): { address?: string; version?: string; sha256?: string } {
  try {
    return JSON.parse(text) as { address?: string };
  } catch {
    return {};
  }
}

/** Writes and hashes in one reading. */
async function save(
  body: AsyncIterable<Uint8Array>,
  file: string,
  signal?: AbortSignal,
): Promise<{ digest: string; size: number }> {
  const hash = createHash('sha256');
  let size = 0;
  const tee = new Transform({
    transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback) {
      hash.update(chunk);
      size += chunk.byteLength;
      done(null, chunk);
    },
  });
  await pipeline(body, tee, createWriteStream(file), signal ? { signal } : {});
  return { digest: hash.digest('hex'), size };
}

/** Removes notes that nobody has asked for in a long time. */
async function forget(notes: string): Promise<void> {
  for (const name of await readdir(notes).catch(() => [])) {
    const file = path.join(notes, name);
    const usedAt = (await stat(file).catch(() => undefined))?.mtimeMs ?? Date.now();
    if (Date.now() - usedAt > FORGET_MS) await rm(file, { force: true }).catch(() => undefined);
  }
}
