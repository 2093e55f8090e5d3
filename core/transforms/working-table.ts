/** The training set while transforms are fitted: its columns change from stage to stage, its rows do not. */
import type { FeatureTable } from '../features/read-table.ts';
import type { FeatureInfo } from '../spec/artifacts.ts';
import type { PlannedColumn } from '../spec/plan-transforms.ts';
import type { ColumnValues } from '../training/column-file.ts';

export interface WorkingColumn {
  name: string;
  kind: FeatureInfo['kind'];
  /** View of the raw feature that it comes from. */
  view: string;
  /** Made by a transform. */
  made: boolean;
  /** 0 or 1, made by a transform: `*` passes over it. */
  flag?: true;
  /** All rows: train, validate, test. */
  values: ColumnValues;
}

export interface WorkingTable {
  rows: number;
  /** The first so many rows are the training rows: nothing is fitted on any other. */
  trainRows: number;
  columns: WorkingColumn[];
  /** 0 or 1, of the training rows. */
  label: Uint8Array;
  /** Fold of each training row, from 0. */
  foldsOf(how: { folds: number; by: 'time' | 'key'; seed: number }): Uint8Array;
}

export function columnOf(table: WorkingTable, name: string): WorkingColumn {
  const column = table.columns.find((one) => one.name === name);
  if (!column) throw new Error(`The working table has no column "${name}".`);
  return column;
}

export function plannedColumns({ columns }: WorkingTable): PlannedColumn[] {
  return columns.map(({ name, kind, flag }) => ({ name, kind, ...(flag ? { flag } : {}) }));
}

/** `keys`: of each training row, where folds by key are asked for. */
export function workingTable(table: FeatureTable, trainRows: number, keys: readonly (string | null)[]): WorkingTable {
  return {
    rows: table.rows,
    trainRows,
    columns: table.features.map(({ name, kind, view }) => ({
      ...{ name, kind, view, made: false },
      values: (kind === 'number' ? table.numbers[name] : table.categories[name]) ?? [],
    })),
    label: table.label.subarray(0, trainRows),
    foldsOf({ folds, by, seed }) {
      // Rows are in order of time: a stretch of rows is a stretch of time.
      if (by === 'time')
        return Uint8Array.from({ length: trainRows }, (_, row) => Math.floor((row * folds) / trainRows));
      return Uint8Array.from({ length: trainRows }, (_, row) => hash32(`${seed}/${keys[row] ?? ''}`) % folds);
    },
  };
}

/** FNV-1a over UTF-16 units, then MurmurHash3's finish, so that every bit counts. */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
