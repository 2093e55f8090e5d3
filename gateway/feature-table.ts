/** Rows of features on their way to the model: packed by column, so that they cross to a thread in one piece. */
import type { OnlineValue } from '../core/features/online-store.ts';
import type { FeatureColumns } from '../core/features/read-features.ts';
import type { ModelInput } from '../core/onnx/session.ts';
import type { FeatureInfo } from '../core/spec/artifacts.ts';

/** `rows` rows; columns stand in the order of the model's features, numbers and categories apart. */
export interface FeatureTable {
  rows: number;
  /** [numbers × rows], column by column; NaN = missing. */
  numbers: Float32Array<ArrayBuffer>;
  /** [categories][rows]; null = missing. */
  categories: (string | null)[][];
}

/** A model's features by kind, in its order. */
export function columnsOf(features: readonly FeatureInfo[]) {
  const of = (kind: FeatureInfo['kind']) => features.filter((feature) => feature.kind === kind).map(({ name }) => name);
  return { numbers: of('number'), categories: of('category') };
}

/** Packs rows given by feature name; what a row lacks is missing. */
export function packRows(
  features: readonly FeatureInfo[],
  rows: readonly Readonly<Record<string, OnlineValue | undefined>>[],
): FeatureTable {
  const names = columnsOf(features);
  const numbers = new Float32Array(names.numbers.length * rows.length);
  for (const [column, name] of names.numbers.entries()) {
    for (const [row, values] of rows.entries()) numbers[column * rows.length + row] = asFeature(values[name]);
  }
  const categories = names.categories.map((name) => rows.map((values) => textOf(values[name])));
  return { rows: rows.length, numbers, categories };
}

/**
 * Writes what was looked up into a packed table, where a row did not bring the value itself. `rows`: which of the table they are.
 * @returns features that are missing after that, by view
 */
export function fillRows(
  features: readonly FeatureInfo[],
  table: FeatureTable,
  found: Pick<FeatureColumns, 'features' | 'columns'>,
  rows: readonly { position: number; given: Readonly<Record<string, unknown>> }[],
): Record<string, number> {
  const places = { number: 0, category: 0 };
  const missing: Record<string, number> = {};
  for (const { name, kind, view } of features) {
    const column = places[kind]++;
    const texts = kind === 'category' ? (table.categories[column] as (string | null)[]) : undefined;
    const from = found.columns[found.features.findIndex((one) => one.name === name)];
    let absent = 0;
    for (let i = 0; i < rows.length; i++) {
      const { position, given } = rows[i] as (typeof rows)[number];
      const value = name in given ? undefined : from?.[i];
      if (texts) {
        if (value !== undefined) texts[position] = textOf(value);
        if (texts[position] === null) absent += 1;
        continue;
      }
      const at = column * table.rows + position;
      if (value !== undefined) table.numbers[at] = asFeature(value);
      if (Number.isNaN(table.numbers[at])) absent += 1;
    }
    if (absent > 0) missing[view] = (missing[view] ?? 0) + absent;
  }
  return missing;
}

/** What float32 cannot hold is missing, as it was when the model was trained. 1e300 → NaN */
export function asFeature(value: OnlineValue | undefined): number {
  const single = typeof value === 'number' ? Math.fround(value) : Number.NaN;
  return Number.isFinite(single) ? single : Number.NaN;
}

function textOf(value: OnlineValue | undefined): string | null {
  return value === undefined || value === null || value === '' ? null : String(value);
}

/** Tables of one model below each other, in order. */
export function concatTables(tables: readonly FeatureTable[]): FeatureTable {
  const [first] = tables;
  if (!first || tables.length === 1) return first ?? { rows: 0, numbers: new Float32Array(0), categories: [] };
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  const columns = Math.max(...tables.map((table) => (table.rows === 0 ? 0 : table.numbers.length / table.rows)));
  const numbers = new Float32Array(columns * rows);
  let at = 0;
  for (const table of tables) {
    for (let column = 0; column < columns && table.rows > 0; column++) {
      numbers.set(table.numbers.subarray(column * table.rows, (column + 1) * table.rows), column * rows + at);
    }
    at += table.rows;
  }
  const categories = first.categories.map((_, column) => tables.flatMap((table) => table.categories[column] ?? []));
  return { rows, numbers, categories };
}

/** As the model takes it; numbers are views, not copies. */
export function modelInput(features: readonly FeatureInfo[], table: FeatureTable): ModelInput {
  const names = columnsOf(features);
  const { rows } = table;
  return {
    rows,
    numbers: Object.fromEntries(
      names.numbers.map((name, i) => [name, table.numbers.subarray(i * rows, (i + 1) * rows)]),
    ),
    categories: Object.fromEntries(names.categories.map((name, i) => [name, table.categories[i] ?? []])),
  };
}

/** Reads rows back, for the log: null = missing. */
export function rowReader(features: readonly FeatureInfo[]) {
  const places = { number: 0, category: 0 };
  const columns = features.map(({ name, kind }) => ({ name, kind, column: places[kind]++ }));
  return ({ rows, numbers, categories }: FeatureTable, row: number): Record<string, OnlineValue> => {
    const values: Record<string, OnlineValue> = {};
    for (const { name, kind, column } of columns) {
      const number = kind === 'number' ? (numbers[column * rows + row] ?? Number.NaN) : Number.NaN;
      values[name] = kind === 'category' ? (categories[column]?.[row] ?? null) : Number.isNaN(number) ? null : number;
    }
    return values;
  };
}
