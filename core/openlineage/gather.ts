/** Looks up in the store what an event tells beside what its moment says: columns, raw files, column lineage. */
import { withDuckDb } from '../dataset/duckdb.ts';
import { foldedOf } from '../dataset/partition-files.ts';
import { readManifest } from '../dataset/read-snapshot.ts';
import type { LineageMoment, LineageRun } from '../spec/openlineage.ts';
import type { PipelineSpec } from '../spec/pipeline.ts';
import type { BlobStore } from '../store/ports.ts';
import { snapshotLineage, trainingSetLineage } from './column-lineage.ts';
import { rawName, snapshotName } from './datasets.ts';
import type { EventContext } from './events.ts';

export interface GatherDeps {
  blobs: BlobStore;
  root: string;
  /** Folder that DuckDB may spill to. */
  scratch: string;
  version: string;
  namespace: string;
}

/** @throws RefitError REFIT_STORE_CORRUPT when the declaration or a snapshot is not in the store */
export async function gather(run: LineageRun, moment: LineageMoment, deps: GatherDeps): Promise<EventContext> {
  const { blobs, root, version, namespace } = deps;
  const spec = await blobs.json<PipelineSpec>(run.spec);
  const store = blobs.objects.address;
  const snapshots = await snapshotsOf(run, moment, spec, deps);
  const context: EventContext = { version, namespace, store, root, spec, snapshots };
  const features = moment.facts.trainingSet?.features;
  if (moment.stage !== 'features' || moment.type !== 'COMPLETE' || !features) return context;
  const lineage = await withDuckDb({ scratch: deps.scratch }, (db) =>
    trainingSetLineage(db, spec, features, snapshots, (source) => snapshotName(store, source)),
  );
  return { ...context, trainingSetLineage: lineage };
}

async function snapshotsOf(run: LineageRun, moment: LineageMoment, spec: PipelineSpec, deps: GatherDeps) {
  const { stage, type, facts } = moment;
  const found: EventContext['snapshots'] = {};
  // Other stages speak of what was made of them.
  if (stage !== null && stage !== 'extract' && stage !== 'features') return found;
  if (Object.keys(facts.snapshots ?? {}).length === 0) return found;
  const { objects } = deps.blobs;
  for (const [source, { id }] of Object.entries(facts.snapshots ?? {})) {
    const { columns, partitions } = await readManifest(objects, source, id);
    // What was folded before that was recorded is told by its own name.
    const raw = foldedOf(partitions);
    const known = { columns, partitions: partitions.length, raw };
    found[source] = known;
    const declared = spec.sources[source];
    if (stage !== 'extract' || type !== 'COMPLETE' || !declared) continue;
    const name = rawName(deps.root, run.pipeline, source, declared);
    const lineage = await withDuckDb({ scratch: deps.scratch }, (db) => snapshotLineage(db, name, declared, columns));
    found[source] = { ...known, lineage };
  }
  return found;
}
