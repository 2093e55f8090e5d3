/** From a version back to the raw files, by digest: what its manifest names, completed from the records of its steps. */
import type { LineageTree } from '../spec/cli.ts';
import type { PipelineSpec } from '../spec/pipeline.ts';
import { unlessDamaged } from '../store/damage.ts';
import type { ObjectStore } from '../store/ports.ts';
import { verifyAudit } from './audit.ts';
import { parseJson } from './json-object.ts';
import { partitionOrigins } from './lineage-partitions.ts';
import { type KnownTrainingSet, knownView, readExtractions, readFolds, readTrainingSets } from './lineage-records.ts';
import type { VersionManifest } from './schemas.ts';
import { readManifest } from './versions.ts';

/** @throws RefitError REFIT_REGISTRY_DAMAGED when the version has no intact manifest */
export async function traceLineage(objects: ObjectStore, model: string, version: number): Promise<LineageTree> {
  const manifest = await readManifest(objects, model, version);
  const { asOf, sha256, lineage } = manifest;
  const [extractions, folds, sets, audit] = await Promise.all([
    readExtractions(objects),
    readFolds(objects),
    readTrainingSets(objects),
    verifyAudit(objects, model),
  ]);
  const told = partitionOrigins(extractions, folds);
  const sources = Object.entries(lineage.sources).map(([source, { snapshot, partitions }]) => ({
    source,
    snapshot,
    partitions: partitions.map((one) => told(source, one.name, one.sha256)),
  }));
  // What a person did by hand is no run.
  const decided = audit.entries.filter((entry) => entry.version === version && entry.workflowId !== '');
  const built = sets.get(lineage.trainingSet) ?? (await declared(objects, manifest));
  return {
    ...{ model, version, asOf, sha256, pipeline: lineage.pipeline.digest },
    runs: decided.map(({ workflowId, runId }) => ({ workflowId, runId })),
    trainingSet: { digest: lineage.trainingSet, rows: built?.rows ?? null, spine: built?.spine ?? null },
    views: (built?.views ?? []).map((view) => ({ ...view, snapshot: lineage.sources[view.source]?.snapshot ?? null })),
    sources,
  };
}

/** What the declaration says where the record of the training set is no longer in the store. */
async function declared(
  objects: ObjectStore,
  { lineage }: VersionManifest,
): Promise<Pick<KnownTrainingSet, 'rows' | 'spine' | 'views'> | undefined> {
  const object = await unlessDamaged(() => objects.get(lineage.pipeline.spec.uri));
  const spec = object && (parseJson(object.body) as Partial<PipelineSpec> | undefined);
  if (!spec?.spine || !spec.features) return undefined;
  return { rows: null, spine: spec.spine.source, views: spec.features.map(knownView) };
}
