/** Everything the store can tell of what was made from what, and the states of the versions; made once for a question. */
import type { ObjectStore } from '../store/ports.ts';
import { verifyAudit } from './audit.ts';
import { partitionOrigins, type ToldPartition } from './lineage-partitions.ts';
import {
  type Extraction,
  type Fold,
  type KnownSnapshot,
  type KnownTrainingSet,
  readExtractions,
  readFolds,
  readSnapshots,
  readTrainingSets,
  readVersions,
} from './lineage-records.ts';
import { readRouting } from './routing.ts';
import type { VersionManifest } from './schemas.ts';
import { findBar } from './status.ts';

export interface KnownPartition extends ToldPartition {
  source: string;
}

export interface LineageGraph {
  folds: Fold[];
  partitions: KnownPartition[];
  snapshots: KnownSnapshot[];
  trainingSets: Map<string, KnownTrainingSet>;
  versions: VersionManifest[];
}

/** @throws RefitError REFIT_REGISTRY_DAMAGED when a model's index is damaged */
export async function readGraph(objects: ObjectStore): Promise<LineageGraph> {
  const [extractions, folds, snapshots, trainingSets, versions] = await Promise.all([
    readExtractions(objects),
    readFolds(objects),
    readSnapshots(objects),
    readTrainingSets(objects),
    readVersions(objects),
  ]);
  return { folds, partitions: partitionsOf(extractions, folds, snapshots), snapshots, trainingSets, versions };
}

/** Extracted files, what was folded from them, and what snapshots hold whose records are no longer there. */
function partitionsOf(extractions: Extraction[], folds: Fold[], snapshots: KnownSnapshot[]): KnownPartition[] {
  const told = partitionOrigins(extractions, folds);
  const held = snapshots.flatMap(({ source, partitions }) => partitions.map((one) => ({ source, ...one })));
  const found = new Map<string, KnownPartition>();
  for (const { source, name, data } of [...extractions, ...folds, ...held]) {
    const key = `${source} ${name} ${data}`;
    if (!found.has(key)) found.set(key, { source, ...told(source, name, data) });
  }
  return [...found.values()].sort((a, b) =>
    a.name < b.name ? -1 : a.name > b.name ? 1 : a.sha256 < b.sha256 ? -1 : a.sha256 > b.sha256 ? 1 : 0,
  );
}

export type VersionStanding = 'champion' | 'former' | 'rejected' | 'undecided';

/** What became of the versions, by `model@version`. @throws RefitError REFIT_REGISTRY_DAMAGED */
export async function standings(
  objects: ObjectStore,
  versions: readonly Pick<VersionManifest, 'model' | 'version'>[],
): Promise<Map<string, VersionStanding>> {
  const found = new Map<string, VersionStanding>();
  for (const model of new Set(versions.map((one) => one.model))) {
    const champion = (await readRouting(objects, model))?.champion.version;
    const { entries } = await verifyAudit(objects, model);
    const promoted = new Set(entries.flatMap(({ action, version }) => (action === 'promote' ? [version] : [])));
    const own = versions.filter((one) => one.model === model);
    const bars = await Promise.all(own.map(({ version }) => findBar(objects, model, version)));
    for (const [index, { version }] of own.entries()) {
      const decided = bars[index] ? 'rejected' : promoted.has(version) ? 'former' : 'undecided';
      found.set(`${model}@${version}`, version === champion ? 'champion' : decided);
    }
  }
  return found;
}
