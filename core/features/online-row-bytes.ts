/**
 * Rows of the online store as bytes, for stores that know nothing else. All numbers are big-endian:
 *
 *   0  event time, float64      8  known time, float64     16  format, 1 byte     17  values, one after another
 *
 * A value is a tag and its content: 0 null · 1 float64 · 2 float32 · 3 text · 4 bytes (both: uint32 length, then UTF-8 or bytes). The times come first and
 * at fixed places, so that a script inside the store can compare them without reading the rest.
 */
import { RefitError } from '../spec/errors.ts';
import type { OnlineRow, StoredValue } from './online-store.ts';

const HEADER = 17;
const FORMAT = 1;
const Tag = { null: 0, float64: 1, float32: 2, text: 3, bytes: 4 } as const;

/** The key is not part of it. */
export function packRow({ values, eventAtUs, knownAtUs }: OnlineRow): Buffer {
  const sizes = values.map(sizeOf);
  const bytes = Buffer.allocUnsafe(sizes.reduce((sum, size) => sum + size, HEADER));
  bytes.writeDoubleBE(eventAtUs, 0);
  bytes.writeDoubleBE(knownAtUs, 8);
  bytes.writeUInt8(FORMAT, 16);
  let at = HEADER;
  for (const [i, value] of values.entries()) {
    writeValue(bytes, at, value, sizes[i] as number);
    at += sizes[i] as number;
  }
  return bytes;
}

/** @throws RefitError REFIT_STORE_CORRUPT when these are no bytes of `packRow` */
export function unpackRow(key: string, bytes: Buffer): OnlineRow {
  try {
    if (bytes.readUInt8(16) !== FORMAT) throw new RangeError('another format');
    const values: StoredValue[] = [];
    let at = HEADER;
    while (at < bytes.length) {
      const [value, next] = readValue(bytes, at);
      values.push(value);
      at = next;
    }
    return { key, values, eventAtUs: bytes.readDoubleBE(0), knownAtUs: bytes.readDoubleBE(8) };
  } catch (error) {
    const message = `The online features of ${key} are not readable: ${String(error)}.`;
    throw new RefitError('REFIT_STORE_CORRUPT', message, { key }, { cause: error });
  }
}

const isFloat32 = (value: number) => Math.fround(value) === value;

function sizeOf(value: StoredValue): number {
  if (value === null) return 1;
  if (typeof value === 'number') return isFloat32(value) ? 5 : 9;
  return 5 + (typeof value === 'string' ? Buffer.byteLength(value) : value.byteLength);
}

function writeValue(bytes: Buffer, at: number, value: StoredValue, size: number): void {
  if (value === null) bytes.writeUInt8(Tag.null, at);
  else if (typeof value === 'string') {
    bytes.writeUInt8(Tag.text, at);
    bytes.writeUInt32BE(size - 5, at + 1);
    bytes.write(value, at + 5);
  } else if (typeof value !== 'number') {
    bytes.writeUInt8(Tag.bytes, at);
    bytes.writeUInt32BE(size - 5, at + 1);
    bytes.set(value, at + 5);
  } else if (size === 5) {
    bytes.writeUInt8(Tag.float32, at);
    bytes.writeFloatBE(value, at + 1);
  } else {
    bytes.writeUInt8(Tag.float64, at);
    bytes.writeDoubleBE(value, at + 1);
  }
}

function readValue(bytes: Buffer, at: number): [value: StoredValue, next: number] {
  const tag = bytes[at];
  if (tag === Tag.null) return [null, at + 1];
  if (tag === Tag.float32) return [bytes.readFloatBE(at + 1), at + 5];
  if (tag === Tag.float64) return [bytes.readDoubleBE(at + 1), at + 9];
  if (tag !== Tag.text && tag !== Tag.bytes) throw new RangeError(`a value of kind ${tag}`);
  const end = at + 5 + bytes.readUInt32BE(at + 1);
  if (end > bytes.length) throw new RangeError('cut short');
  return [tag === Tag.text ? bytes.toString('utf8', at + 5, end) : bytes.subarray(at + 5, end), end];
}
