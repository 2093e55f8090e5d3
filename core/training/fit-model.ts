import { type FittedModel, SPLITS, type TrainingSet } from '../spec/artifacts.ts';
import { defineStep, type Step } from '../store/step.ts';
import { keep, type TrainingPlace, trainingRun } from './train-step.ts';
import type { ModelSlice } from './trainer.ts';

export { type ModelSlice, modelSlice } from './trainer.ts';

/**
 * Step: fits the declared model, in checkpointed chunks. Progress: `{ round, rounds }`, at least every second. Its key must
 * hold what shapes the result only: give it `modelSlice(model)`.
 * @throws RefitError REFIT_MODEL_UNSUPPORTED, REFIT_TRAINING_FAILED, REFIT_TRAINER_CRASHED, REFIT_LABEL_ONE_CLASS
 */
export function createFitModel(
  place: TrainingPlace,
): Step<{ trainingSet: TrainingSet; model: ModelSlice }, FittedModel> {
  const name = 'fit-model';
  return defineStep({
    name,
    version: 2,
    natives: ['lightgbm'],
    source: import.meta.url,
    run: trainingRun(
      name,
      place,
      (input) => ({ ...input, rowShare: 1, splits: [...SPLITS] }),
      (outcome, { trainingSet, model }, context) => keep(outcome, trainingSet, model, context),
    ),
  });
}
