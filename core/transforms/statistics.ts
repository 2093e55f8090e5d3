/** Figures of the training rows that transforms are made of. What is missing (NaN, infinite, null, '') does not count. */
import type { ColumnValues } from '../training/column-file.ts';

/** The finite numbers among the first `rows`, ascending, as float64. */
export function sortedNumbers(values: Float32Array, rows: number): Float64Array {
  return Float64Array.from(values.subarray(0, rows).filter(Number.isFinite)).sort();
}

/** Quantile with linear interpolation (numpy's default, Hyndman and Fan's type 7); 0 for none. [1, 2, 3, 4], .5 → 2.5. */
export function quantile(sorted: Float64Array, q: number): number {
  if (sorted.length === 0) return 0;
  const at = (sorted.length - 1) * q;
  const below = sorted[Math.floor(at)] as number;
  const above = sorted[Math.ceil(at)] as number;
  return below + (above - below) * (at - Math.floor(at));
}

/** Mean and population standard deviation of ascending numbers; 0 and 0 for none. [1, 3] → 2, 1. */
export function moments(sorted: Float64Array): { mean: number; deviation: number } {
  if (sorted.length === 0) return { mean: 0, deviation: 0 };
  let sum = 0;
  for (const x of sorted) sum += x;
  const mean = sum / sorted.length;
  let squares = 0;
  for (const x of sorted) squares += (x - mean) ** 2;
  return { mean, deviation: Math.sqrt(squares / sorted.length) };
}

export interface LevelCounts {
  /** Most frequent first, ties in order; numbers or texts as the column's. */
  levels: { level: string | number; rows: number; positives: number }[];
  missing: { rows: number; positives: number };
}

/** How often each value comes up among the given rows, and with a positive label. */
export function countLevels(values: ColumnValues, rows: Iterable<number>, label: Uint8Array): LevelCounts {
  const counts = new Map<string | number, { rows: number; positives: number }>();
  const missing = { rows: 0, positives: 0 };
  for (const row of rows) {
    const value = values[row];
    const there = typeof value === 'number' ? Number.isFinite(value) : value;
    // Both zeros are one value, as in the graph.
    const level = value === 0 ? 0 : (value as string | number);
    let count = there ? counts.get(level) : missing;
    if (!count) {
      count = { rows: 0, positives: 0 };
      counts.set(level, count);
    }
    count.rows += 1;
    count.positives += label[row] ?? 0;
  }
  const levels = [...counts].map(([level, count]) => ({ level, ...count }));
  return { levels: levels.sort((a, b) => b.rows - a.rows || inOrder(a.level, b.level)), missing };
}

/** Numbers by size, texts by code unit. */
export function inOrder(a: string | number, b: string | number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
