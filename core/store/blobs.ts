import { stat } from 'node:fs/promises';
import type { BlobRef } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import { unlessDamaged } from './damage.ts';
import { canonicalJson, fileDigest, hashFile, sha256 } from './digest.ts';
import type { BlobStore, ObjectStore, PutCondition } from './ports.ts';
import { storeError, systemCode } from './store-errors.ts';

/** `blobs/sha256/<first two digits>/<hex>`. */
export function blobKey(digest: string): string {
  return `blobs/sha256/${digest.slice(0, 2)}/${digest}`;
}

/** Whether a value is a BlobRef and nothing more. */
export function isBlobRef(value: unknown): value is BlobRef {
  if (typeof value !== 'object' || value === null) return false;
  const { uri, sha256: digest, bytes, ...rest } = value as Record<string, unknown>;
  return (
    typeof digest === 'string' &&
    /^[0-9a-f]{64}$/.test(digest) &&
    uri === blobKey(digest) &&
    Number.isInteger(bytes) &&
    Object.keys(rest).length === 0
  );
}

/** Content-addressed blobs over an object store; a damaged blob is mended when it is put again. */
export function createBlobStore(objects: ObjectStore): BlobStore {
  /** Checked local file, or undefined when the blob is missing or altered. An unchanged file is hashed once a process. */
  async function intact(ref: BlobRef): Promise<string | undefined> {
    const path = await unlessDamaged(() => objects.localPath(blobKey(ref.sha256)));
    if (path === undefined) return undefined;
    try {
      const found = await fileDigest(path);
      return found.sha256 === ref.sha256 && found.bytes === ref.bytes ? path : undefined;
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw storeError(error, path);
    }
  }

  /** As `intact`, but what the store remembers of the bytes is believed: they are not fetched. Whoever reads them checks. */
  async function verify(ref: BlobRef): Promise<boolean> {
    const known = await objects.remembered?.(blobKey(ref.sha256));
    if (known?.sha256 !== undefined) return known.sha256 === ref.sha256 && known.bytes === ref.bytes;
    return (await intact(ref)) !== undefined;
  }

  async function put(
    digest: string,
    bytes: number,
    write: (key: string, condition?: PutCondition) => Promise<string | undefined>,
  ): Promise<BlobRef> {
    const ref = { uri: blobKey(digest), sha256: digest, bytes };
    if (await verify(ref)) return ref;
    const created = await write(ref.uri, { create: true });
    // Something is there already: a racing writer's equal bytes, or damage to be written over.
    if (created === undefined && !(await verify(ref))) await write(ref.uri);
    return ref;
  }

  function damaged(ref: BlobRef): RefitError {
    return new RefitError('REFIT_STORE_CORRUPT', `The blob ${ref.sha256} is missing or altered.`, { ...ref });
  }

  async function checkedBytes(ref: BlobRef): Promise<Uint8Array> {
    const found = await unlessDamaged(() => objects.get(blobKey(ref.sha256)));
    if (!found || sha256(found.body) !== ref.sha256) throw damaged(ref);
    return found.body;
  }

  const putBytes = (bytes: Uint8Array): Promise<BlobRef> =>
    put(sha256(bytes), bytes.byteLength, (key, condition) => objects.put(key, bytes, condition));

  return {
    objects,
    putBytes,
    putJson: async (value) => putBytes(new TextEncoder().encode(canonicalJson(value))),
    async putFile(path) {
      // Hashed anew, not from memory: this digest becomes the blob's name.
      const digest = await hashFile(path);
      const { size: bytes } = await stat(path);
      return put(digest, bytes, (key, condition) => objects.putFile(key, path, condition));
    },
    bytes: checkedBytes,
    json: async <T>(ref: BlobRef) => JSON.parse(new TextDecoder().decode(await checkedBytes(ref))) as T,
    async path(ref) {
      const path = await intact(ref);
      if (path === undefined) throw damaged(ref);
      return path;
    },
    verify,
  };
}

/** Every BlobRef in a JSON value, each once, in the order of first meeting. */
export function blobsIn(value: unknown): BlobRef[] {
  const found = new Map<string, BlobRef>();
  const visit = (at: unknown): void => {
    if (isBlobRef(at)) found.set(at.sha256, at);
    else if (typeof at === 'object' && at !== null) for (const inner of Object.values(at)) visit(inner);
  };
  visit(value);
  return [...found.values()];
}
