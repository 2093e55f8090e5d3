import { type FittedModel, SPLITS, type TrainingSet } from '../spec/artifacts.ts';
import { defineStep, type Step } from '../store/step.ts';
import { keep, type TrainingPlace, trainingRun } from './train-step.ts';
import type { ModelSlice } from './trainer.ts';

const BASELINE: ModelSlice = {
  trainer: 'logistic',
  objective: 'binary',
  // These two mean nothing to it: it converges.
  rounds: 1,
  chunk: 1,
  earlyStopping: 0,
  seed: 0,
  params: {},
};

/** Step: the logistic regression that a model must justify itself against. @throws RefitError as `createFitModel` */
export function createFitLogistic(place: TrainingPlace): Step<{ trainingSet: TrainingSet }, FittedModel> {
  const name = 'fit-logistic';
  return defineStep({
    name,
    version: 2,
    natives: [],
    source: import.meta.url,
    run: trainingRun(
      name,
      place,
      ({ trainingSet }) => ({ trainingSet, model: BASELINE, rowShare: 1, splits: [...SPLITS] }),
      (outcome, { trainingSet }, context) => keep(outcome, trainingSet, BASELINE, context),
    ),
  });
}
