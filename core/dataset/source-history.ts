import type { Static } from 'typebox';
import Type from 'typebox';
import Value from 'typebox/value';
import { BlobRef, SchemaChange } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import { canonicalJson } from '../store/digest.ts';
import type { ObjectStore } from '../store/ports.ts';
import type { SchemaColumn } from './schema-change.ts';

/**
 * What a pipeline knew of a source as of earlier dates: its columns where they changed, and its snapshots. Kept under
 * `datasets/<source>/history/<pipeline>.json`, ordered by asOf, replaced by compare-and-set.
 */

const SchemaEntry = Type.Object({
  asOf: Type.String(),
  /** `x-version` of the contract. */
  version: Type.Integer(),
  columns: Type.Array(Type.Object({ name: Type.String(), type: Type.String(), required: Type.Boolean() })),
  /** Since the entry before. */
  changes: Type.Array(SchemaChange),
});
export type SchemaEntry = Static<typeof SchemaEntry>;

const SnapshotEntry = Type.Object({ asOf: Type.String(), snapshot: Type.String(), profile: BlobRef });
export type SnapshotEntry = Static<typeof SnapshotEntry>;

export const SourceHistory = Type.Object({ schemas: Type.Array(SchemaEntry), snapshots: Type.Array(SnapshotEntry) });
export type SourceHistory = Static<typeof SourceHistory>;

/** Older ones are of no use any more: a snapshot is compared with the one before it. */
const MOST_SNAPSHOTS = 500;

export function historyKey(pipeline: string, source: string): string {
  return `datasets/${source}/history/${pipeline}.json`;
}

/** Empty where there is none, or nothing that can be read. */
export async function readHistory(objects: ObjectStore, pipeline: string, source: string): Promise<SourceHistory> {
  return (await load(objects, historyKey(pipeline, source))).history;
}

async function load(objects: ObjectStore, key: string): Promise<{ history: SourceHistory; etag?: string }> {
  const object = await objects.get(key);
  if (!object) return { history: { schemas: [], snapshots: [] } };
  try {
    const history: unknown = JSON.parse(new TextDecoder().decode(object.body));
    if (Value.Check(SourceHistory, history)) return { history, etag: object.etag };
  } catch {
    // Said below.
  }
  throw new RefitError('REFIT_REGISTRY_DAMAGED', `${key} is no history of a source.`, { key });
}

/** The newest of what was recorded up to a date. */
export function lastUpTo<Entry extends { asOf: string }>(entries: readonly Entry[], asOf: string): Entry | undefined {
  return entries.findLast((entry) => Date.parse(entry.asOf) <= Date.parse(asOf));
}

/** Whether two schemas are one. */
export function sameColumns(a: readonly SchemaColumn[], b: readonly SchemaColumn[]): boolean {
  return canonicalJson(a) === canonicalJson(b);
}

interface News {
  schema: SchemaEntry;
  snapshot: SnapshotEntry;
}

/** Adds what is new; writes nothing where nothing is. @throws RefitError REFIT_CONFLICT */
export async function recordHistory(objects: ObjectStore, key: string, news: News): Promise<void> {
  for (let left = 8; left > 0; left--) {
    const { history, etag } = await load(objects, key);
    const next = {
      schemas: withSchema(history.schemas, news.schema),
      snapshots: withSnapshot(history.snapshots, news.snapshot),
    };
    if (canonicalJson(next) === canonicalJson(history)) return;
    const condition = etag === undefined ? ({ create: true } as const) : { ifMatch: etag };
    const body = new TextEncoder().encode(`${canonicalJson(next)}\n`);
    if ((await objects.put(key, body, condition)) !== undefined) return;
  }
  throw new RefitError('REFIT_CONFLICT', `${key} is being changed by others all the time.`, { key });
}

/** Only where the columns differ from those of the entry before. */
function withSchema(entries: readonly SchemaEntry[], entry: SchemaEntry): SchemaEntry[] {
  const last = lastUpTo(entries, entry.asOf);
  if (last && sameColumns(last.columns, entry.columns) && last.version === entry.version) return [...entries];
  return inserted(entries, entry);
}

/** One for each date, the newest. */
function withSnapshot(entries: readonly SnapshotEntry[], entry: SnapshotEntry): SnapshotEntry[] {
  const last = lastUpTo(entries, entry.asOf);
  if (last?.snapshot === entry.snapshot && last.profile.sha256 === entry.profile.sha256) return [...entries];
  const others = entries.filter(({ asOf, snapshot }) => asOf !== entry.asOf || snapshot !== entry.snapshot);
  return inserted(others, entry).slice(-MOST_SNAPSHOTS);
}

/** After all of its date and before. */
function inserted<Entry extends { asOf: string }>(entries: readonly Entry[], entry: Entry): Entry[] {
  const at = entries.findLastIndex(({ asOf }) => Date.parse(asOf) <= Date.parse(entry.asOf)) + 1;
  return [...entries.slice(0, at), entry, ...entries.slice(at)];
}
