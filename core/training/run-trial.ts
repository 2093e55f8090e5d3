import type { TrainingSet, Trial } from '../spec/artifacts.ts';
import { defineStep, type Step } from '../store/step.ts';
import { type TrainingPlace, type TrainingTask, train } from './train-step.ts';
import type { ModelSlice } from './trainer.ts';

export interface TrialInput {
  trainingSet: TrainingSet;
  model: ModelSlice;
  /** What `proposeTrials` (core/spec/search.ts) answered; `params` go over the model's own. */
  trial: { index: number; params: Record<string, number> };
  /** Most rounds of a trial; replaces the model's. */
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
    version: 1,
    natives: ['lightgbm'],
    source: import.meta.url,
    async run({ trainingSet, model, trial, rounds, rowShare }, context) {
      const tried = { ...model, rounds, params: { ...model.params, ...trial.params } };
      const task: TrainingTask = { trainingSet, model: tried, rowShare, splits: ['train', 'validate'] };
      const outcome = await train(name, place, task, context);
      return { trial: trial.index, params: trial.params, logLoss: outcome.logLoss, rounds: outcome.rounds };
    },
  });
}
