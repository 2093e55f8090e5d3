/** Fits the declared transforms and writes what trainers see. */
import { tmpdir } from 'node:os';
import { identifier, literal, withDuckDb } from '../dataset/duckdb.ts';
import { readColumns, readTrainingSet } from '../features/read-table.ts';
import { neededStages } from '../onnx/needed-stages.ts';
import type { Prepared, TrainingSet } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { FittedTransforms, TransformSpec } from '../spec/transforms.ts';
import { defineStep, type StepContext } from '../store/step.ts';
import { encodeColumns } from '../training/column-file.ts';
import { fitChain } from './fit-chain.ts';
import { type WorkingTable, workingTable } from './working-table.ts';

export interface FitTransformsInput {
  trainingSet: TrainingSet;
  transforms: TransformSpec[];
  /** Key columns of the training set; empty where no fold is made by key. */
  key: string[];
}

/** The key columns, where a transform makes folds by them: otherwise they do not shape the result. */
export function keyOfFolds(transforms: readonly TransformSpec[], key: readonly string[]): string[] {
  return transforms.some((spec) => spec.kind === 'targetEncode' && spec.by === 'key') ? [...key] : [];
}

/**
 * Step: fits transforms on the training rows, and applies them to all rows.
 * @throws RefitError REFIT_PIPELINE_INVALID naming a transform that cannot have its columns
 */
export const fitTransforms = defineStep<FitTransformsInput, Prepared>({
  name: 'fit-transforms',
  version: 2,
  natives: ['onnxruntime'],
  source: import.meta.url,
  async run({ trainingSet, transforms, key }, context) {
    const { blobs, signal, progress } = context;
    const table = await load(await blobs.path(trainingSet.data), trainingSet, key);
    signal.throwIfAborted();
    const onStage = (stage: number) => progress({ transform: stage + 1, transforms: transforms.length });
    const stages = await fitChain(transforms, table, { signal, onStage });
    if (table.columns.length === 0)
      throw new RefitError('REFIT_PIPELINE_INVALID', 'The transforms leave no column to train on.');
    return write(table, { inputs: trainingSet.features, stages, columns: [] }, context);
  },
});

async function load(path: string, set: TrainingSet, key: readonly string[]): Promise<WorkingTable> {
  const raw = await readTrainingSet(path, set);
  const { train } = set.rows;
  if (!raw.split.every((split, row) => (row < train ? split === 0 : split > 0))) {
    throw new RefitError('REFIT_INTERNAL', 'The training set does not begin with its training rows.');
  }
  return workingTable(raw, train, key.length > 0 ? await readKeys(path, key) : []);
}

/** The key of each training row, as one text. */
async function readKeys(path: string, key: readonly string[]): Promise<(string | null)[]> {
  const columns = key.map((name) => `${identifier(name)}::VARCHAR`).join(', ');
  const rows = `(SELECT to_json([${columns}])::VARCHAR AS key FROM read_parquet(${literal(path)}) WHERE __split = 'train')`;
  const feature = { name: 'key', kind: 'category' as const, view: '' };
  const table = await withDuckDb({ scratch: tmpdir() }, (db) => readColumns(db, rows, [feature]));
  return table.categories.key ?? [];
}

async function write(table: WorkingTable, fitted: FittedTransforms, { blobs }: StepContext): Promise<Prepared> {
  const features = table.columns.map(({ name, kind, view }) => ({ name, kind, view }));
  const made = new Map(table.columns.filter((column) => column.made).map(({ name, values }) => [name, values]));
  const transforms: FittedTransforms = { ...fitted, columns: features };
  return {
    transforms: await blobs.putJson(transforms),
    columns: await blobs.putBytes(encodeColumns(table.rows, made)),
    features,
    inputs: neededStages(transforms, features).inputs,
  };
}
