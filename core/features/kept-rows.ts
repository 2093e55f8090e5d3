/**
 * The rows of one entity that the online store keeps, so that what they answer is computed when somebody asks: a window slides,
 * a value expires and a forecast comes due without anybody writing. How many are kept is bounded; what goes beyond is folded
 * into a tile (tile.ts), or marked with `untilUs`, so that it is refused rather than answered wrongly.
 *
 * Times are microseconds since 1970 UTC; rows stand in order of event time, then of when they were known.
 */
import { RefitError } from '../spec/errors.ts';
import { ValueReader } from './online-row-bytes.ts';
import type { StoredValue } from './online-store.ts';
import type { Tile } from './tile.ts';

export interface KeptRows {
  /** Event times, known times, then each column of numbers (NaN = missing), one after another. */
  numbers: Float64Array;
  /** The columns of texts. */
  texts: readonly (readonly (string | null)[])[];
  /** Rows between the kept ones, as totals. */
  tile: Tile | undefined;
  /** The first event time of the rows to come that were not kept; Infinity where all were. */
  untilUs: number;
}

/**
 * What is stored: tile and `untilUs` as JSON (null where there is neither), all numbers as little-endian float64, then each column
 * of texts (`packTexts`).
 */
export function packKept({ numbers, texts, tile, untilUs }: KeptRows): StoredValue[] {
  const header = tile || untilUs !== Infinity ? JSON.stringify({ tile, untilUs: finite(untilUs) }) : null;
  const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  return [header, bytes, ...texts.map(packTexts)];
}

const finite = (value: number) => (Number.isFinite(value) ? value : null);

/** Each text as a uint32 (little-endian), its length in bytes and one more, and its UTF-8; 0 = missing. */
function packTexts(texts: readonly (string | null)[]): Buffer {
  const parts = texts.flatMap((text) => {
    const length = Buffer.alloc(4);
    if (text === null) return [length];
    const bytes = Buffer.from(text);
    length.writeUInt32LE(bytes.length + 1);
    return [length, bytes];
  });
  return Buffer.concat(parts);
}

function unpackTexts(bytes: Buffer): (string | null)[] {
  const texts: (string | null)[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + Math.max(0, bytes.readUInt32LE(at) - 1);
    texts.push(bytes.readUInt32LE(at) === 0 ? null : bytes.toString('utf8', at + 4, end));
    at = end;
  }
  return texts;
}

/**
 * Reads kept rows out of the bytes of the store, one entity after another in the same memory: what it gives is good until it
 * loads the next one. `texts`: which columns are texts.
 */
export class KeptReader {
  readonly #texts: readonly boolean[];
  /** By column: its place among the numbers (after the two times), or among the columns of texts. */
  readonly #places: number[];
  readonly #width: number;
  #numbers = new Float64Array(32);
  #columns: (string | null)[][] = [];
  rows = 0;
  tile: Tile | undefined;
  untilUs = Number.POSITIVE_INFINITY;

  constructor(texts: readonly boolean[]) {
    this.#texts = texts;
    const counts = { numbers: 2, texts: 0 };
    this.#places = texts.map((text) => (text ? counts.texts++ : counts.numbers++));
    this.#width = counts.numbers;
  }

  /** @throws RefitError REFIT_STORE_CORRUPT */
  load(bytes: Buffer, key: string): void {
    const reader = new ValueReader(bytes, key);
    const header = reader.next();
    const numbers = reader.next();
    if (!(numbers instanceof Uint8Array) || numbers.length % (8 * this.#width) > 0) throw misshapen(key);
    this.rows = numbers.length / 8 / this.#width;
    if (this.#numbers.byteLength < numbers.length) this.#numbers = new Float64Array(numbers.length / 4);
    // Copied, because numbers must lie at multiples of eight.
    new Uint8Array(this.#numbers.buffer).set(numbers);
    this.tile = undefined;
    this.untilUs = Number.POSITIVE_INFINITY;
    if (header !== null) {
      const { tile, untilUs } = JSON.parse(String(header)) as { tile?: Tile; untilUs: number | null };
      this.tile = tile;
      this.untilUs = untilUs ?? Number.POSITIVE_INFINITY;
    }
    this.#columns = [];
    while (!reader.atEnd) this.#columns.push(unpackTexts(reader.next() as Buffer));
    if (this.#columns.length !== this.#texts.length + 2 - this.#width) throw misshapen(key);
  }

  eventUs(row: number): number {
    return this.#numbers[row] as number;
  }

  knownUs(row: number): number {
    return this.#numbers[this.rows + row] as number;
  }

  isText(column: number): boolean {
    return this.#texts[column] as boolean;
  }

  /** Of a column of numbers; NaN = missing. */
  number(column: number, row: number): number {
    return this.#numbers[(this.#places[column] as number) * this.rows + row] as number;
  }

  /** Of a column of texts. */
  text(column: number, row: number): string | null {
    return this.#columns[this.#places[column] as number]?.[row] ?? null;
  }
}

function misshapen(key: string): RefitError {
  const message = `The rows of ${key} in the online store do not have the shape of their view.`;
  return new RefitError('REFIT_STORE_CORRUPT', message, { key });
}
