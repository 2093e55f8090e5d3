/**
 * Many rows of a window as totals that further rows can be added to, exactly. A tile is all in the window or all out of it:
 * who asks at a time in between is refused (online-answer.ts).
 */
import { RefitError } from '../spec/errors.ts';
import type { Aggregate } from '../spec/pipeline.ts';
import { type AggregateValue, aggregateValues, fromTotals, interpolated, scaleOf, toSteps } from './aggregate.ts';

type Of = Pick<Aggregate, 'fn' | 'q'>;

/** Distinct values that a tile holds for `quantile` and `distinct`, at most. */
export const TILE_VALUES = 10_000;

/** Totals of one measure over rows; what its aggregate does not need is left out. */
export interface Total {
  /** Values that are not missing. */
  n: number;
  /** Sums of whole steps (aggregate.ts) and of their squares, as decimal digits. */
  sum?: string;
  squares?: string;
  low?: number;
  high?: number;
  newest?: AggregateValue;
  /** Each value, and how often. */
  counts?: [value: number | string, count: number][];
}

export interface Tile {
  /** Event times of the oldest and the newest row, and when the last of them was known, in microseconds since 1970. */
  firstUs: number;
  lastUs: number;
  knownUs: number;
  /** By measure. */
  totals: Total[];
}

/** Adds up the values of one measure, oldest first. */
export interface Totaller {
  add(value: AggregateValue): void;
  /** @throws RefitError REFIT_ONLINE_WINDOW_TOO_LARGE */
  total(): Total;
}

export function createTotaller(of: Of): Totaller {
  const { fn } = of;
  const scale = scaleOf(fn);
  const total: Total = { n: 0 };
  let [sum, squares] = [0n, 0n];
  const counts = new Map<number | string, number>();
  return {
    add(value) {
      if (value === null) return;
      total.n += 1;
      if (fn === 'last') total.newest = value;
      else if (fn === 'quantile' || fn === 'distinct') counts.set(value, (counts.get(value) ?? 0) + 1);
      else if (fn === 'min') total.low = Math.min(total.low ?? Infinity, value as number);
      else if (fn === 'max') total.high = Math.max(total.high ?? -Infinity, value as number);
      else if (fn !== 'count') {
        const steps = toSteps(value as number, scale);
        sum += steps;
        if (fn === 'std') squares += steps * steps;
      }
      if (counts.size > TILE_VALUES) throw tooLarge(fn);
    },
    total() {
      if (fn === 'sum' || fn === 'avg' || fn === 'std' || fn === 'share') total.sum = String(sum);
      if (fn === 'std') total.squares = String(squares);
      if (counts.size > 0) total.counts = [...counts];
      return total;
    },
  };
}

function tooLarge(fn: string): RefitError {
  return new RefitError(
    'REFIT_ONLINE_WINDOW_TOO_LARGE',
    `${fn} over a window with more than ${TILE_VALUES} different values cannot be kept online.`,
    { fn, limit: TILE_VALUES },
  );
}

/** The aggregate over `older` values, those of the tile, and `newer` ones; equals that over all rows themselves. */
export function aggregateTiled(
  of: Of,
  total: Total,
  older: readonly AggregateValue[],
  newer: readonly AggregateValue[],
): AggregateValue {
  const { fn } = of;
  const present = [...older, ...newer].filter((value) => value !== null);
  const n = total.n + present.length;
  if (fn === 'count') return n;
  if (fn === 'distinct') return new Set([...(total.counts ?? []).map(([value]) => value), ...present]).size;
  if (n === 0) return null;
  if (fn === 'last') return aggregateValues(of, [...older, total.newest ?? null, ...newer]);
  if (fn === 'min' || fn === 'max') return aggregateValues(of, [total.low ?? total.high ?? null, ...present]);
  if (fn === 'quantile') return weightedQuantile(total.counts ?? [], present as number[], of.q ?? 0.5);
  const rest = createTotaller(of);
  for (const value of present) rest.add(value);
  const { sum = '0', squares = '0' } = rest.total();
  return fromTotals(fn, {
    n,
    sum: BigInt(sum) + BigInt(total.sum ?? '0'),
    squares: BigInt(squares) + BigInt(total.squares ?? '0'),
  });
}

function weightedQuantile(counts: NonNullable<Total['counts']>, values: number[], q: number): number {
  const all = [...(counts as [number, number][]), ...values.map((value): [number, number] => [value, 1])];
  all.sort(([a], [b]) => a - b);
  const n = all.reduce((sum, [, count]) => sum + count, 0);
  return interpolated(n, q, (index) => {
    let before = index;
    for (const [value, count] of all) {
      if (before < count) return value;
      before -= count;
    }
    return Number.NaN;
  });
}
