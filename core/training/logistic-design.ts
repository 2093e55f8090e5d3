/**
 * The design matrix of the logistic regression, row by row and sparse: it is never held in memory as a whole.
 * Columns: 0 intercept · numbers, standardised, missing (NaN, infinite) = mean = 0 · one indicator for each number that is missing somewhere ·
 * one column for each kept level of each category and one for all its other values (rare, unseen and missing).
 */
import { levelsByFrequency, type TrainingTable } from './matrix.ts';

/** Levels of a category that get a weight of their own. */
const MOST_LEVELS = 30;

interface NumberColumn {
  feature: string;
  values: Float32Array;
  mean: number;
  scale: number;
  /** Column of the missing indicator; undefined where nothing was missing in training. */
  indicator: number | undefined;
}

interface CategoryColumns {
  feature: string;
  /** Sorted by code unit. */
  levels: string[];
  /** Column of `levels[0]`; the others follow, then the one of all other values. */
  first: number;
  /** Row → column. */
  column: Int32Array;
}

export interface Design {
  /** Number of columns, p. */
  columns: number;
  /** Column `1 + i` belongs to `numbers[i]`. */
  numbers: NumberColumn[];
  categories: CategoryColumns[];
  /** Column → feature; '' for the intercept. */
  features: string[];
  /** Most entries that a row can have. */
  widest: number;
  /** Writes the non-zero entries of a row, columns ascending; returns how many. */
  fill(row: number, columns: Int32Array, values: Float64Array): number;
}

/** Means, scales and levels come from the training rows alone. */
export function designOf(table: TrainingTable, train: Uint32Array): Design {
  const features = [''];
  const numbers = table.features
    .filter(({ kind }) => kind === 'number')
    .map(({ name }) => {
      features.push(name);
      return { feature: name, ...standardised(table.numbers[name] ?? new Float32Array(0), train) };
    })
    .map(({ anyMissing, ...column }) => ({
      ...column,
      indicator: anyMissing ? features.push(column.feature) - 1 : undefined,
    }));
  const categories = table.features
    .filter(({ kind }) => kind === 'category')
    .map(({ name }) => {
      const values = table.categories[name] ?? [];
      const levels = levelsByFrequency(values, train).slice(0, MOST_LEVELS).sort();
      const first = features.length;
      for (let i = 0; i <= levels.length; i++) features.push(name);
      const places = new Map<string | null, number>(levels.map((level, i) => [level, first + i]));
      const column = Int32Array.from(values, (value) => places.get(value) ?? first + levels.length);
      return { feature: name, levels, first, column };
    });
  const widest = 1 + numbers.length + categories.length;
  return { columns: features.length, numbers, categories, features, widest, fill };

  function fill(row: number, columns: Int32Array, values: Float64Array): number {
    columns[0] = 0;
    values[0] = 1;
    let count = 1;
    let anyMissing = false;
    for (let i = 0; i < numbers.length; i++) {
      const { values: given, mean, scale } = numbers[i] as NumberColumn;
      const x = given[row] as number;
      if (!Number.isFinite(x)) {
        anyMissing = true;
        continue;
      }
      columns[count] = 1 + i;
      values[count++] = (x - mean) / scale;
    }
    for (let i = 0; anyMissing && i < numbers.length; i++) {
      const { values: given, indicator } = numbers[i] as NumberColumn;
      if (indicator === undefined || Number.isFinite(given[row])) continue;
      columns[count] = indicator;
      values[count++] = 1;
    }
    for (let i = 0; i < categories.length; i++) {
      columns[count] = (categories[i] as CategoryColumns).column[row] as number;
      values[count++] = 1;
    }
    return count;
  }
}

/** Mean and (population) standard deviation of what is there; a constant has scale 1, an empty column mean 0. */
function standardised(values: Float32Array, rows: Uint32Array) {
  let count = 0;
  let sum = 0;
  for (const row of rows) {
    const x = values[row] as number;
    if (!Number.isFinite(x)) continue;
    count += 1;
    sum += x;
  }
  const mean = count > 0 ? sum / count : 0;
  let squares = 0;
  for (const row of rows) {
    const x = values[row] as number;
    if (Number.isFinite(x)) squares += (x - mean) ** 2;
  }
  const scale = Math.sqrt(squares / Math.max(1, count)) || 1;
  return { values, mean, scale, anyMissing: count < rows.length };
}
