import { createHash, randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { RefitError } from '../spec/errors.ts';
import { fileDigest, hashFile, sha256 } from '../store/digest.ts';
import { storeError, systemCode } from '../store/store-errors.ts';

/**
 * Files that are not on this machine, kept here by their content: `<folder>/<sha256>`, and by address what was last fetched
 * from there. What is used is always checked against its digest; a copy that is not right counts as absent. A project may
 * delete the folder at any time.
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
  /** Takes a file over that was fetched in another way. @returns its SHA-256 */
  keep(file: RemoteFile, draft: string): Promise<string>;
}

/** Streams the bytes at an address. @returns the version of what was read */
export type Fetch = (
  address: string,
  signal?: AbortSignal,
) => Promise<{ body: AsyncIterable<Uint8Array>; version: string; bytes?: number }>;

export interface RemoteCache {
  folder: string;
  /** Bytes kept at most; the files unused for longest go first. */
  limitBytes: number;
}

/** What was used this recently stays whatever the limit: somebody may be about to read it. */
const IN_USE_MS = 15 * 60_000;

export function createRemoteFiles({ folder, limitBytes }: RemoteCache, fetch: Fetch): RemoteFiles {
  const place = (digest: string) => path.join(folder, digest);
  const note = (address: string) => path.join(folder, `${sha256(address)}.json`);

  async function cached(digest: string): Promise<string | undefined> {
    const file = place(digest);
    const found = await fileDigest(file).catch(() => undefined);
    if (found?.sha256 !== digest) return undefined;
    const now = new Date();
    await utimes(file, now, (await stat(file)).mtime).catch(() => undefined);
    return file;
  }

  /** Streams break off; what the client could not even ask for, it tried thrice itself. */
  async function load(address: string, signal?: AbortSignal): Promise<string> {
    for (let left = 2; ; left--) {
      try {
        return await loadOnce(address, signal);
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof RefitError || systemCode(error) === 'ENOSPC') throw storeError(error, folder);
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
  async function settle({ address, version }: RemoteFile, draft: string, digest: string): Promise<string> {
    await rename(draft, place(digest));
    await writeFile(`${draft}.json`, JSON.stringify({ address, version, sha256: digest }));
    await rename(`${draft}.json`, note(address));
    await prune(folder, limitBytes, digest);
    return digest;
  }

  async function remembered({ address, version }: RemoteFile): Promise<string | undefined> {
    const last = readNote(await readFile(note(address), 'utf8').catch(() => '{}'));
    return last.address === address && last.version === version ? last.sha256 : undefined;
  }

  async function loadOnce(address: string, signal?: AbortSignal): Promise<string> {
    await mkdir(folder, { recursive: true });
    const draft = path.join(folder, `.${randomUUID()}.part`);
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
    kept: cached,
    keep: async (file, draft) => settle(file, draft, await hashFile(draft)),
    fingerprint: async (file, signal) => (await remembered(file)) ?? load(file.address, signal),
    async path(address, digest, signal) {
      const here = await cached(digest);
      if (here) return here;
      const found = await load(address, signal);
      if (found === digest) return place(digest);
      const details = { address, expected: digest, found };
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

/** Removes what was unused for longest until the rest is within the limit; drafts that a killed process left go, too. */
async function prune(folder: string, limitBytes: number, keep: string): Promise<void> {
  const files = [];
  for (const name of await readdir(folder)) {
    const info = await stat(path.join(folder, name)).catch(() => undefined);
    if (info?.isFile()) files.push({ name, bytes: info.size, used: Math.max(info.atimeMs, info.ctimeMs) });
  }
  let total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  for (const { name, bytes, used } of files.sort((a, b) => a.used - b.used)) {
    const draft = name.startsWith('.');
    if ((total <= limitBytes && !draft) || name === keep || name.endsWith('.json')) continue;
    if (Date.now() - used < IN_USE_MS) continue;
    await rm(path.join(folder, name), { force: true });
    total -= bytes;
  }
}
