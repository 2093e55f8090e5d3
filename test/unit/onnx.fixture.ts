import { readFileSync } from 'node:fs';
import { exportNativeModel } from '../../core/onnx/export-model.ts';
import { type ModelInput, openOnnxModel } from '../../core/onnx/session.ts';
import type { NativeModel } from '../../core/training/native-model.ts';

export const FIXTURES = [
  'numbers-nan',
  'numbers-zero-as-missing',
  'numbers-no-missing-type',
  'one-leaf',
  'one-split',
  'categories',
  'large',
] as const;

export interface Fixture {
  native: NativeModel & { format: 'lightgbm' };
  table: ModelInput;
  /** LightGBM's own, by row; of no use where a number is infinite: training never sees one, the graph calls it missing. */
  probabilities: number[];
}

/** A model that LightGBM trained and its own predictions; test/fixtures/onnx/make-fixtures.py wrote it. */
export function readFixture(name: string): Fixture {
  const file = new URL(`../fixtures/onnx/${name}.json`, import.meta.url);
  const { native, rows, columns, probabilities } = JSON.parse(readFileSync(file, 'utf8'));
  const table: ModelInput = { rows, numbers: {}, categories: {} };
  for (const feature of (native as NativeModel).features) {
    const values: (string | number | null)[] = columns[feature.name];
    if (feature.kind === 'category') table.categories[feature.name] = values as (string | null)[];
    else table.numbers[feature.name] = Float32Array.from(values, (value) => toNumber(value));
  }
  return { native, table, probabilities };
}

/** JSON has no infinities and no NaN: numpy's words stand for them. */
function toNumber(value: string | number | null): number {
  return Number(String(value).replace('inf', 'Infinity'));
}

/** The rows of a fixture without an infinite number, and what LightGBM answers them. */
export function finiteRows({ table, probabilities }: Fixture): Pick<Fixture, 'table' | 'probabilities'> {
  const columns = Object.values(table.numbers);
  const infinite = (row: number) => columns.some((values) => Math.abs(values[row] as number) === Infinity);
  const kept = [...Array(table.rows).keys()].filter((row) => !infinite(row));
  const pick = <T>(values: ArrayLike<T>) => kept.map((row) => values[row] as T);
  const of = <T, U>(record: Record<string, T>, take: (values: T) => U) =>
    Object.fromEntries(Object.entries(record).map(([name, values]): [string, U] => [name, take(values)]));
  return {
    table: {
      rows: kept.length,
      numbers: of(table.numbers, (values) => Float32Array.from(pick(values))),
      categories: of(table.categories, (values) => pick(values)),
    },
    probabilities: pick(probabilities),
  };
}

/** The table with every infinite number made missing. */
export function withoutInfinities(table: ModelInput): ModelInput {
  const numbers = Object.entries(table.numbers).map(([name, values]): [string, Float32Array] => [
    name,
    values.map((value) => (Math.abs(value) === Infinity ? Number.NaN : value)),
  ]);
  return { ...table, numbers: Object.fromEntries(numbers) };
}

/** What the exported graph answers. */
export async function predictOnnx(native: NativeModel, table: ModelInput): Promise<Float32Array> {
  const model = await openOnnxModel(exportNativeModel(native), native.features);
  try {
    return await model.predict(table);
  } finally {
    await model.close();
  }
}

/** Largest absolute difference; NaN on either side counts as infinite. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let worst = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs((a[i] as number) - (b[i] as number));
    if (!(difference <= worst)) worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
  }
  return worst;
}
