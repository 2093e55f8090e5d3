/**
 * What the store knows of how things came to be, for lineage in both directions: records of steps, manifests of snapshots and
 * of versions. Read through the ObjectStore port alone, many at once, so that hundreds of versions in a bucket take seconds.
 */
import { viewDigest } from '../features/view-digest.ts';
import type { FeatureView } from '../spec/pipeline.ts';
import { unlessDamaged } from '../store/damage.ts';
import type { ObjectStore } from '../store/ports.ts';
import { listModels } from './describe.ts';
import { parseJson } from './json-object.ts';
import type { VersionManifest } from './schemas.ts';
import { findManifest, listVersions } from './versions.ts';

/** A raw file, and the partition that was extracted from it. */
export interface Extraction {
  source: string;
  /** File, relative to the project's root. */
  name: string;
  /** SHA-256 of the file. */
  raw: string;
  /** SHA-256 of the extracted partition. */
  data: string;
  rows: number | null;
}

/** A partition that was made of others: the versions of one file that was corrected, or the change rows of many. */
export interface Fold {
  source: string;
  name: string;
  data: string;
  rows: number | null;
  /** SHA-256 of the partitions it was made of. */
  of: string[];
}

export interface KnownSnapshot {
  source: string;
  id: string;
  partitions: { name: string; data: string }[];
}

/** A view as a pipeline declares it; equal declarations have equal digests, in whichever pipeline they stand. */
export interface KnownView {
  name: string;
  kind: string;
  /** '' where it reads none: features of the time, or of other features. */
  source: string;
  digest: string;
}

export interface KnownTrainingSet {
  digest: string;
  asOf: string;
  rows: { train: number; validate: number; test: number } | null;
  /** Source → id of its snapshot. */
  snapshots: Record<string, string>;
  /** Source of the rows and labels themselves. */
  spine: string;
  views: KnownView[];
}

const AT_ONCE = 24;

/** Files that were extracted, each with what came of it. */
export async function readExtractions(objects: ObjectStore): Promise<Extraction[]> {
  const records = await readAll<ExtractRecord>(objects, objects.list('steps/extract-partition/'));
  return records.flatMap(({ input, output }) => {
    const [name, raw, data] = [input?.file?.name, input?.file?.sha256, output?.data?.sha256];
    if (name === undefined || raw === undefined || data === undefined) return [];
    return [{ source: input?.source ?? '', name, raw, data, rows: output?.rows ?? null }];
  });
}

export async function readFolds(objects: ObjectStore): Promise<Fold[]> {
  const steps = ['steps/fold-versions/', 'steps/fold-changes/'];
  const records = await Promise.all(steps.map((step) => readAll<FoldRecord>(objects, objects.list(step))));
  return records.flat().flatMap(({ input, output }) => {
    if (output?.name === undefined || output.data?.sha256 === undefined) return [];
    const made = input?.partitions ?? (input?.versions ?? []).map(({ partition }) => partition);
    const of = made.flatMap((one) => one?.data?.sha256 ?? []);
    return [
      { source: input?.source ?? '', name: output.name, data: output.data.sha256, rows: output.rows ?? null, of },
    ];
  });
}

export async function readSnapshots(objects: ObjectStore): Promise<KnownSnapshot[]> {
  const manifests = filtered(objects.list('datasets/'), /^datasets\/[^/]+\/[^/]+\/manifest\.json$/);
  const found = await readAll<SnapshotRecord>(objects, manifests);
  return found.flatMap(({ source, id, partitions }) => {
    if (source === undefined || id === undefined) return [];
    const files = (partitions ?? []).flatMap(({ name, data }) => (data ? [{ name, data: data.sha256 }] : []));
    return [{ source, id, partitions: files }];
  });
}

/** Training sets that were built, each once; one that several records tell of is told of by the first. */
export async function readTrainingSets(objects: ObjectStore): Promise<Map<string, KnownTrainingSet>> {
  const found = new Map<string, KnownTrainingSet>();
  for (const { input, output } of await readAll<BuildRecord>(objects, objects.list('steps/build-training-set/'))) {
    if (output?.digest === undefined || found.has(output.digest)) continue;
    found.set(output.digest, {
      digest: output.digest,
      asOf: input?.asOf ?? '',
      rows: output.rows ?? null,
      snapshots: Object.fromEntries(Object.entries(input?.snapshots ?? {}).map(([name, { id }]) => [name, id])),
      spine: input?.spine?.source ?? '',
      views: (input?.views ?? []).map(knownView),
    });
  }
  return found;
}

export function knownView(view: FeatureView): KnownView {
  const source = 'source' in view ? view.source : '';
  return { name: view.name, kind: view.kind, source, digest: viewDigest(view) };
}

/** Manifests of all complete versions of all models. */
export async function readVersions(objects: ObjectStore): Promise<VersionManifest[]> {
  const models = await inParallel(await listModels(objects), async (model) =>
    (await listVersions(objects, model)).map((version) => ({ model, version })),
  );
  const manifests = await inParallel(models.flat(), ({ model, version }) => findManifest(objects, model, version));
  return manifests.flatMap((manifest) => manifest ?? []);
}

/** As far as a step's record is looked at here. All of it may be missing: another version of Refit may have written it. */
interface ExtractRecord {
  input?: { source?: string; file?: { name?: string; sha256?: string } };
  output?: { data?: { sha256?: string }; rows?: number };
}
interface FoldRecord {
  input?: { source?: string; partitions?: DataRecord[]; versions?: { partition?: DataRecord }[] };
  output?: DataRecord & { name?: string; rows?: number };
}
interface DataRecord {
  data?: { sha256?: string };
}
interface SnapshotRecord {
  source?: string;
  id?: string;
  partitions?: { name: string; data?: { sha256: string } }[];
}
interface BuildRecord {
  input?: {
    asOf?: string;
    spine?: { source?: string };
    views?: FeatureView[];
    snapshots?: Record<string, { id: string }>;
  };
  output?: { digest?: string; rows?: { train: number; validate: number; test: number } };
}

/** JSON of every key, in the order of the keys; half an object tells nothing and is passed over. */
async function readAll<Row>(objects: ObjectStore, keys: AsyncIterable<string>): Promise<Row[]> {
  const wanted: string[] = [];
  for await (const key of keys) if (key.endsWith('.json')) wanted.push(key);
  const found = await inParallel(wanted, async (key) => {
    const object = await unlessDamaged(() => objects.get(key));
    return object && (parseJson(object.body) as Row | null | undefined);
  });
  return found.flatMap((row) => (typeof row === 'object' && row !== null ? [row] : []));
}

async function* filtered(keys: AsyncIterable<string>, pattern: RegExp): AsyncIterable<string> {
  for await (const key of keys) if (pattern.test(key)) yield key;
}

/** Results in the order of the items, a bounded number of them under way at once. */
async function inParallel<Item, Result>(items: readonly Item[], work: (item: Item) => Promise<Result>) {
  const results: Result[] = [];
  let next = 0;
  const lane = async () => {
    for (let at = next++; at < items.length; at = next++) results[at] = await work(items[at] as Item);
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, lane));
  return results;
}
