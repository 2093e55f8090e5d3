/**
 * The file of columns that transforms made (`Prepared.columns`): uint32 LE length of the header · header, JSON · the columns one
 * after the other, `rows` values each: numbers as float32 LE, texts as int32 LE places in the header's levels, -1 = missing.
 */
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { RefitError } from '../spec/errors.ts';

/** float32 values (NaN or infinite = missing), or texts (null = missing). */
export type ColumnValues = Float32Array | (string | null)[];

interface Header {
  rows: number;
  columns: { name: string; levels?: string[] }[];
}

/** Equal columns give equal bytes. */
export function encodeColumns(rows: number, columns: ReadonlyMap<string, ColumnValues>): Buffer {
  const header: Header = { rows, columns: [] };
  const bodies: Buffer[] = [];
  for (const [name, values] of columns) {
    const levels = values instanceof Float32Array ? undefined : [...new Set(values.filter(isText))].sort();
    header.columns.push(levels ? { name, levels } : { name });
    const body = values instanceof Float32Array ? canonicalNaN(values) : codes(values, levels ?? []);
    bodies.push(Buffer.from(body.buffer, body.byteOffset, body.byteLength));
  }
  const json = Buffer.from(JSON.stringify(header));
  // The values begin at a multiple of four bytes, for whoever maps them.
  const padded = Buffer.concat([json, Buffer.alloc((4 - (json.length % 4)) % 4, ' ')]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(padded.length);
  return Buffer.concat([length, padded, ...bodies]);
}

const isText = (value: string | null): value is string => value !== null;

/** Every NaN with the same bits. */
function canonicalNaN(values: Float32Array): Float32Array {
  return values.map((value) => (Number.isNaN(value) ? Number.NaN : value));
}

function codes(values: readonly (string | null)[], levels: readonly string[]): Int32Array {
  const places = new Map<string | null, number>(levels.map((level, place) => [level, place]));
  return Int32Array.from(values, (value) => places.get(value) ?? -1);
}

/** Rows `from` to before `to` of each. */
export interface RowRange {
  from: number;
  to: number;
}

/**
 * Reads columns by name, of some stretches of rows; names that the file does not have are left out.
 * @throws RefitError REFIT_STORE_CORRUPT when the file is not of so many rows
 */
export async function readColumnFile(
  path: string,
  names: readonly string[],
  ranges: readonly RowRange[],
): Promise<Map<string, ColumnValues>> {
  const file = await open(path);
  try {
    const { header, start } = await readHeader(file);
    const wanted = new Set(names);
    const found = new Map<string, ColumnValues>();
    for (const [index, { name, levels }] of header.columns.entries()) {
      if (!wanted.has(name)) continue;
      const bytes = await readRanges(file, start + index * header.rows * 4, header.rows, ranges);
      const values = new Float32Array(bytes.buffer);
      found.set(name, levels ? Array.from(new Int32Array(bytes.buffer), (code) => levels[code] ?? null) : values);
    }
    return found;
  } finally {
    await file.close();
  }
}

async function readHeader(file: FileHandle): Promise<{ header: Header; start: number }> {
  const length = Buffer.alloc(4);
  await file.read(length, 0, 4, 0);
  const json = Buffer.alloc(length.readUInt32LE());
  await file.read(json, 0, json.length, 4);
  const header = JSON.parse(json.toString()) as Header;
  const start = 4 + json.length;
  const { size } = await file.stat();
  if (size !== start + header.columns.length * header.rows * 4) {
    throw new RefitError('REFIT_STORE_CORRUPT', 'The file of transformed columns is cut off.', { bytes: size });
  }
  return { header, start };
}

async function readRanges(
  file: FileHandle,
  start: number,
  rows: number,
  ranges: readonly RowRange[],
): Promise<Uint8Array> {
  const bytes = new Uint8Array(ranges.reduce((sum, { from, to }) => sum + to - from, 0) * 4);
  let at = 0;
  for (const { from, to } of ranges) {
    if (to > rows) throw new RefitError('REFIT_STORE_CORRUPT', `The transformed columns have ${rows} rows, not ${to}.`);
    // A single read may give fewer bytes than asked for.
    for (const end = at + (to - from) * 4; at < end; ) {
      const done = end - (to - from) * 4;
      const { bytesRead } = await file.read(bytes, at, end - at, start + from * 4 + (at - done));
      if (bytesRead === 0) throw new RefitError('REFIT_STORE_CORRUPT', 'The file of transformed columns is cut off.');
      at += bytesRead;
    }
  }
  return bytes;
}
