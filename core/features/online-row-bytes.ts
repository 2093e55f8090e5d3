/**
 * Rows of the online store as bytes. All numbers are big-endian:
 *
 *   0  event time, float64      8  known time, float64     16  format, 1 byte     17  values, one after another
 *
 * A value is a tag and its content: 0 null · 1 float64 · 2 float32 · 3 text · 4 bytes (both: uint32 length, then UTF-8 or
 * bytes). The times come first and at fixed places, so that who compares them need not read the rest.
 */
import { RefitError } from '../spec/errors.ts';
import type { OnlineRow, StoredValue } from './online-store.ts';

const HEADER = 17;
const FORMAT = 1;
const Tag = { null: 0, float64: 1, float32: 2, text: 3, bytes: 4 } as const;

/** The key is not part of it. */
export function packRow({ values, eventAtUs, knownAtUs }: OnlineRow): Buffer {
  let length = HEADER;
  for (const value of values) length += sizeOf(value);
  const bytes = Buffer.allocUnsafe(length);
  bytes.writeDoubleBE(eventAtUs, 0);
  bytes.writeDoubleBE(knownAtUs, 8);
  bytes[16] = FORMAT;
  let at = HEADER;
  for (const value of values) at = writeValue(bytes, at, value);
  return bytes;
}

/** The times that `packRow` wrote. */
export const eventAtUsOf = (bytes: Buffer): number => bytes.readDoubleBE(0);
export const knownAtUsOf = (bytes: Buffer): number => bytes.readDoubleBE(8);

/** @throws RefitError REFIT_STORE_CORRUPT when these are no bytes of `packRow` */
export function unpackRow(key: string, bytes: Buffer): OnlineRow {
  const reader = new ValueReader(bytes, key);
  const values: StoredValue[] = [];
  while (!reader.atEnd) values.push(reader.next());
  return { key, values, eventAtUs: eventAtUsOf(bytes), knownAtUs: knownAtUsOf(bytes) };
}

/** Reads the values of a row one by one; bytes are views into it. */
export class ValueReader {
  readonly #bytes: Buffer;
  readonly #key: string;
  #at = HEADER;

  /** @throws RefitError REFIT_STORE_CORRUPT when these are no bytes of `packRow` */
  constructor(bytes: Buffer, key: string) {
    this.#bytes = bytes;
    this.#key = key;
    if (bytes.length < HEADER || bytes[16] !== FORMAT) throw this.#unreadable('another format');
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** @throws RefitError REFIT_STORE_CORRUPT */
  next(): StoredValue {
    const bytes = this.#bytes;
    const start = this.#at + 1;
    const tag = bytes[this.#at];
    if (tag === Tag.null) return this.#to(start, null);
    if (tag === Tag.float32 && start + 4 <= bytes.length) return this.#to(start + 4, bytes.readFloatBE(start));
    if (tag === Tag.float64 && start + 8 <= bytes.length) return this.#to(start + 8, bytes.readDoubleBE(start));
    const end = start + 4 <= bytes.length ? start + 4 + bytes.readUInt32BE(start) : Number.POSITIVE_INFINITY;
    if (end > bytes.length) throw this.#unreadable('cut short');
    if (tag === Tag.text) return this.#to(end, bytes.toString('utf8', start + 4, end));
    if (tag === Tag.bytes) return this.#to(end, bytes.subarray(start + 4, end));
    throw this.#unreadable(`a value of kind ${tag}`);
  }

  #to<T>(at: number, value: T): T {
    this.#at = at;
    return value;
  }

  #unreadable(why: string): RefitError {
    const message = `The online features of ${this.#key} are not readable: ${why}.`;
    return new RefitError('REFIT_STORE_CORRUPT', message, { key: this.#key });
  }
}

const isFloat32 = (value: number) => Math.fround(value) === value;

function sizeOf(value: StoredValue): number {
  if (value === null) return 1;
  if (typeof value === 'number') return isFloat32(value) ? 5 : 9;
  return 5 + (typeof value === 'string' ? Buffer.byteLength(value) : value.byteLength);
}

/** @returns where the next one goes */
function writeValue(bytes: Buffer, at: number, value: StoredValue): number {
  if (value === null) return bytes.writeUInt8(Tag.null, at);
  if (typeof value === 'string') {
    const length = bytes.write(value, at + 5);
    bytes[at] = Tag.text;
    return bytes.writeUInt32BE(length, at + 1) + length;
  }
  if (typeof value !== 'number') {
    bytes[at] = Tag.bytes;
    bytes.set(value, at + 5);
    return bytes.writeUInt32BE(value.byteLength, at + 1) + value.byteLength;
  }
  const single = isFloat32(value);
  bytes[at] = single ? Tag.float32 : Tag.float64;
  return single ? bytes.writeFloatBE(value, at + 1) : bytes.writeDoubleBE(value, at + 1);
}
