import type { Refit } from '../core/compose/refit.ts';
import { buildTrainingSet } from '../core/features/build-training-set.ts';
import type { Done } from '../core/spec/activities.ts';
import type { BlobRef, Snapshot, TrainingSet } from '../core/spec/artifacts.ts';
import type { PipelineSpec } from '../core/spec/pipeline.ts';
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
      const { spine, features, split, gates } = await blobs.json<PipelineSpec>(spec);
      const input = { spine, views: features, split, asOf, snapshots, slices: sliceColumns(gates) };
      return runStep(cache, buildTrainingSet, input, { force });
    },
  };
}
