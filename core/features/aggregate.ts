/**
 * What the aggregates of window views mean, over the values of some rows: the definition that windows of counted rows and
 * the online store compute by, and that the SQL of sum-columns.ts equals to the last bit.
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
  return aggregateNumbers(of, present as number[], present.length);
}

/** As `aggregateValues`, over the first `n` of some numbers of which none is missing; in one pass, and without objects. */
export function aggregateNumbers(
  { fn, q = 0.5 }: Pick<Aggregate, 'fn' | 'q'>,
  values: ArrayLike<number>,
  n: number,
): number | null {
  if (fn === 'count') return n;
  if (fn === 'distinct') return new Set(Array.prototype.slice.call(values, 0, n)).size;
  if (n === 0) return null;
  if (fn === 'last') return Math.fround(values[n - 1] as number);
  if (fn === 'min' || fn === 'max') {
    let found = values[0] as number;
    for (let i = 1; i < n; i++) found = Math[fn](found, values[i] as number);
    // Adding 0 makes 0 of -0, here and below, which would be another value to who compares bits.
    return Math.fround(found) + 0;
  }
  if (fn === 'quantile') {
    const sorted = Float64Array.from(Array.prototype.slice.call(values, 0, n) as number[]).sort();
    return interpolated(n, q, (index) => sorted[index] as number);
  }
  return fromSums(fn, values, n);
}

/** Quantile of `n` ordered values, in a straight line between neighbours (type 7 of Hyndman and Fan, as NumPy's default). */
export function interpolated(n: number, q: number, at: (index: number) => number): number {
  const position = (n - 1) * q;
  const below = at(Math.floor(position));
  const above = at(Math.ceil(position));
  return Math.fround(below + (above - below) * (position - Math.floor(position))) + 0;
}

function fromSums(fn: Aggregate['fn'], values: ArrayLike<number>, n: number): number | null {
  const scale = scaleOf(fn);
  if (fn !== 'std') {
    // Steps are whole numbers: while their sum is a safe integer, adding doubles is exact.
    let sum = 0;
    for (let i = 0; i < n && Number.isSafeInteger(sum); i++) sum += wholeSteps(values[i] as number, scale);
    if (Number.isSafeInteger(sum)) return Math.fround(fn === 'sum' ? sum / scale : sum / n / scale) + 0;
  }
  let [sum, squares] = [0n, 0n];
  for (let i = 0; i < n; i++) {
    const steps = toSteps(values[i] as number, scale);
    sum += steps;
    if (fn === 'std') squares += steps * steps;
  }
  return fromTotals(fn, { n, sum, squares });
}

/** Sums of squares that 128 bits hold; where `std` would need more (values of some 1e12), it is missing. */
const MOST_SQUARES = 2n ** 126n;

/** `sum`, `avg`, `share` or `std` of `n` > 0 values, from the sums of their steps and of the squares of these. */
export function fromTotals(
  fn: Aggregate['fn'],
  { n, sum, squares }: { n: number; sum: bigint; squares: bigint },
): number | null {
  const scale = scaleOf(fn);
  if (fn !== 'std') {
    const result = Math.fround(fn === 'sum' ? toDouble(sum) / scale : toDouble(sum) / n / scale);
    return Number.isFinite(result) ? result : null;
  }
  if (n < 2 || squares >= MOST_SQUARES) return null;
  // As in sum-columns.ts: squares about the rounded mean, while still exact.
  const count = BigInt(n);
  const mean = sum / count;
  const about = toDouble(squares - mean * (2n * sum - count * mean));
  const rest = toDouble(sum - count * mean);
  return Math.fround(Math.sqrt(Math.max(about - (rest * rest) / n, 0) / (n - 1)) / scale);
}

/** Whole steps of a value, rounded half away from zero, as SQL's round(). */
export function toSteps(value: number, scale: number): bigint {
  return BigInt(wholeSteps(value, scale));
}

function wholeSteps(value: number, scale: number): number {
  const scaled = value * scale;
  const whole = Math.trunc(scaled);
  return Math.abs(scaled - whole) >= 0.5 ? whole + Math.sign(scaled) : whole;
}

/** As DuckDB turns its 128-bit integers into doubles: the halves one by one. */
function toDouble(value: bigint): number {
  const low = BigInt.asUintN(64, value);
  const high = value >> 64n;
  if (high === -1n) return -Number(2n ** 64n - 1n - low) - 1;
  return Number(low) + (BigInt.asIntN(64, high) === high ? Number(high) : toDouble(high)) * 2 ** 64;
}
