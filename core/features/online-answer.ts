/** What the kept rows of an entity answer at a time: the offline join (latest-view.ts, window-view.ts) for one key and time. */
import { RefitError } from '../spec/errors.ts';
import { shift } from '../spec/time.ts';
import { aggregateNumbers, aggregateValues } from './aggregate.ts';
import { type FeatureColumn, setValue } from './feature-column.ts';
import { KeptReader } from './kept-rows.ts';
import { ageOf } from './latest-view.ts';
import type { OnlineLookup, OnlineRead } from './online-layout.ts';
import { eventAtUsOf } from './online-row-bytes.ts';
import { aggregateTiled, type Tile } from './tile.ts';

export interface Answerer {
  /**
   * Writes what a row of the store answers into the columns of the look-up's features, at a place; what is there already stays
   * where nothing answers, or where that is expired and not wanted so.
   * @returns event time of the newest row that counted, or would have had it not expired; -Infinity where there is none or it has
   * no time. @throws RefitError REFIT_ONLINE_STALE where rows were not kept that the answer needs
   */
  fill(bytes: Buffer, key: string, columns: FeatureColumn[], place: number, evenExpired?: boolean): number;
  /** Whether a row of that event time is older than the ttl. */
  isExpired(eventAtUs: number): boolean;
}

/** Prepares a look-up for a time (ISO UTC). */
export function answerer(lookup: OnlineLookup, at: string): Answerer {
  const { read } = lookup;
  const kept = new KeptReader(lookup.texts);
  const prepare = (time: string) => {
    const atUs = Date.parse(time) * 1000;
    const answer = read.kind === 'latest' ? latestAnswer(read, time, atUs) : windowAnswer(read, lookup.view, atUs);
    return { time, atUs, askedUs: read.kind === 'latest' ? atUs + read.aheadUs : atUs, ...answer };
  };
  const asked = prepare(at);
  let later = asked;
  return {
    isExpired: (eventAtUs) => eventAtUs < asked.limitUs,
    fill(bytes, key, columns, place, evenExpired = false) {
      const asOfUs = eventAtUsOf(bytes);
      let own = asked;
      // The next materialisation is under way, and this row is of it: rows that only an earlier time sees are gone already.
      if (asOfUs > asked.atUs) {
        if (later.atUs !== asOfUs) later = prepare(new Date(asOfUs / 1000).toISOString());
        own = later;
      }
      kept.load(bytes, key);
      if (own.askedUs >= kept.untilUs) throw staleError({ key, asOfUs, at: own.time, view: lookup.view });
      return own.fill({ kept, key, asOfUs }, { columns, place, evenExpired });
    },
  };
}

interface From {
  kept: KeptReader;
  key: string;
  /** When the rows were written as of; the rows of a tile are no later. */
  asOfUs: number;
}

interface To {
  columns: FeatureColumn[];
  place: number;
  evenExpired: boolean;
}

interface Answer {
  /** Older rows are expired. */
  limitUs: number;
  fill(from: From, to: To): number;
}

/** The newest of the rows that happened and were known; the oldest that the ttl allows still answers. */
function latestAnswer(
  { ttl, aheadUs, ages }: Extract<OnlineRead, { kind: 'latest' }>,
  at: string,
  atUs: number,
): Answer {
  // Months step in the calendar: from where the join counts, predict_at + ahead.
  const limitUs =
    ttl === undefined ? -Infinity : shift(new Date(Date.parse(at) + aheadUs / 1000), ttl, -1).getTime() * 1000;
  return {
    limitUs,
    fill({ kept }, { columns, place, evenExpired }) {
      let row = kept.rows - 1;
      while (row >= 0 && (kept.eventUs(row) > atUs + aheadUs || kept.knownUs(row) > atUs)) row -= 1;
      if (row < 0) return -Infinity;
      const eventUs = kept.eventUs(row);
      if (eventUs < limitUs && !evenExpired) return eventUs;
      let own = 0;
      for (let i = 0; i < columns.length; i++) {
        const column = columns[i] as FeatureColumn;
        const unit = ages[i];
        // Before all time is no age.
        if (unit) column[place] = eventUs === -Infinity ? Number.NaN : ageOf(unit, atUs, eventUs);
        else if (column instanceof Float64Array) column[place] = kept.number(own++, row);
        else column[place] = kept.text(own++, row);
      }
      return eventUs;
    },
  };
}

/** The aggregates over (at - over, at], as far as known at `at`. */
function windowAnswer(
  { overUs, last, measures }: Extract<OnlineRead, { kind: 'window' }>,
  view: string,
  atUs: number,
): Answer {
  const afterUs = overUs === null ? -Infinity : atUs - overUs;
  let rows = new Uint32Array(64);
  let numbers = new Float64Array(64);
  return {
    limitUs: -Infinity,
    fill({ kept, key, asOfUs }, { columns, place }) {
      if (rows.length < kept.rows) [rows, numbers] = [new Uint32Array(2 * kept.rows), new Float64Array(2 * kept.rows)];
      let counted = 0;
      for (let row = 0; row < kept.rows; row++) {
        const eventUs = kept.eventUs(row);
        if (eventUs > afterUs && eventUs <= atUs && kept.knownUs(row) <= atUs) rows[counted++] = row;
      }
      const whole = kept.tile && tileIn(kept.tile, afterUs, atUs);
      if (whole === 'in part') throw staleError({ view, key, asOfUs, at: new Date(atUs / 1000).toISOString() });
      const own = rows.subarray(last === null ? 0 : Math.max(0, counted - last), counted);
      for (let i = 0; i < measures.length; i++) {
        const of = measures[i] as (typeof measures)[number];
        if (!whole && !kept.isText(i)) {
          const present = gather(kept, i, own, numbers);
          (columns[i] as FeatureColumn)[place] = aggregateNumbers(of, numbers, present) ?? Number.NaN;
          continue;
        }
        const values = Array.from(own, (row) => (kept.isText(i) ? kept.text(i, row) : orNull(kept.number(i, row))));
        const split = own.findIndex((row) => kept.eventUs(row) > asOfUs);
        const older = split < 0 ? values.length : split;
        const value = whole
          ? aggregateTiled(of, whole.totals[i] ?? { n: 0 }, values.slice(0, older), values.slice(older))
          : aggregateValues(of, values);
        setValue(columns[i] as FeatureColumn, place, value);
      }
      const newest = own.length > 0 ? kept.eventUs(own[own.length - 1] as number) : -Infinity;
      return Math.max(newest, whole?.lastUs ?? -Infinity);
    },
  };
}

/** Copies the numbers of some rows that are not missing. @returns how many */
function gather(kept: KeptReader, column: number, rows: Uint32Array, to: Float64Array): number {
  let present = 0;
  for (let i = 0; i < rows.length; i++) {
    const value = kept.number(column, rows[i] as number);
    if (!Number.isNaN(value)) to[present++] = value;
  }
  return present;
}

const orNull = (value: number) => (Number.isNaN(value) ? null : value);

/** The tile where all of it counts, undefined where none does. */
function tileIn(tile: Tile, afterUs: number, atUs: number): Tile | 'in part' | undefined {
  if (tile.lastUs <= afterUs) return undefined;
  return tile.firstUs <= afterUs || tile.lastUs > atUs || tile.knownUs > atUs ? 'in part' : tile;
}

function staleError({ view, key, asOfUs, at }: { view: string; key: string; asOfUs: number; at: string }): RefitError {
  const asOf = new Date(asOfUs / 1000).toISOString();
  return new RefitError(
    'REFIT_ONLINE_STALE',
    `The online rows of ${view} for ${key} are as of ${asOf}, and there are too many to be kept one by one until ${at}.`,
    { view, key, asOf, at },
  );
}
