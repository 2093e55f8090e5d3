import type { Refit } from '../core/compose/refit.ts';
import { exportOnnx } from '../core/onnx/export-model.ts';
import type { Done } from '../core/spec/activities.ts';
import type { BlobRef, FittedModel, TrainedModel, TrainingSet, Trial } from '../core/spec/artifacts.ts';
import type { ModelSpec, PipelineSpec } from '../core/spec/pipeline.ts';
import { createFitLogistic } from '../core/training/fit-logistic.ts';
import { createFitModel, modelSlice } from '../core/training/fit-model.ts';
import { createRunTrial, trialSlice } from '../core/training/run-trial.ts';
import { runStep } from './run-step.ts';

export type TrainActivities = ReturnType<typeof createTrainActivities>;

interface OfTraining {
  spec: BlobRef;
  trainingSet: TrainingSet;
  force?: string;
}

export function createTrainActivities({ blobs, cache, places }: Refit) {
  const library = places.lightgbm;
  // Two trials run side by side on one thread each; the final fit has the machine to itself.
  const fitStep = createFitModel({ library, threads: 2 });
  const trialStep = createRunTrial({ library, threads: 1 });
  const baselineStep = createFitLogistic({ library, threads: 1 });

  return {
    /** Logistic regression on the same rows: what the model must be better than. */
    async fitBaseline({ trainingSet, force }: OfTraining): Promise<Done<FittedModel>> {
      return runStep(cache, baselineStep, { trainingSet }, { force });
    },

    /** One set of hyperparameters on a share of the rows, scored on the validation period. */
    async runTrial(input: OfTraining & { trial: Pick<Trial, 'params'> & { index: number } }): Promise<Done<Trial>> {
      const { model, search } = await blobs.json<PipelineSpec>(input.spec);
      const { trainingSet, trial, force } = input;
      const step = { trainingSet, model: trialSlice(model), trial, rounds: search.rounds, rowShare: search.rowShare };
      return runStep(cache, trialStep, step, { force });
    },

    /** The model itself, resumed from its last checkpoint, and its ONNX graph. */
    async fitModel(input: OfTraining & { params: Record<string, number> }): Promise<Done<TrainedModel>> {
      const { model: declared } = await blobs.json<PipelineSpec>(input.spec);
      const { trainingSet, params, force } = input;
      const model: ModelSpec = { ...declared, params: { ...declared.params, ...params } };
      const fitted = await runStep(
        cache,
        fitStep,
        { trainingSet, model: modelSlice(model) },
        { force, tellRounds: true },
      );
      const exported = await runStep(cache, exportOnnx, { model: fitted.output }, { force });
      return {
        output: { ...fitted.output, ...exported.output },
        cached: fitted.cached && exported.cached,
        seconds: fitted.seconds + exported.seconds,
      };
    },
  };
}
