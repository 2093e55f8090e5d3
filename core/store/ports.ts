import type { BlobRef } from '../spec/artifacts.ts';

/** One object in the store. `etag` changes whenever the bytes change. */
export interface StoredObject {
  body: Uint8Array;
  etag: string;
}

/** Condition under which a write happens: only where nothing is (`create`), or only over that very version. */
export type PutCondition = { create: true } | { ifMatch: string };

/**
 * Object store: a folder or an S3 prefix. Keys are `/`-separated, without leading slash, `.` or `..` parts.
 * Writes are atomic and durable: a reader sees all of an object or none of it.
 */
export interface ObjectStore {
  /** `file:` or `s3:` address, for people. */
  readonly address: string;
  /** @throws RefitError REFIT_STORE_CORRUPT where the store has a checksum of its own and the bytes are not those. */
  get(key: string): Promise<StoredObject | undefined>;
  /** @returns the new etag, or undefined when the condition did not hold (nothing was written). */
  put(key: string, body: Uint8Array, condition?: PutCondition): Promise<string | undefined>;
  /** As `put`, from a local file, which is left alone. */
  putFile(key: string, path: string, condition?: PutCondition): Promise<string | undefined>;
  stat(key: string): Promise<{ bytes: number; etag: string } | undefined>;
  /**
   * What the store remembers of the bytes, without reading them; for stores where reading takes long, absent otherwise.
   * `sha256` is undefined where it does not know, or knows that they are damaged.
   */
  remembered?(key: string): Promise<{ bytes: number; sha256: string | undefined } | undefined>;
  /** Reads every byte that the store has, whatever it remembers or has copied. */
  digest(key: string): Promise<{ bytes: number; sha256: string } | undefined>;
  /** Keys below a prefix, in order. */
  list(prefix: string): AsyncIterable<string>;
  delete(key: string): Promise<void>;
  /**
   * A local file with the object's bytes: the file itself in a folder store, a cached copy otherwise. Do not write to it. A
   * copy stays at least until the work that asked for it ends (`releasingLocalFiles`).
   * @throws RefitError REFIT_STORE_CORRUPT as `get`
   */
  localPath(key: string): Promise<string | undefined>;
}

/** Content-addressed blobs over an ObjectStore. */
export interface BlobStore {
  readonly objects: ObjectStore;
  putBytes(bytes: Uint8Array): Promise<BlobRef>;
  putJson(value: unknown): Promise<BlobRef>;
  putFile(path: string): Promise<BlobRef>;
  /** Bytes whose digest was checked. @throws RefitError REFIT_STORE_CORRUPT when missing or altered. */
  bytes(ref: BlobRef): Promise<Uint8Array>;
  json<T>(ref: BlobRef): Promise<T>;
  /** Local file with checked bytes. @throws RefitError REFIT_STORE_CORRUPT */
  path(ref: BlobRef): Promise<string>;
  /** Whether the blob is there with the bytes it is named for, as far as the store can tell without fetching them. */
  verify(ref: BlobRef): Promise<boolean>;
}
