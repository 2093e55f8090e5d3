import type { Static } from 'typebox';
import Type from 'typebox';
import Value from 'typebox/value';
import { BlobRef, type Partition } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { SourceSpec } from '../spec/pipeline.ts';
import { digestOf } from '../store/digest.ts';
import type { BlobStore, ObjectStore } from '../store/ports.ts';
import { extractInput } from './source-file.ts';
import type { SourceOrigin } from './source-files.ts';

/**
 * What runs have seen of a source: for each of its partitions the versions that were published, and when a run first saw each.
 * Kept in `sightings/<source>/<declaration>/<number>.json`, create-only, so that what was known when stays decided, even when
 * the files are gone. A declaration is what shapes the extracted rows: after a changed contract, expression or path, the
 * history begins anew with what is there.
 */

const Sighting = Type.Object({
  name: Type.String(),
  /** The extracted partition as JSON. */
  partition: BlobRef,
  /** Digest of its data, by which a version is told from the one before. */
  data: Type.String(),
  knownFrom: Type.Union([Type.String(), Type.Null()]),
  newestEvent: Type.Union([Type.String(), Type.Null()]),
  /** What a database told cheaply of this partition, and the digest of the copy that was made then. */
  probe: Type.Optional(Type.Object({ value: Type.String(), sha256: Type.String() })),
});
const SightingEntry = Type.Object({
  source: Type.String(),
  path: Type.String(),
  /** When the run that saw them was due, ISO UTC, by its own clock; see `afterLast`. */
  seenAt: Type.String(),
  partitions: Type.Array(Sighting),
});

export interface Seen extends Static<typeof Sighting> {
  seenAt: string;
}

/** Versions by partition, oldest first. */
export interface Sightings {
  folder: string;
  entries: number;
  versions: ReadonlyMap<string, Seen[]>;
}

const AT_ONCE = 16;

/** Digest of what shapes a source's rows. @throws RefitError REFIT_PII_KEY_MISSING, REFIT_CONTRACT_INVALID */
export function declarationOf(place: Pick<SourceOrigin, 'piiKey'>, source: string, spec: SourceSpec): string {
  const { file: _, ...input } = extractInput(place, source, spec, { name: '', sha256: '' });
  return digestOf({ ...input, path: spec.path }).slice(0, 32);
}

/** @throws RefitError REFIT_STORE_CORRUPT */
export async function readSightings(objects: ObjectStore, source: string, declaration: string): Promise<Sightings> {
  const folder = `sightings/${source}/${declaration}/`;
  const keys: string[] = [];
  for await (const key of objects.list(folder)) keys.push(key);
  const versions = new Map<string, Seen[]>();
  for (let from = 0; from < keys.length; from += AT_ONCE) {
    const read = keys.slice(from, from + AT_ONCE).map((key) => readEntry(objects, key));
    for (const { seenAt, partitions } of await Promise.all(read)) {
      for (const one of partitions) {
        const before = versions.get(one.name) ?? [];
        versions.set(one.name, [...before, { ...one, seenAt: afterLast(before, seenAt) }]);
      }
    }
  }
  return { folder, entries: keys.length, versions };
}

/**
 * When a version was seen that was recorded after others: not before them, whatever its run's clock or schedule said. So what is
 * known by a date is the same for the run that records a version as for all later ones.
 */
export function afterLast(seen: readonly Pick<Seen, 'seenAt'>[], seenAt: string): string {
  const last = seen.at(-1)?.seenAt;
  return last !== undefined && Date.parse(last) > Date.parse(seenAt) ? last : seenAt;
}

async function readEntry(objects: ObjectStore, key: string): Promise<Static<typeof SightingEntry>> {
  const object = await objects.get(key);
  try {
    const entry: unknown = JSON.parse(new TextDecoder().decode(object?.body));
    if (Value.Check(SightingEntry, entry)) return entry;
  } catch {
    // Told below.
  }
  throw new RefitError('REFIT_STORE_CORRUPT', `The record ${key} of what was known when is damaged.`, { key });
}

/** @returns false when another run wrote first: read again */
export async function appendSightings(
  blobs: BlobStore,
  { folder, entries }: Sightings,
  seen: { source: string; path: string; seenAt: string; partitions: { partition: Partition; probe?: Seen['probe'] }[] },
): Promise<boolean> {
  const partitions = await Promise.all(
    seen.partitions.map(async ({ partition, probe }) => ({
      name: partition.name,
      partition: await blobs.putJson(partition),
      data: partition.data.sha256,
      knownFrom: partition.knownFrom ?? null,
      newestEvent: partition.newestChange ?? partition.eventRange?.newest ?? null,
      ...(probe ? { probe } : {}),
    })),
  );
  const key = `${folder}${String(entries + 1).padStart(8, '0')}.json`;
  const body = new TextEncoder().encode(`${JSON.stringify({ ...seen, partitions }, null, 2)}\n`);
  return (await blobs.objects.put(key, body, { create: true })) !== undefined;
}
