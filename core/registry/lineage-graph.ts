/** Everything the store can tell of what was made from what, and the states of the versions; made once for a question. */
import type { ObjectStore } from '../store/ports.ts';
import { verifyAudit } from './audit.ts';
import {
  type Extraction,
  type KnownSnapshot,
  type KnownTrainingSet,
  readExtractions,
  readSnapshots,
  readTrainingSets,
  readVersions,
} from './lineage-records.ts';
import { readRouting } from './routing.ts';
import type { VersionManifest } from './schemas.ts';
import { findBar } from './status.ts';

export interface KnownPartition {
  source: string;
  name: string;
  /** SHA-256 of the extracted partition. */
  data: string;
  /** SHA-256 of the raw files it may have come from. */
  raw: string[];
  rows: number | null;
}

export interface LineageGraph {
  partitions: KnownPartition[];
  snapshots: KnownSnapshot[];
  trainingSets: Map<string, KnownTrainingSet>;
  versions: VersionManifest[];
}

/** @throws RefitError REFIT_REGISTRY_DAMAGED when a model's index is damaged */
export async function readGraph(objects: ObjectStore): Promise<LineageGraph> {
  const [extractions, snapshots, trainingSets, versions] = await Promise.all([
    readExtractions(objects),
    readSnapshots(objects),
    readTrainingSets(objects),
    readVersions(objects),
  ]);
  return { partitions: partitionsOf(extractions, snapshots), snapshots, trainingSets, versions };
}

/** Extracted files, and those of snapshots whose record of extraction is no longer there. */
function partitionsOf(extractions: Extraction[], snapshots: KnownSnapshot[]): KnownPartition[] {
  const found = new Map<string, KnownPartition>();
  const at = (source: string, name: string, data: string, rows: number | null) => {
    const key = `${source} ${name} ${data}`;
    const partition = found.get(key) ?? { source, name, data, raw: [], rows };
    found.set(key, partition);
    return partition;
  };
  for (const { source, name, data, raw, rows } of extractions) {
    const partition = at(source, name, data, rows);
    if (!partition.raw.includes(raw)) partition.raw.push(raw);
  }
  for (const { source, partitions } of snapshots) {
    for (const { name, data } of partitions) at(source, name, data, null);
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.data < b.data ? -1 : 1));
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
