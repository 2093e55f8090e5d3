/** Two ways to the same probability must agree: ONNX and the trainer, the online path and the offline join. */
import { literal, withDuckDb } from '../dataset/duckdb.ts';
import { readColumns } from '../features/read-table.ts';
import type { OnnxModel } from '../onnx/session.ts';
import type { BlobRef, FeatureInfo } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { StepContext } from '../store/step.ts';
import type { Scores } from './metrics.ts';
import { finite } from './model-scores.ts';

/** Sampled entities at asOf: the same rows in both, one column a feature; `offline` by the join, `online` by the online store. */
export interface OnlineSample {
  offline: BlobRef;
  online: BlobRef;
  rows: number;
}

/** Largest absolute difference; 0 for no rows. `[.1, .5]` against `[.1, .4]` → 0.1. @throws RefitError REFIT_INTERNAL */
export function largestDifference(a: Scores, b: Scores): number {
  if (a.length !== b.length) {
    throw new RefitError(
      'REFIT_INTERNAL',
      `Predictions of ${a.length} rows cannot be held against those of ${b.length}.`,
    );
  }
  let largest = 0;
  for (let row = 0; row < a.length; row++)
    largest = Math.max(largest, Math.abs((a[row] as number) - (b[row] as number)));
  return largest;
}

/** Scores both sides of the sample with the model; the difference is in probability, so that a feature that does not matter cannot fail it. */
export async function onlineParity(
  model: OnnxModel,
  features: FeatureInfo[],
  sample: OnlineSample,
  { blobs, scratch, signal }: StepContext,
): Promise<number> {
  if (sample.rows === 0) return 0;
  const [offline, online] = await Promise.all([blobs.path(sample.offline), blobs.path(sample.online)]);
  return withDuckDb({ scratch, signal }, async (db) => {
    const read = (path: string) => readColumns(db, `(SELECT * FROM read_parquet(${literal(path)}))`, features);
    const scored = async (path: string) => model.predict(await read(path), { signal });
    return largestDifference(finite(await scored(offline)), finite(await scored(online)));
  });
}
