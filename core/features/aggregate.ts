/**
 * What the aggregates of window views mean, over the values of some rows: the definition that windows of counted rows and
 * the online store compute by, and that the SQL of window-view.ts equals to the last bit.
 *
 * Sums are exact and do not depend on order: values are whole multiples of 2^-32 (about 2e-10), for `std` of 2^-20 (about
 * 1e-6), as big integers. Results are float32, as every feature.
 */
import type { Aggregate } from '../spec/pipeline.ts';

/** A row's value: a number (of a `share`'s condition 0 or 1, of `count(*)` anything), a text, or null = missing. */
export type AggregateValue = number | string | null;

/** Steps per unit of the fixed-point numbers; squares need twice the digits. */
export function scaleOf(fn: Aggregate['fn']): number {
  if (fn === 'share') return 1;
  return fn === 'std' ? 2 ** 20 : 2 ** 32;
}

/**
 * The aggregate over the values of a window's rows, oldest first; missing values do not count. Nothing to aggregate gives 0
 * for `count` and `distinct`, else null.
 *
 *   aggregateValues({ fn: 'quantile', q: 0.5 }, [4, null, 1, 2]) = 2
 *   aggregateValues({ fn: 'last' }, ['rain', null]) = 'rain'
 */
export function aggregateValues(of: Pick<Aggregate, 'fn' | 'q'>, values: readonly AggregateValue[]): AggregateValue {
  const { fn } = of;
  const present = values.filter((value) => value !== null);
  if (fn === 'count') return present.length;
  if (fn === 'distinct') return new Set(present).size;
  if (present.length === 0) return null;
  if (fn === 'last') {
    const last = present[present.length - 1] as string | number;
    return typeof last === 'number' ? Math.fround(last) : last;
  }
  const numbers = present as number[];
  // Adding 0 makes 0 of -0, here and below, which would be another value to who compares bits.
  if (fn === 'min' || fn === 'max')
    return Math.fround(numbers.reduce((a, b) => (fn === 'min' ? Math.min(a, b) : Math.max(a, b)))) + 0;
  if (fn === 'quantile') {
    const sorted = Float64Array.from(numbers).sort();
    return interpolated(sorted.length, of.q ?? 0.5, (index) => sorted[index] as number);
  }
  return fromSums(fn, numbers);
}

/** Quantile of `n` ordered values, in a straight line between neighbours (type 7 of Hyndman and Fan, as NumPy's default). */
export function interpolated(n: number, q: number, at: (index: number) => number): number {
  const position = (n - 1) * q;
  const below = at(Math.floor(position));
  const above = at(Math.ceil(position));
  return Math.fround(below + (above - below) * (position - Math.floor(position))) + 0;
}

function fromSums(fn: Aggregate['fn'], values: number[]): number | null {
  const steps = values.map((value) => toSteps(value, scaleOf(fn)));
  const sum = steps.reduce((a, b) => a + b, 0n);
  const squares = fn === 'std' ? steps.reduce((a, b) => a + b * b, 0n) : 0n;
  return fromTotals(fn, { n: steps.length, sum, squares });
}

/** `sum`, `avg`, `share` or `std` of `n` > 0 values, from the sums of their steps and of the squares of these. */
export function fromTotals(
  fn: Aggregate['fn'],
  { n, sum, squares }: { n: number; sum: bigint; squares: bigint },
): number | null {
  const scale = scaleOf(fn);
  if (fn === 'sum') return Math.fround(toDouble(sum) / scale);
  if (fn !== 'std') return Math.fround(toDouble(sum) / n / scale);
  if (n < 2) return null;
  // As in resultSql of window-view.ts: squares about the rounded mean, while still exact.
  const count = BigInt(n);
  const mean = sum / count;
  const about = toDouble(squares - mean * (2n * sum - count * mean));
  const rest = toDouble(sum - count * mean);
  return Math.fround(Math.sqrt(Math.max(about - (rest * rest) / n, 0) / (n - 1)) / scale);
}

/** Whole steps of a value, rounded half away from zero, as SQL's round(). */
export function toSteps(value: number, scale: number): bigint {
  const scaled = value * scale;
  const whole = Math.trunc(scaled);
  return BigInt(Math.abs(scaled - whole) >= 0.5 ? whole + Math.sign(scaled) : whole);
}

/** As DuckDB turns its 128-bit integers into doubles: the halves one by one. */
function toDouble(value: bigint): number {
  const low = BigInt.asUintN(64, value);
  const high = value >> 64n;
  if (high === -1n) return -Number(2n ** 64n - 1n - low) - 1;
  return Number(low) + Number(high) * 2 ** 64;
}
