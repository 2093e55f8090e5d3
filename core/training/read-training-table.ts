/** What a trainer is given: raw features, or the columns that transforms and selection have made of them. */
import { type FeatureTable, readTrainingSet } from '../features/read-table.ts';
import { SPLITS, type Split, type TrainingSet } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import { type RowRange, readColumnFile } from './column-file.ts';

/** Local paths of the blobs. */
export interface TrainingFiles {
  /** `trainingSet.data`. */
  data: string;
  /** `trainingSet.prepared.columns`, where there is one. */
  columns?: string | undefined;
}

/** @throws RefitError REFIT_STORE_CORRUPT */
export async function readTrainingTable(
  files: TrainingFiles,
  set: TrainingSet,
  splits: readonly Split[],
): Promise<FeatureTable> {
  const { prepared } = set;
  if (!prepared) return readTrainingSet(files.data, set, { splits: [...splits] });
  const { features } = prepared;
  const names = features.map(({ name }) => name);
  const ranges = rangesOf(set, splits);
  const made = files.columns === undefined ? new Map() : await readColumnFile(files.columns, names, ranges);
  const raw = names.filter((name) => !made.has(name));
  const table = await readTrainingSet(files.data, set, { splits: [...splits], columns: raw });
  checkOrder(table, set, splits);
  const { numbers, categories } = table;
  for (const [name, values] of made) {
    if (values instanceof Float32Array) numbers[name] = values;
    else categories[name] = values;
  }
  return { ...table, features, numbers, categories };
}

/** The file is ordered by prediction time, and so are the splits. */
function rangesOf({ rows: { train, validate, test } }: TrainingSet, splits: readonly Split[]): RowRange[] {
  const ranges: Record<Split, RowRange> = {
    train: { from: 0, to: train },
    validate: { from: train, to: train + validate },
    test: { from: train + validate, to: train + validate + test },
  };
  return SPLITS.filter((split) => splits.includes(split)).map((split) => ranges[split]);
}

function checkOrder({ split, rows }: FeatureTable, set: TrainingSet, splits: readonly Split[]): void {
  const expected = SPLITS.flatMap((name, code) => (splits.includes(name) ? [{ code, rows: set.rows[name] }] : []));
  let at = 0;
  for (const { code, rows: count } of expected) {
    for (const end = at + count; at < end; at++) if (split[at] !== code) at = Number.POSITIVE_INFINITY;
  }
  if (at !== rows) throw new RefitError('REFIT_INTERNAL', 'The training set is not in the order of its splits.');
}
