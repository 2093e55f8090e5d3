import type { Refit } from '../core/compose/refit.ts';
import { checkDrift } from '../core/drift/check-drift.ts';
import { readManifest } from '../core/registry/versions.ts';
import type { Done } from '../core/spec/activities.ts';
import type { BlobRef, TrainingSet } from '../core/spec/artifacts.ts';
import type { DriftReport } from '../core/spec/evaluation.ts';
import type { PipelineSpec } from '../core/spec/pipeline.ts';
import { runStep } from './run-step.ts';

export type DriftActivities = ReturnType<typeof createDriftActivities>;

interface OfDrift {
  spec: BlobRef;
  asOf: string;
  trainingSet: TrainingSet;
  model: string;
  version: number;
  force?: string;
}

export function createDriftActivities({ blobs, cache, objects }: Refit) {
  return {
    /** The newest window against what the serving version was trained on. */
    async checkDrift({ spec, asOf, trainingSet, model: name, version, force }: OfDrift): Promise<Done<DriftReport>> {
      const { drift } = await blobs.json<PipelineSpec>(spec);
      const { trainedModel, profile } = await readManifest(objects, name, version);
      const { onnx, features } = trainedModel;
      const input = { profile, trainingSet, model: { name, version, onnx, features }, asOf, ...drift };
      return runStep(cache, checkDrift, input, { force });
    },
  };
}
