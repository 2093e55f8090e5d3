/**
 * Object store in S3. An object appears when its write is complete, never before; conditions are the server's own
 * (`If-None-Match: *`, `If-Match`).
 *
 * Each object carries two things in its metadata. `refit-sha256`: the digest of its bytes, checked at every read.
 * `refit-write`: a number that only this write has, before it those of the versions that it replaced. When an answer was lost
 * and the second try is refused, they tell whether the first try had gone through or somebody else was there before; so a
 * compare-and-set neither happens twice nor claims to have failed when it did not.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { RefitError } from '../spec/errors.ts';
import { hashFile, sha256 } from './digest.ts';
import { type CachedFile, createFileCache } from './file-cache.ts';
import { checkKey } from './keys.ts';
import type { ObjectStore, PutCondition, StoredObject } from './ports.ts';
import { parseStoreAddress } from './s3-address.ts';
import { type Answer, createS3Calls, type S3Access } from './s3-calls.ts';
import { DamagedBody } from './s3-errors.ts';
import { createUploads } from './s3-upload.ts';

export interface S3StoreOptions {
  /** Folder for local copies of objects, and for notes about uploads under way. */
  cache: string;
  /** Size of the local copies, at most, but for what is in use. */
  cacheBytes: number;
  /** Larger files go in parts of this size. */
  partBytes?: number;
}

const PART_BYTES = 16 << 20;
/** Writes that an object remembers; more than ever follow one another while an answer is waited for. */
const REMEMBERED = 12;

/** What is known of an object without reading it. */
interface Head {
  bytes: number;
  etag: string;
  /** Undefined for objects that another tool put there. */
  sha256: string | undefined;
  /** What there is to check the bytes by: for those of other tools the server's etag, where it is one. */
  expected: { algorithm: 'sha256' | 'md5'; hex: string } | undefined;
  /** The object says that its bytes were found wrong. */
  damaged: boolean;
}

/**
 * Opens the store at `s3://bucket/prefix`; nothing is asked of the server yet. Credentials, region and endpoint are found as
 * AWS tools find them. Methods throw RefitError REFIT_STORE_DENIED, REFIT_STORE_MISSING, REFIT_STORE_UNREACHABLE,
 * REFIT_STORE_FULL, REFIT_STORE_UNWRITABLE, and reading REFIT_STORE_CORRUPT.
 * @throws RefitError REFIT_USAGE
 */
export function createS3Store(address: string, options: S3StoreOptions): ObjectStore {
  const { bucket, prefix } = parseStoreAddress(address);
  const shown = `s3://${bucket}/${prefix}`.replace(/\/$/, '');
  const { cache: folder, cacheBytes, partBytes = PART_BYTES } = options;
  const { call } = createS3Calls(shown);
  const cache = createFileCache(folder, cacheBytes);
  const uploadFile = createUploads({ call }, join(folder, 'uploads'), partBytes);

  const at = (key: string): { Bucket: string; Key: string } => {
    checkKey(key);
    return { Bucket: bucket, Key: prefix + key };
  };

  async function head(key: string): Promise<Head | undefined> {
    const place = at(key);
    const { answer } = await call(`look at ${key}`, ({ client, sdk }) => client.send(new sdk.HeadObjectCommand(place)));
    return answer && headOf(answer);
  }

  /** Reads an object and hands its bytes to `take`, which answers with their digest by the algorithm that is asked for. */
  async function read<T>(
    key: string,
    take: (body: Readable, head: Head, algorithm: string) => Promise<{ hex: string; result: T }>,
  ) {
    const place = at(key);
    let seen: Head | undefined;
    const work = async ({ client, sdk }: S3Access) => {
      const answer = await client.send(new sdk.GetObjectCommand(place));
      const body = answer.Body as Readable;
      seen = headOf(answer);
      const { expected, damaged } = seen;
      try {
        if (damaged && !expected) throw new DamagedBody();
        const { hex, result } = await take(body, seen, expected?.algorithm ?? 'sha256');
        if (expected && hex !== expected.hex) throw new DamagedBody();
        return { result, head: seen };
      } finally {
        // What is not read to its end would keep its connection, of which there are only so many.
        body.destroy();
      }
    };
    try {
      return (await call(`read ${key}`, work)).answer;
    } catch (error) {
      if (error instanceof RefitError && error.code === 'REFIT_STORE_CORRUPT' && seen) {
        Object.assign(error.details, { key, etag: seen.etag });
        if (!seen.damaged) await markDamaged(key, seen);
      }
      throw error;
    }
  }

  /**
   * Says on the object itself that its bytes are wrong, so that nobody trusts what is known of it; the bytes stay. Somebody may
   * write the right ones in between (same bytes, same etag): then the mark is wrong, which whoever reads it finds out.
   */
  async function markDamaged(key: string, { etag, sha256: digest = '' }: Head): Promise<void> {
    const place = at(key);
    const Metadata = { 'refit-damaged': digest, 'refit-write': nonce() };
    const CopySource = encodeURIComponent(`${place.Bucket}/${place.Key}`);
    const copy = {
      ...place,
      CopySource,
      CopySourceIfMatch: quoted(etag),
      MetadataDirective: 'REPLACE',
      Metadata,
    } as const;
    await call(`mark ${key}`, ({ client, sdk }) => client.send(new sdk.CopyObjectCommand(copy))).catch(() => undefined);
  }

  /** What a write came to; `write` is its `refit-write`. */
  async function settled(
    key: string,
    { answer, refused, unsure }: Answer<{ ETag?: string | undefined }>,
    write: string,
    condition: PutCondition | undefined,
  ): Promise<string | undefined> {
    if (answer) return etagOf(answer.ETag, write);
    if (unsure) {
      const now = await head(key);
      const [, writes = ''] = now?.etag.split('~') ?? [];
      if (now && writes === write) return now.etag;
      // Ours, and replaced since.
      if (writes.split('.').includes(write.split('.')[0] ?? '')) return etagOf('replaced', write);
    }
    if (condition) return undefined;
    throw new RefitError('REFIT_STORE_UNWRITABLE', `The store ${shown} refuses to write ${key} (${refused}).`, { key });
  }

  async function put(key: string, body: Uint8Array, condition?: PutCondition, digest = sha256(body)) {
    const place = at(key);
    if (condition && 'ifMatch' in condition && condition.ifMatch === '') return undefined;
    const write = nextWrite(condition);
    const object = { ...place, Body: body, Metadata: { 'refit-sha256': digest, 'refit-write': write } };
    const headers = conditionHeaders(condition);
    const work = ({ client, sdk }: S3Access) => client.send(new sdk.PutObjectCommand({ ...object, ...headers }));
    return settled(key, await call(`write ${key}`, work), write, condition);
  }

  async function putInParts(key: string, path: string, digest: string, bytes: number, condition?: PutCondition) {
    const { Bucket, Key } = at(key);
    const metadata = { 'refit-sha256': digest, 'refit-write': nextWrite(condition) };
    const headers = conditionHeaders(condition);
    const upload = { bucket: Bucket, key: Key, path, bytes, sha256: digest, metadata, condition: headers };
    const ended = await uploadFile(upload);
    return settled(key, ended, ended.metadata['refit-write'] ?? '', condition);
  }

  return {
    address: shown,
    async get(key) {
      const found = await read(key, async (body, _, algorithm) => {
        const chunks: Buffer[] = [];
        const { hex } = await digestOf(body, algorithm, (chunk) => chunks.push(chunk));
        return { hex, result: new Uint8Array(Buffer.concat(chunks)) };
      });
      return found && ({ body: found.result, etag: found.head.etag } satisfies StoredObject);
    },
    async stat(key) {
      const found = await head(key);
      return found && { bytes: found.bytes, etag: found.etag };
    },
    async remembered(key) {
      const found = await head(key);
      return found && { bytes: found.bytes, sha256: found.sha256 };
    },
    put: (key, body, condition) => put(key, body, condition),
    async putFile(key, path, condition) {
      at(key);
      const { size } = await stat(path);
      let written: string | undefined;
      let digest: string;
      if (size > partBytes) {
        digest = await hashFile(path);
        // Nothing is uploaded for nothing: most files that are there already have the same name because they are the same.
        if (condition && 'create' in condition && (await head(key))) return undefined;
        written = await putInParts(key, path, digest, size, condition);
      } else {
        const body = await readFile(path);
        digest = sha256(body);
        written = await put(key, body, condition, digest);
      }
      // What is named by its content is read again soon, mostly on this machine.
      if (written !== undefined && key.startsWith('blobs/'))
        await cache.adopt({ name: digest, bytes: size, sha256: digest }, path);
      return written;
    },
    async digest(key) {
      const place = at(key);
      const { answer } = await call(`read ${key}`, async ({ client, sdk }) =>
        digestOf((await client.send(new sdk.GetObjectCommand(place))).Body as Readable, 'sha256'),
      );
      return answer && { bytes: answer.bytes, sha256: answer.hex };
    },
    async *list(under) {
      for (let token: string | undefined; ; ) {
        const where = {
          Bucket: bucket,
          Prefix: prefix + under,
          ...(token === undefined ? {} : { ContinuationToken: token }),
        };
        const { answer } = await call(`list ${under || 'its objects'}`, ({ client, sdk }) =>
          client.send(new sdk.ListObjectsV2Command(where)),
        );
        for (const { Key = '' } of answer?.Contents ?? [])
          if (isOurs(Key.slice(prefix.length))) yield Key.slice(prefix.length);
        if (!answer?.IsTruncated) return;
        token = answer.NextContinuationToken;
      }
    },
    async delete(key) {
      const place = at(key);
      await call(`delete ${key}`, ({ client, sdk }) => client.send(new sdk.DeleteObjectCommand(place)));
    },
    async localPath(key) {
      const found = await head(key);
      if (!found) return undefined;
      const { sha256: digest, bytes, etag } = found;
      const file: CachedFile = { name: digest ?? sha256(`${shown}/${key}\n${etag}`), bytes, sha256: digest };
      return cache.path(file, async (path) => {
        const fetched = await read(key, async (body, { etag: now }, algorithm) => {
          // Replaced since we looked: the digest or the size will tell.
          if (now !== etag && digest === undefined) throw new DamagedBody();
          await pipeline(body, createWriteStream(path));
          return { hex: (await digestOf(createReadStream(path), algorithm)).hex, result: undefined };
        });
        if (!fetched) throw new RefitError('REFIT_STORE_CORRUPT', `${key} was deleted while it was read.`, { key });
      });
    },
  };
}

function headOf(
  answer: Pick<GetObjectCommandOutput, 'ContentLength' | 'ETag' | 'Metadata' | 'ServerSideEncryption'>,
): Head {
  const { ContentLength: bytes = 0, ETag, Metadata = {}, ServerSideEncryption: encryption = 'AES256' } = answer;
  const { 'refit-sha256': digest, 'refit-write': write = '', 'refit-damaged': damaged } = Metadata;
  // An etag is the MD5 of the bytes, but not for objects in parts, and not under every encryption.
  const md5 = encryption === 'AES256' ? /^"?([0-9a-f]{32})"?$/.exec(ETag ?? '')?.[1] : undefined;
  const stored = digest ?? damaged;
  const expected =
    stored === undefined
      ? md5 && ({ algorithm: 'md5', hex: md5 } as const)
      : stored !== '' && ({ algorithm: 'sha256', hex: stored } as const);
  return {
    bytes,
    etag: etagOf(ETag, write),
    sha256: digest,
    expected: expected || undefined,
    damaged: damaged !== undefined,
  };
}

const nonce = (): string => randomBytes(6).toString('base64url');

/** The server's etag, `~`, the writes: of this version, of the one that it replaced, … */
const etagOf = (etag: string | undefined, write: string): string => `${(etag ?? '').replaceAll('"', '')}~${write}`;
const quoted = (etag: string): string => `"${etag.split('~')[0]}"`;

function nextWrite(condition: PutCondition | undefined): string {
  const before = condition && 'ifMatch' in condition ? (condition.ifMatch.split('~')[1] ?? '') : '';
  return [nonce(), ...before.split('.').filter((write) => write !== '')].slice(0, REMEMBERED).join('.');
}

function conditionHeaders(condition: PutCondition | undefined): { IfNoneMatch?: string; IfMatch?: string } {
  if (!condition) return {};
  return 'create' in condition ? { IfNoneMatch: '*' } : { IfMatch: quoted(condition.ifMatch) };
}

/** Not what another tool may have left below the prefix, such as the markers of folders. */
function isOurs(key: string): boolean {
  try {
    checkKey(key);
    return true;
  } catch {
    return false;
  }
}

async function digestOf(body: Readable, algorithm: string, take: (chunk: Buffer) => void = () => undefined) {
  const hash = createHash(algorithm);
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.byteLength;
    take(chunk);
  }
  return { bytes, hex: hash.digest('hex') };
}
