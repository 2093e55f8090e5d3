/** From a feature table to what LightGBM takes: one row-major float32 matrix, categories as codes. */
import type { FeatureTable } from '../features/read-table.ts';
import { SPLITS, type Split } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { Matrix } from './lightgbm.ts';

/** What trainers read of a table. */
export type TrainingTable = Pick<FeatureTable, 'rows' | 'features' | 'numbers' | 'categories' | 'label' | 'split'>;

/** More levels than this are not told apart: the rarer ones count as missing. */
const MOST_LEVELS = 1000;

/** Row numbers of a split, in the table's order; only the newest `share` of them (at least one). */
export function rowsOf(table: TrainingTable, split: Split, share = 1): Uint32Array {
  const wanted = SPLITS.indexOf(split);
  const found = new Uint32Array(table.rows);
  let count = 0;
  for (let row = 0; row < table.rows; row++) if (table.split[row] === wanted) found[count++] = row;
  return found.subarray(count - Math.ceil(count * share), count);
}

/** Levels of a category among some rows, most frequent first, ties by code unit; null and '' are none. */
export function levelsByFrequency(values: readonly (string | null)[], rows: Uint32Array): string[] {
  const counts = new Map<string, number>();
  for (const row of rows) {
    const value = values[row];
    if (value) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  const order = ([a, m]: [string, number], [b, n]: [string, number]): number => n - m || (a < b ? -1 : 1);
  return [...counts].sort(order).map(([level]) => level);
}

/** Category feature → its levels among the given rows, sorted by code unit; a level's index is its code. */
export function vocabularies(table: TrainingTable, rows: Uint32Array): Record<string, string[]> {
  const levels = ([name, values]: [string, (string | null)[]]): [string, string[]] => [
    name,
    levelsByFrequency(values, rows).slice(0, MOST_LEVELS).sort(),
  ];
  return Object.fromEntries(Object.entries(table.categories).map(levels));
}

/**
 * The given rows as a matrix, columns in the order of the table's features; unseen and missing categories are NaN, and so are
 * infinite numbers.
 */
export function toMatrix(table: TrainingTable, rows: Uint32Array, categories: Record<string, string[]>): Matrix {
  const columns = table.features.length;
  const values = new Float32Array(rows.length * columns);
  for (const [column, { name, kind }] of table.features.entries()) {
    const read = kind === 'number' ? numberReader(table, name) : codeReader(table, name, categories[name] ?? []);
    for (let i = 0; i < rows.length; i++) values[i * columns + column] = read(rows[i] as number);
  }
  return { values, rows: rows.length, columns };
}

type Reader = (row: number) => number;

function numberReader(table: TrainingTable, name: string): Reader {
  const values = table.numbers[name] ?? new Float32Array(0);
  return (row) => {
    const value = values[row] as number;
    return Number.isFinite(value) ? value : Number.NaN;
  };
}

function codeReader(table: TrainingTable, name: string, levels: readonly string[]): Reader {
  const values = table.categories[name] ?? [];
  const codes = new Map<string | null | undefined, number>(levels.map((level, code) => [level, code]));
  return (row) => codes.get(values[row]) ?? Number.NaN;
}

/** Labels of the given rows, 0 or 1. */
export function labelsOf(table: TrainingTable, rows: Uint32Array): Float32Array {
  return Float32Array.from(rows, (row) => table.label[row] ?? 0);
}

/** Labels to learn from. @throws RefitError REFIT_LABEL_ONE_CLASS unless both outcomes are among them */
export function trainingLabelsOf(table: TrainingTable, rows: Uint32Array): Float32Array {
  const labels = labelsOf(table, rows);
  if (!labels.includes(0) || !labels.includes(1)) {
    const message = `The ${rows.length} training rows do not hold both outcomes of the label.`;
    throw new RefitError('REFIT_LABEL_ONE_CLASS', message, { rows: rows.length });
  }
  return labels;
}
