/** Tensors of the Open Inference Protocol: datatypes, their bytes (little-endian), and how they become feature columns. */
import { RefitError } from '../../core/spec/errors.ts';

interface Reader {
  bytes: number;
  read(view: DataView, at: number): number;
}

/** Datatypes that can stand for a number feature. */
const NUMBERS: Record<string, Reader> = {
  BOOL: { bytes: 1, read: (view, at) => Number(view.getUint8(at) !== 0) },
  UINT8: { bytes: 1, read: (view, at) => view.getUint8(at) },
  UINT16: { bytes: 2, read: (view, at) => view.getUint16(at, true) },
  UINT32: { bytes: 4, read: (view, at) => view.getUint32(at, true) },
  UINT64: { bytes: 8, read: (view, at) => Number(view.getBigUint64(at, true)) },
  INT8: { bytes: 1, read: (view, at) => view.getInt8(at) },
  INT16: { bytes: 2, read: (view, at) => view.getInt16(at, true) },
  INT32: { bytes: 4, read: (view, at) => view.getInt32(at, true) },
  INT64: { bytes: 8, read: (view, at) => Number(view.getBigInt64(at, true)) },
  FP16: { bytes: 2, read: (view, at) => halfToNumber(view.getUint16(at, true)) },
  FP32: { bytes: 4, read: (view, at) => view.getFloat32(at, true) },
  FP64: { bytes: 8, read: (view, at) => view.getFloat64(at, true) },
};

export const NUMBER_DATATYPES = Object.keys(NUMBERS);
export const DATATYPES = [...NUMBER_DATATYPES, 'BYTES'];

/** IEEE 754 half precision: 0x3C00 = 1, 0x0001 = 2⁻²⁴. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Elements [count] of a binary tensor. @throws RefitError REFIT_REQUEST_INVALID when the bytes are more or fewer */
export function readNumbers(name: string, datatype: string, data: Uint8Array, count: number): number[] {
  const { bytes, read } = NUMBERS[datatype] as Reader;
  if (data.byteLength !== count * bytes) {
    throw invalid(
      `Input "${name}" has ${data.byteLength} bytes, but ${count} elements of ${datatype} are ${count * bytes} bytes.`,
    );
  }
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return Array.from({ length: count }, (_, i) => read(view, i * bytes));
}

/** Texts [count] of a binary BYTES tensor: each its length (uint32), then its UTF-8. @throws RefitError REFIT_REQUEST_INVALID */
export function readTexts(name: string, data: Uint8Array, count: number): string[] {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const texts: string[] = [];
  let at = 0;
  while (at < data.byteLength) {
    const length = at + 4 <= data.byteLength ? view.getUint32(at, true) : Number.POSITIVE_INFINITY;
    if (at + 4 + length > data.byteLength) {
      throw invalid(`Input "${name}" ends within its element ${texts.length}: a length is followed by too few bytes.`);
    }
    texts.push(decodeText(name, texts.length, data.subarray(at + 4, at + 4 + length)));
    at += 4 + length;
  }
  if (texts.length !== count) {
    throw invalid(`Input "${name}" has ${texts.length} elements, but its shape says ${count}.`);
  }
  return texts;
}

function decodeText(name: string, position: number, bytes: Uint8Array): string {
  try {
    // Every character counts, a byte order mark too: the same text sent as JSON keeps it.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalid(`Input "${name}": element ${position} is no UTF-8 text.`);
  }
}

/** The opposite of `readTexts`. `['JFK']` → 03 00 00 00 4A 46 4B */
export function writeTexts(texts: readonly string[]): Uint8Array {
  const parts = texts.flatMap((text) => {
    const bytes = Buffer.from(text, 'utf8');
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    return [length, bytes];
  });
  return Buffer.concat(parts);
}

/** Little-endian float32. */
export function writeFloats(values: ArrayLike<number>): Uint8Array {
  const data = new Uint8Array(values.length * 4);
  const view = new DataView(data.buffer);
  for (let i = 0; i < values.length; i++) view.setFloat32(i * 4, values[i] as number, true);
  return data;
}

export function invalid(message: string, details: Record<string, unknown> = {}): RefitError {
  return new RefitError('REFIT_REQUEST_INVALID', message, details);
}
