/**
 * Digests and canonical JSON. Uses node:crypto and node:fs: for activities and tools, never inside a workflow.
 * Canonical JSON follows RFC 8785 (JCS): keys in UTF-16 order, numbers as JavaScript writes them, no white space.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { RefitError } from '../spec/errors.ts';

/** SHA-256 in hex; a string is hashed as UTF-8. */
export function sha256(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex');
}

/**
 * JSON text that is equal for equal values: `{ b: 1, a: [true] }` → `{"a":[true],"b":1}`. Properties that are undefined are
 * left out, as JSON.stringify does.
 * @throws RefitError REFIT_INTERNAL for what JSON cannot hold: NaN, functions, bigints, undefined in an array, dates, maps.
 */
export function canonicalJson(value: unknown): string {
  return write(value, '$');
}

/** SHA-256 (hex) of the canonical JSON of a value. */
export function digestOf(value: unknown): string {
  return sha256(canonicalJson(value));
}

function write(value: unknown, path: string): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item, i) => write(item, `${path}[${i}]`)).join(',')}]`;
  if (isPlain(value)) {
    const members = Object.keys(value)
      .sort()
      .filter((name) => value[name] !== undefined)
      .map((name) => `${JSON.stringify(name)}:${write(value[name], `${path}.${name}`)}`);
    return `{${members.join(',')}}`;
  }
  const what = typeof value === 'number' ? String(value) : typeof value;
  throw new RefitError('REFIT_INTERNAL', `A value that JSON cannot hold (${what}) stands at ${path}.`, { path });
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** SHA-256 (hex) of a file, read as a stream. @throws the system's errors, e.g. ENOENT */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

export interface FileDigest {
  sha256: string;
  bytes: number;
}

const remembered = new Map<string, FileDigest & { mark: string }>();
const REMEMBERED_MOST = 20_000;
/** A file that changed this recently may change again within one tick of the file system's clock. */
const SETTLED_MS = 50;

/**
 * As `hashFile`, but a file whose size, inode and times have not changed since it was last hashed by this process costs one
 * `stat`. @throws the system's errors, e.g. ENOENT
 */
export async function fileDigest(path: string): Promise<FileDigest> {
  const info = await stat(path, { bigint: true });
  const mark = `${info.dev} ${info.ino} ${info.size} ${info.mtimeNs} ${info.ctimeNs}`;
  const known = remembered.get(path);
  if (known?.mark === mark) return { sha256: known.sha256, bytes: known.bytes };
  const changedMs = Math.max(Number(info.ctimeMs), Number(info.mtimeMs));
  const settled = Date.now() - changedMs > SETTLED_MS;
  const digest = { sha256: await hashFile(path), bytes: Number(info.size) };
  remembered.delete(path);
  if (settled) {
    remembered.set(path, { ...digest, mark });
    const oldest = remembered.keys().next();
    if (remembered.size > REMEMBERED_MOST && !oldest.done) remembered.delete(oldest.value);
  }
  return digest;
}
