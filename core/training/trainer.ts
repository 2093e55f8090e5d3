/**
 * The port behind which a kind of model is fitted. A trainer runs in a process of its own (child.ts): it may block for a
 * round, and it is cancelled by ending that process. It reads no files and publishes nothing.
 */
import type { ModelSpec } from '../spec/pipeline.ts';
import type { TrainingTable } from './matrix.ts';
import type { NativeModel } from './native-model.ts';

/** The part of a model's declaration that shapes the result: not the pool that trains it. */
export type ModelSlice = Omit<ModelSpec, 'resources'> & { resources?: never };

/** Takes out what does not shape the result, so that it is not part of a step's key. */
export function modelSlice({ resources: _, ...slice }: ModelSpec): ModelSlice {
  return slice;
}

export interface TrainerInput {
  table: TrainingTable;
  model: ModelSlice;
  /** Share of the training rows, the newest, to train on. */
  rowShare: number;
  /** How many threads may work; results are the same for any number. */
  threads: number;
}

/** How far a training is. `loss`: validation log loss after that round. */
export interface TrainerProgress {
  round: number;
  rounds: number;
  loss: number;
}

/** What surrounds a training; both promises must be awaited. */
export interface TrainerSurroundings {
  /** After every round: tells who watches, and lets the process hear what it is told. */
  progress(progress: TrainerProgress): Promise<void>;
  /** Hands over a point to resume from. `index` counts from 0. */
  checkpoint(index: number, body: Uint8Array): Promise<void>;
  /** Body of the newest checkpoint of the same training, if there is one. */
  resume?: Uint8Array | undefined;
}

export interface TrainerResult {
  native: NativeModel;
  /** Probabilities of the validate rows, then the test rows (those that the table has), in the table's order. */
  predictions: Float64Array;
  /** Share of each feature, highest first (ties by name); sums to 1, or all 0 for a model that splits nowhere. */
  importance: { feature: string; share: number }[];
  rounds: number;
  roundsTrained: number;
  /** Validation log loss of the rounds kept. */
  logLoss: number;
}

export interface Trainer {
  /** @throws RefitError REFIT_MODEL_UNSUPPORTED, REFIT_TRAINING_FAILED, REFIT_LABEL_ONE_CLASS */
  fit(input: TrainerInput, surroundings: TrainerSurroundings): Promise<TrainerResult>;
}

/** Non-negative figures by feature as shares of their sum, highest first. [3, 1] → .75, .25. */
export function shares(features: readonly { name: string }[], figures: ArrayLike<number>): TrainerResult['importance'] {
  let total = 0;
  for (let i = 0; i < features.length; i++) total += figures[i] ?? 0;
  const share = (i: number): number => (total > 0 ? (figures[i] ?? 0) / total : 0);
  return features
    .map(({ name }, i) => ({ feature: name, share: share(i) }))
    .sort((a, b) => b.share - a.share || (a.feature < b.feature ? -1 : 1));
}
