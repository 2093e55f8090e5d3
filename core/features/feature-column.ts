/** Features of many entities, column by column: no object is made for a value. */
import type { FeatureInfo } from '../spec/artifacts.ts';
import type { OnlineValue } from './online-store.ts';

/** Values of a feature by row: numbers (NaN = missing) or texts. */
export type FeatureColumn = Float64Array | (string | null)[];

/** A column of one value in every row. */
export function columnOf(kind: FeatureInfo['kind'], value: OnlineValue, rows = 1): FeatureColumn {
  if (kind === 'number') return new Float64Array(rows).fill(value === null ? Number.NaN : (value as number));
  return new Array<string | null>(rows).fill(value as string | null);
}

export function setValue(column: FeatureColumn, place: number, value: OnlineValue): void {
  if (column instanceof Float64Array) column[place] = value === null ? Number.NaN : (value as number);
  else column[place] = value as string | null;
}

export function valueAt(column: FeatureColumn, place: number): OnlineValue {
  const value = column[place] ?? null;
  return typeof value === 'number' && Number.isNaN(value) ? null : value;
}
