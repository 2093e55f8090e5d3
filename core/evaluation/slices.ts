/** Quality by slice (every value of a column) and by week: where a model is good, and whether it stays so. */
import type { FeatureTable } from '../features/read-table.ts';
import { RefitError } from '../spec/errors.ts';
import type { Metrics, SliceMetrics } from '../spec/evaluation.ts';
import { metricsOf, type Scores } from './metrics.ts';
import { pick, pickLabels } from './rows.ts';

/** Values of a column that are looked at, those with the most rows first; the rest is left out, not lumped together. */
export const SLICES_PER_COLUMN = 100;

/** How a slice of rows without a value is called. */
export const MISSING_SLICE = '(missing)';

/**
 * Metrics of each value of each column over all rows of `table` (`scores`: one a row), columns in the order given, most rows
 * first. @throws RefitError REFIT_INTERNAL for a column the table does not have
 */
export function sliceMetrics(table: FeatureTable, scores: Scores, columns: readonly string[]): SliceMetrics[] {
  return columns.flatMap((column) => {
    const rows = rowsByValue(sliceColumn(table, column));
    return [...rows]
      .sort(([a, m], [b, n]) => n.length - m.length || (a < b ? -1 : 1))
      .slice(0, SLICES_PER_COLUMN)
      .map(([value, at]) => ({ column, value, metrics: metricsOfRows(scores, table.label, at) }));
  });
}

/** Metrics of the rows `at`. */
export function metricsOfRows(scores: Scores, labels: Uint8Array, at: readonly number[]): Metrics {
  const rows = Uint32Array.from(at);
  return metricsOf(pick(scores, rows), pickLabels(labels, rows));
}

function sliceColumn(table: FeatureTable, column: string): (string | null)[] {
  const texts = table.slices[column] ?? table.categories[column];
  if (texts) return texts;
  const numbers = table.numbers[column];
  if (!numbers) throw new RefitError('REFIT_INTERNAL', `The training set has no column "${column}" to slice by.`);
  return Array.from(numbers, (value) => (Number.isNaN(value) ? null : String(value)));
}

function rowsByValue(values: readonly (string | null)[]): Map<string, number[]> {
  const rows = new Map<string, number[]>();
  for (const [row, value] of values.entries()) {
    const name = value ?? MISSING_SLICE;
    const at = rows.get(name);
    if (at) at.push(row);
    else rows.set(name, [row]);
  }
  return rows;
}

/** Quality of the predictions asked in one week; `week` is its Monday (UTC), e.g. '2013-10-07'. */
export interface WeekMetrics {
  week: string;
  metrics: Metrics;
}

const DAY_MS = 864e5;
/** 1970-01-05 was a Monday. */
const FIRST_MONDAY_MS = 4 * DAY_MS;

/** Metrics of every week that has rows, in order; `predictAtMs`, `scores` and `labels` have one entry a row. */
export function weeklyMetrics(predictAtMs: Float64Array, scores: Scores, labels: Uint8Array): WeekMetrics[] {
  const rows = new Map<number, number[]>();
  for (const [row, at] of predictAtMs.entries()) {
    const week = Math.floor((at - FIRST_MONDAY_MS) / (7 * DAY_MS));
    const found = rows.get(week);
    if (found) found.push(row);
    else rows.set(week, [row]);
  }
  return [...rows]
    .sort(([a], [b]) => a - b)
    .map(([week, at]) => ({
      week: new Date(week * 7 * DAY_MS + FIRST_MONDAY_MS).toISOString().slice(0, 10),
      metrics: metricsOfRows(scores, labels, at),
    }));
}
