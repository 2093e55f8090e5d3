/** Parts of a feature table. Rows are ordered by predict_at, so a stretch of time is a run of rows and costs no copy. */
import type { FeatureTable } from '../features/read-table.ts';
import { countBelow } from './binning.ts';

/** Rows `[from, to)` of a table, as views on the same memory. */
export function rowRange(table: FeatureTable, from: number, to: number): FeatureTable {
  const end = Math.max(from, to);
  const cut = <T>(columns: Record<string, T>, slice: (column: T) => T): Record<string, T> =>
    Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, slice(column)]));
  return {
    rows: end - from,
    features: table.features,
    numbers: cut(table.numbers, (column) => column.subarray(from, end)),
    categories: cut(table.categories, (column) => column.slice(from, end)),
    slices: cut(table.slices, (column) => column.slice(from, end)),
    label: table.label.subarray(from, end),
    split: table.split.subarray(from, end),
    predictAtMs: table.predictAtMs.subarray(from, end),
  };
}

/** Rows with `fromMs <= predict_at < toMs` (milliseconds since 1970, UTC). */
export function rowsBetween(table: FeatureTable, fromMs: number, toMs: number): FeatureTable {
  return rowRange(table, countBelow(table.predictAtMs, fromMs), countBelow(table.predictAtMs, toMs));
}

/** Entries of `values` at `rows`. */
export function pick(values: Float32Array | Float64Array, rows: Uint32Array): Float64Array {
  return Float64Array.from(rows, (row) => values[row] as number);
}

/** Entries of `labels` at `rows`. */
export function pickLabels(labels: Uint8Array, rows: Uint32Array): Uint8Array {
  return Uint8Array.from(rows, (row) => labels[row] as number);
}
