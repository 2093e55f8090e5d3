import type { Refit } from '../core/compose/refit.ts';
import { buildTrainingSet } from '../core/features/build-training-set.ts';
import type { Done } from '../core/spec/activities.ts';
import type { BlobRef, Prepared, Snapshot, TrainingSet } from '../core/spec/artifacts.ts';
import type { PipelineSpec } from '../core/spec/pipeline.ts';
import { fitTransforms, keyOfFolds } from '../core/transforms/fit-transforms.ts';
import { createSelectFeatures, judgeSlice } from '../core/transforms/select-features.ts';
import { runStep } from './run-step.ts';
import { sliceColumns } from './spec-of.ts';

export type FeatureActivities = ReturnType<typeof createFeatureActivities>;

export interface OfData {
  spec: BlobRef;
  asOf: string;
  snapshots: Record<string, Snapshot>;
  force?: string;
}

export function createFeatureActivities({ blobs, cache, places }: Refit) {
  const selectStep = createSelectFeatures({ library: places.lightgbm, threads: 2 });

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

  /** Transforms and selection, where the pipeline declares them. */
  async function prepare(
    built: Done<TrainingSet>,
    { transforms, select, spine, model }: PipelineSpec,
    force: string | undefined,
  ): Promise<Done<TrainingSet>> {
    let done = built;
    if (transforms) {
      const input = { trainingSet: done.output, transforms, key: keyOfFolds(transforms, spine.key) };
      done = withPrepared(done, await runStep(cache, fitTransforms, input, { force }));
    }
    if (select) {
      const input = { trainingSet: done.output, select, model: judgeSlice(model) };
      done = withPrepared(done, await runStep(cache, selectStep, input, { force }));
    }
    return done;
  }
}

function withPrepared(built: Done<TrainingSet>, prepared: Done<Prepared>): Done<TrainingSet> {
  return {
    output: { ...built.output, prepared: prepared.output },
    cached: built.cached && prepared.cached,
    seconds: built.seconds + prepared.seconds,
  };
}
