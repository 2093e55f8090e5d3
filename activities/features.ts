import type { Refit } from '../core/compose/refit.ts';
import { buildTrainingSet } from '../core/features/build-training-set.ts';
import type { Done } from '../core/spec/activities.ts';
import type { BlobRef, Snapshot, TrainingSet } from '../core/spec/artifacts.ts';
import type { PipelineSpec } from '../core/spec/pipeline.ts';
import { fitTransforms, keyOfFolds } from '../core/transforms/fit-transforms.ts';
import { runStep } from './run-step.ts';
import { sliceColumns } from './spec-of.ts';

export type FeatureActivities = ReturnType<typeof createFeatureActivities>;

export interface OfData {
  spec: BlobRef;
  asOf: string;
  snapshots: Record<string, Snapshot>;
  force?: string;
}

export function createFeatureActivities({ blobs, cache }: Refit) {
  return {
    /** Labels, features as they were known, and the split, in one table. */
    async buildTrainingSet({ spec, asOf, snapshots, force }: OfData): Promise<Done<TrainingSet>> {
      const declared = await blobs.json<PipelineSpec>(spec);
      const { spine, features, split, gates } = declared;
      const input = { spine, views: features, split, asOf, snapshots, slices: sliceColumns(gates) };
      const built = await runStep(cache, buildTrainingSet, input, { force });
      return prepare(built, declared, force);
    },
  };

  /** Transforms, where the pipeline declares any. */
  async function prepare(
    built: Done<TrainingSet>,
    { transforms, spine }: PipelineSpec,
    force: string | undefined,
  ): Promise<Done<TrainingSet>> {
    const done = { ...built };
    if (transforms) {
      const input = { trainingSet: built.output, transforms, key: keyOfFolds(transforms, spine.key) };
      const fitted = await runStep(cache, fitTransforms, input, { force });
      done.output = { ...done.output, prepared: fitted.output };
      done.cached &&= fitted.cached;
      done.seconds += fitted.seconds;
    }
    return done;
  }
}
