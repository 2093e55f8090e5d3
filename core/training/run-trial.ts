import type { TrainingSet, Trial } from '../spec/artifacts.ts';
import type { ModelSpec } from '../spec/pipeline.ts';
import { defineStep, type Step } from '../store/step.ts';
import { type TrainingPlace, trainingRun } from './train-step.ts';
import type { ModelSlice } from './trainer.ts';

/**
 * The part of a model's declaration that shapes a trial. How long the model itself trains is not of it: a trial has rounds of
 * its own.
 */
export type TrialSlice = Omit<ModelSlice, 'rounds' | 'chunk'> & { rounds?: never; chunk?: never };

/** Takes out what does not shape a trial, so that it is not part of a trial's key. */
export function trialSlice({ resources: _, rounds: _rounds, chunk: _chunk, ...slice }: ModelSpec): TrialSlice {
  return slice;
}

/** A trial is short: it needs few checkpoints. */
const CHUNK = 20;

export interface TrialInput {
  trainingSet: TrainingSet;
  /** `trialSlice(model)`. */
  model: TrialSlice;
  /** What `proposeTrials` (core/spec/search.ts) answered; `params` go over the model's own. */
  trial: { index: number; params: Record<string, number> };
  /** Most rounds of the trial. */
  rounds: number;
  /** Share of training rows (the newest) a trial sees. */
  rowShare: number;
}

/**
 * Step: one set of hyperparameters, scored by log loss on the validation period with the rounds that early stopping keeps.
 * @throws RefitError as `createFitModel`
 */
export function createRunTrial(place: TrainingPlace): Step<TrialInput, Trial> {
  const name = 'run-trial';
  return defineStep({
    name,
    version: 2,
    natives: ['lightgbm'],
    source: import.meta.url,
    run: trainingRun(
      name,
      place,
      ({ trainingSet, model, trial, rounds, rowShare }) => ({
        trainingSet,
        model: { ...model, rounds, chunk: CHUNK, params: { ...model.params, ...trial.params } },
        rowShare,
        splits: ['train', 'validate'],
      }),
      ({ logLoss, rounds }, { trial }) => ({ trial: trial.index, params: trial.params, logLoss, rounds }),
    ),
  });
}
