/**
 * The rows of one entity that the online store keeps, so that what they answer is computed when somebody asks: a window slides,
 * a value expires and a forecast comes due without anybody writing. How many are kept is bounded; what goes beyond is folded
 * into a tile (tile.ts), or marked with `untilUs`, so that it is refused rather than answered wrongly.
 *
 * Times are microseconds since 1970 UTC; rows stand in order of event time, then of when they were known.
 */
import { RefitError } from '../spec/errors.ts';
import type { OnlineValue, StoredValue } from './online-store.ts';
import type { Tile } from './tile.ts';

/** A column of numbers (NaN = missing) or of texts. */
export type KeptColumn = Float64Array | (string | null)[];

export interface KeptRows {
  eventsUs: Float64Array;
  knownUs: Float64Array;
  columns: KeptColumn[];
  /** Rows between the kept ones, as totals. */
  tile: Tile | undefined;
  /** The first event time of the rows to come that were not kept; Infinity where all were. */
  untilUs: number;
}

/** What is stored: tile and `untilUs` as JSON (null where there is neither), numbers as bytes, then each column of texts as JSON. */
export function packKept({ eventsUs, knownUs, columns, tile, untilUs }: KeptRows): StoredValue[] {
  const numbers = columns.filter((column) => column instanceof Float64Array);
  const all = new Float64Array(eventsUs.length * (numbers.length + 2));
  for (const [i, column] of [eventsUs, knownUs, ...numbers].entries()) all.set(column, i * eventsUs.length);
  const header = tile || untilUs !== Infinity ? JSON.stringify({ tile, untilUs: finite(untilUs) }) : null;
  const texts = columns.filter((column) => !(column instanceof Float64Array)).map((column) => JSON.stringify(column));
  return [header, new Uint8Array(all.buffer), ...texts];
}

const finite = (value: number) => (Number.isFinite(value) ? value : null);

/** `texts`: which columns are texts. @throws RefitError REFIT_STORE_CORRUPT */
export function unpackKept(values: readonly StoredValue[], texts: readonly boolean[]): KeptRows {
  const [header, bytes, ...rest] = values;
  const width = texts.filter((text) => !text).length + 2;
  if (
    !(bytes instanceof Uint8Array) ||
    rest.length !== texts.length + 2 - width ||
    bytes.byteLength % (8 * width) > 0
  ) {
    throw new RefitError('REFIT_STORE_CORRUPT', 'A row of the online store does not have the shape of its view.');
  }
  // Copied, because numbers must lie at multiples of eight.
  const all = new Float64Array(new Uint8Array(bytes).buffer);
  const rows = all.length / width;
  let number = 2;
  let text = 0;
  const columns = texts.map((isText): KeptColumn => {
    if (isText) return JSON.parse(String(rest[text++])) as (string | null)[];
    return all.subarray(number * rows, ++number * rows);
  });
  const { tile, untilUs } =
    header === null ? { tile: undefined, untilUs: null } : (JSON.parse(String(header)) as Partial<KeptRows>);
  return {
    eventsUs: all.subarray(0, rows),
    knownUs: all.subarray(rows, 2 * rows),
    columns,
    tile,
    untilUs: untilUs ?? Number.POSITIVE_INFINITY,
  };
}

/** A row's value in a column. */
export function valueAt(column: KeptColumn, row: number): OnlineValue {
  const value = column[row] ?? null;
  return typeof value === 'number' && Number.isNaN(value) ? null : value;
}
