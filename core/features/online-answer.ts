/** What the kept rows of an entity answer at a time: the offline join (latest-view.ts, window-view.ts) for one key and time. */
import { RefitError } from '../spec/errors.ts';
import { shift } from '../spec/time.ts';
import { aggregateValues } from './aggregate.ts';
import { type KeptRows, unpackKept, valueAt } from './kept-rows.ts';
import { ageOf } from './latest-view.ts';
import type { OnlineLookup, OnlineRead } from './online-layout.ts';
import type { OnlineRow, OnlineValue } from './online-store.ts';
import { aggregateTiled, type Tile } from './tile.ts';

export interface OnlineAnswer {
  /** By feature of the look-up. */
  values: OnlineValue[];
  /** Newest row that counted, or would have had it not expired; null where there is none or it has no time. */
  eventAtUs: number | null;
  /** The row is older than the ttl: the values are missing, and these are what they were. */
  expired: OnlineValue[] | undefined;
}

/**
 * Prepares a look-up for a time (ISO UTC). The function that is returned answers for a row of the store.
 * @throws RefitError REFIT_ONLINE_STALE, from that function, where rows were not kept that the answer needs
 */
export function answerer(lookup: OnlineLookup, at: string): (row: OnlineRow | undefined) => OnlineAnswer {
  const atUs = Date.parse(at) * 1000;
  const { read, absent } = lookup;
  const nothing: OnlineAnswer = { values: absent, eventAtUs: null, expired: undefined };
  const answer = read.kind === 'latest' ? latestAnswer(read, lookup, at, atUs) : windowAnswer(read, atUs);
  return (row) => {
    if (!row) return nothing;
    // The next materialisation is under way, and this row is of it: rows that only an earlier time sees are gone already.
    if (row.eventAtUs > atUs) return answerer(lookup, new Date(row.eventAtUs / 1000).toISOString())(row);
    const kept = unpackKept(row.values, lookup.texts);
    const askedUs = read.kind === 'latest' ? atUs + read.aheadUs : atUs;
    if (askedUs >= kept.untilUs) throw stale(lookup, row, at);
    return answer(kept, row.eventAtUs, () => stale(lookup, row, at)) ?? nothing;
  };
}

/** `asOfUs`: when the rows were written as of; the rows of a tile are no later. */
type Answer = (kept: KeptRows, asOfUs: number, stale: () => RefitError) => OnlineAnswer | undefined;

/** The newest of the rows that happened and were known; the oldest that the ttl allows still answers. */
function latestAnswer(
  { ttl, aheadUs, ages }: Extract<OnlineRead, { kind: 'latest' }>,
  { features }: OnlineLookup,
  at: string,
  atUs: number,
): Answer {
  // Months step in the calendar: from where the join counts, predict_at + ahead.
  const limitUs =
    ttl === undefined ? -Infinity : shift(new Date(Date.parse(at) + aheadUs / 1000), ttl, -1).getTime() * 1000;
  return ({ eventsUs, knownUs, columns }) => {
    let row = eventsUs.length - 1;
    while (row >= 0 && ((eventsUs[row] as number) > atUs + aheadUs || (knownUs[row] as number) > atUs)) row -= 1;
    if (row < 0) return undefined;
    const eventUs = eventsUs[row] as number;
    let column = 0;
    const values = features.map((_feature, i) => {
      const unit = ages[i];
      return unit ? ageOf(unit, atUs, eventUs) : valueAt(columns[column++] as KeptRows['columns'][number], row);
    });
    const eventAtUs = Number.isFinite(eventUs) ? eventUs : null;
    if (eventUs >= limitUs) return { values, eventAtUs, expired: undefined };
    return { values: values.map(() => null), eventAtUs, expired: values };
  };
}

/** The aggregates over (at - over, at], as far as known at `at`. */
function windowAnswer({ overUs, last, measures }: Extract<OnlineRead, { kind: 'window' }>, atUs: number): Answer {
  const afterUs = overUs === null ? -Infinity : atUs - overUs;
  return ({ eventsUs, knownUs, columns, tile }, asOfUs, stale) => {
    const counted: number[] = [];
    for (const [row, eventUs] of eventsUs.entries()) {
      if (eventUs > afterUs && eventUs <= atUs && (knownUs[row] as number) <= atUs) counted.push(row);
    }
    const whole = tile && wholeTile(tile, afterUs, atUs, stale);
    const rows = last === null ? counted : counted.slice(Math.max(0, counted.length - last));
    const split = whole ? rows.findIndex((row) => (eventsUs[row] as number) > asOfUs) : 0;
    const values = measures.map((of, i) => {
      const own = rows.map((row) => valueAt(columns[i] as KeptRows['columns'][number], row));
      if (!whole) return aggregateValues(of, own);
      const older = split < 0 ? own.length : split;
      return aggregateTiled(of, whole.totals[i] ?? { n: 0 }, own.slice(0, older), own.slice(older));
    });
    const newest = rows.length > 0 ? (eventsUs[rows.at(-1) as number] as number) : -Infinity;
    const eventAtUs = Math.max(newest, whole?.lastUs ?? -Infinity);
    return { values, eventAtUs: Number.isFinite(eventAtUs) ? eventAtUs : null, expired: undefined };
  };
}

/** The tile where all of it counts, undefined where none does. @throws RefitError where a part of it does */
function wholeTile(tile: Tile, afterUs: number, atUs: number, stale: () => RefitError): Tile | undefined {
  if (tile.lastUs <= afterUs) return undefined;
  if (tile.firstUs <= afterUs || tile.lastUs > atUs || tile.knownUs > atUs) throw stale();
  return tile;
}

function stale({ view }: OnlineLookup, { key, eventAtUs }: OnlineRow, at: string): RefitError {
  const asOf = new Date(eventAtUs / 1000).toISOString();
  return new RefitError(
    'REFIT_ONLINE_STALE',
    `The online rows of ${view} for ${key} are as of ${asOf}, and there are too many to be kept one by one until ${at}.`,
    { view, key, asOf, at },
  );
}
