/** Asking an ONNX model about a table, and whether it can be asked. */

import type { FeatureTable } from '../features/read-table.ts';
import { openOnnxModel } from '../onnx/session.ts';
import type { BlobRef, FeatureInfo } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { StepContext } from '../store/step.ts';
import type { Scores } from './metrics.ts';

/** Threads of an evaluation: it has the machine to itself, as the final fit has. The answers are the same for any number. */
export const SCORING_THREADS = 2;

/** Probabilities, one a row of `table`. @throws RefitError REFIT_TRAINING_FAILED when they are not all numbers */
export async function scoresOf(
  { onnx, features }: { onnx: BlobRef; features: FeatureInfo[] },
  table: FeatureTable,
  { blobs, signal }: StepContext,
): Promise<Float32Array> {
  const session = await openOnnxModel(await blobs.path(onnx), features, { intraOpNumThreads: SCORING_THREADS });
  try {
    return finite(await session.predict(table, { signal }));
  } finally {
    await session.close();
  }
}

/** The scores, all of them numbers. @throws RefitError REFIT_TRAINING_FAILED: a model that answers NaN cannot be judged. */
export function finite<S extends Scores>(scores: S): S {
  let bad = 0;
  for (const score of scores) if (!Number.isFinite(score)) bad++;
  if (bad > 0) {
    const rows = `${bad} of ${scores.length} rows`;
    throw new RefitError('REFIT_TRAINING_FAILED', `The model gives no finite probability for ${rows}.`);
  }
  return scores;
}

/** Features of a model that a training set does not have, or has as another kind. */
export function lackingFeatures(wanted: readonly FeatureInfo[], there: readonly FeatureInfo[]): string[] {
  const kinds = new Map(there.map(({ name, kind }) => [name, kind]));
  return wanted.filter(({ name, kind }) => kinds.get(name) !== kind).map(({ name }) => name);
}
