import { compose, placesOf, type Refit } from '../../core/compose/refit.ts';
import { createExtractPartition, extractSlice } from '../../core/dataset/extract-partition.ts';
import { fingerprintFile, listPartitions } from '../../core/dataset/partitions.ts';
import { publishSnapshot } from '../../core/dataset/publish-snapshot.ts';
import { buildTrainingSet } from '../../core/features/build-training-set.ts';
import { loadPipeline } from '../../core/pipeline/load.ts';
import type { FittedModel, Partition, Snapshot, TrainingSet } from '../../core/spec/artifacts.ts';
import type { PipelineSpec } from '../../core/spec/pipeline.ts';
import type { Step } from '../../core/store/step.ts';
import { createFitModel, modelSlice } from '../../core/training/fit-model.ts';
import type { Project } from './project.ts';

/** The steps of a run without Temporal: for tests that look at what lies between the stages. */
export interface PipelineSteps {
  refit: Refit;
  spec: PipelineSpec;
  asOf: string;
  step<Input, Output>(step: Step<Input, Output>, input: Input): Promise<Output>;
}

export async function pipelineSteps(
  project: Project,
  asOf: string,
  set: Record<string, unknown>,
): Promise<PipelineSteps> {
  const refit = compose(placesOf(project.root, {}));
  const spec = await loadPipeline(refit.places.pipelines, 'flight-delays', set);
  const { signal } = new AbortController();
  return { refit, spec, asOf, step: async (step, input) => (await refit.cache.run(step, input, { signal })).output };
}

/** Extracts every file of every source. */
export async function extractAll({ refit, spec, asOf, step }: PipelineSteps): Promise<Record<string, Snapshot>> {
  const { root } = refit.places;
  const snapshots: Record<string, Snapshot> = {};
  for (const [source, declared] of Object.entries(spec.sources)) {
    const partitions: Partition[] = [];
    for (const { name, path } of await listPartitions(root, source, declared)) {
      const file = { name, sha256: await fingerprintFile(path) };
      partitions.push(await step(createExtractPartition({ root }), { source, spec: extractSlice(declared), file }));
    }
    const { contract, maxBadShare } = declared;
    snapshots[source] = await step(publishSnapshot, { source, asOf, partitions, contract, maxBadShare });
  }
  return snapshots;
}

export function trainingSetOf(
  { spec, asOf, step }: PipelineSteps,
  snapshots: Record<string, Snapshot>,
): Promise<TrainingSet> {
  const { spine, features: views, split } = spec;
  return step(buildTrainingSet, { spine, views, split, asOf, snapshots, slices: [] });
}

export function modelOf({ refit, spec, step }: PipelineSteps, trainingSet: TrainingSet): Promise<FittedModel> {
  const fit = createFitModel({ library: refit.places.lightgbm, threads: 2 });
  return step(fit, { trainingSet, model: modelSlice(spec.model) });
}
