/**
 * Writes online features: from the same plans as the offline join, the values that answer at asOf. The reader is
 * read-features.ts, what they agree on is online-layout.ts.
 */
import { type DuckDb, identifier } from '../dataset/duckdb.ts';
import { timestampLiteral } from '../dataset/time-sql.ts';
import type { Snapshot } from '../spec/artifacts.ts';
import type { FeatureView, SpineSpec } from '../spec/pipeline.ts';
import { digestOf } from '../store/digest.ts';
import type { BlobStore } from '../store/ports.ts';
import { checkNames } from './feature-columns.ts';
import { changesOf, keysTable, type SourceChanges } from './online-keys.ts';
import { type OnlineLookup, onlineNamespace, readLayout } from './online-layout.ts';
import { type OnlinePart, onlineParts } from './online-parts.ts';
import { areThere, markWhole, placeOf } from './online-places.ts';
import { dataOf, type Progress, startProgress } from './online-progress.ts';
import { newestEventSql } from './online-rows-sql.ts';
import type { OnlineStore } from './online-store.ts';
import { createOnlineWriter } from './online-writer.ts';
import { type FeatureContext, withSources } from './open-sources.ts';
import { type SourceTable, type SourceTables, sourceOf } from './source-table.ts';
import { foreignSpine, ownSpine } from './spine.ts';
import { durationInterval } from './time-sql.ts';

export interface MaterializeInput {
  pipeline: string;
  spine: SpineSpec;
  views: FeatureView[];
  snapshots: Record<string, Snapshot>;
  /** Canonical asOf. */
  asOf: string;
  /** Writes everything, not just what changed; another token writes again. */
  force?: string | undefined;
}

export interface Materialized {
  namespace: string;
  asOf: string;
  /** Upcoming spine rows that can be asked for. */
  entities: number;
  /** Rows (one a key and view) looked at, and those that were newer than what was there. */
  rows: number;
  written: number;
  /** Whether it built on an earlier one and looked at what changed since only. */
  incremental: boolean;
  /** Rows that an attempt before this one, which was interrupted, had written already. */
  resumed: number;
}

/**
 * Brings the online features of a pipeline to asOf. Safe to repeat, and beside other writers: nothing newer is overwritten.
 * @throws RefitError REFIT_PIPELINE_INVALID, REFIT_EXPRESSION_INVALID, REFIT_STORE_CORRUPT
 */
export function materializeOnline(
  input: MaterializeInput,
  store: OnlineStore,
  context: FeatureContext,
): Promise<Materialized> {
  return withSources(input, context, async (db, sources) => {
    const entities = await upcomingKeys(db, input, sourceOf(sources, input.spine.source, 'spine'));
    const { blobs, signal, progress } = context;
    return materializeViews(db, store, { ...input, sources, entities, blobs, signal, progress });
  });
}

/** Relation with the key columns of the spine rows to come: asked for lately (`spine.online`), or within the coming week. */
export async function upcomingKeys(
  db: DuckDb,
  { spine, asOf }: Pick<MaterializeInput, 'spine' | 'asOf'>,
  source: SourceTable,
) {
  const now = timestampLiteral(asOf);
  const when = `__predict_at > ${now} - ${durationInterval(spine.online ?? '1h')} AND __predict_at <= ${now} + INTERVAL 7 DAY`;
  await ownSpine(db, { spec: spine, views: [], source, table: '__upcoming', at: now, when });
  return `(SELECT DISTINCT ${spine.key.map(identifier).join(', ')} FROM __upcoming)`;
}

export interface MaterializeRequest extends MaterializeInput {
  sources: SourceTables;
  /** Relation with the key columns of the spine rows that can be asked for. */
  entities: string;
  blobs: BlobStore;
  signal?: AbortSignal | undefined;
  progress?: FeatureContext['progress'];
}

/** As `materializeOnline`, in a database where the sources are open, for given entities. */
export async function materializeViews(
  db: DuckDb,
  store: OnlineStore,
  request: MaterializeRequest,
): Promise<Materialized> {
  const { pipeline, spine: spec, views, sources, asOf, entities } = request;
  const namespace = onlineNamespace(pipeline, spec, views);
  const nothing = { ...{ namespace, asOf, rows: 0, written: 0 }, incremental: true, resumed: 0 };
  const served = await readLayout(store, namespace);
  if (served && Date.parse(served.asOf) > Date.parse(asOf))
    return { ...nothing, entities: await countOf(db, entities) };

  const source = sourceOf(sources, spec.source, 'spine');
  const relation = `(SELECT ${timestampLiteral(asOf)} AS predict_at, * FROM ${entities})`;
  const spine = await foreignSpine(db, { spec, views, source, table: '__entities', relation });
  const { parts, features } = await onlineParts(views, sources, spine);
  checkNames(features, [...spec.key, 'predict_at']);

  const data = dataOf(asOf, request.snapshots);
  const books = await startProgress(store, namespace, { data, spine: spec, anew: request.force });
  if (books.published) {
    await books.publish(books.published);
    return { ...nothing, entities: await countOf(db, entities) };
  }
  const writer = createOnlineWriter(db, store, books.stamp, request.signal);
  const written = await writeParts(db, writer, { store, namespace, parts, request, books });
  const id = placeOf(namespace, books.stamp, 'entity');
  const keys = parts.map((part) => part.keys);
  const count = await writer.writeEntities(id, spec.key, spine, keys);
  await markWhole(store, id);
  const entity = { id, features: spine.fields, rows: count, spine: digestOf(spec) };
  const computed = views.filter((view) => view.kind === 'calendar' || view.kind === 'derived');
  const { lookups, ...done } = written;
  const published = await books.publish({ key: spec.key, entity, lookups, computed, features });
  // Another one came in between that this one did not know of: what it wrote where this one wrote counts no more.
  if (!published) return materializeViews(db, store, { ...request, force: `after turn ${books.stamp.turn}` });
  return { namespace, asOf, entities: count, ...writer.counts, ...done };
}

async function countOf(db: DuckDb, relation: string): Promise<number> {
  const [row] = await db.rows<{ n: number }>(`SELECT count(*)::DOUBLE AS n FROM ${relation}`);
  return row?.n ?? 0;
}

interface Parts {
  store: OnlineStore;
  namespace: string;
  parts: OnlinePart[];
  request: MaterializeRequest;
  books: Progress;
}

/** Writes what has to be of each part: where it lies already if only some of it changed, else anew. */
async function writeParts(
  db: DuckDb,
  writer: ReturnType<typeof createOnlineWriter>,
  { store, namespace, parts, request, books }: Parts,
): Promise<{ lookups: OnlineLookup[]; incremental: boolean; resumed: number }> {
  const { before: earlier, stamp } = books;
  const changesIn = new Map<string, SourceChanges | undefined>();
  for (const [name, snapshot] of Object.entries(request.snapshots)) {
    if (earlier) changesIn.set(name, await changesOf(db, request.blobs, snapshot, earlier.data));
  }
  const lookups: OnlineLookup[] = [];
  let [incremental, resumed] = [parts.length > 0, 0];
  for (const [place, part] of parts.entries()) {
    const { lookup } = part;
    const old = earlier?.layout.lookups.find((one) => one.part === lookup.part);
    const changes = old && changesIn.get(part.source.name);
    const base = old && changes && !isOvergrown(old) && (await areThere(store, [old.id])) ? old : undefined;
    if (!base) incremental = false;
    const id = base?.id ?? placeOf(namespace, stamp, lookup.part);
    const before = writer.counts.rows;
    const of = { part, id, place, changes: base && changes, books, progress: request.progress };
    const already = await writeChanged(db, writer, of);
    if (!base) await markWhole(store, id);
    resumed += already;
    const rows = already + writer.counts.rows - before;
    const size = base ? { ...base.size, since: base.size.since + rows } : { whole: rows, since: 0 };
    const newestUs = await newestEvent(db, part, request.asOf, base?.newestUs ?? null);
    lookups.push({ ...lookup, id, size, newestUs });
  }
  return { lookups, incremental, resumed };
}

/** Looks first where it was last: it seldom goes back. */
async function newestEvent(db: DuckDb, part: OnlinePart, asOf: string, sinceUs: number | null): Promise<number | null> {
  const [row] = await db.rows<{ newest: number | null }>(newestEventSql(part, asOf, sinceUs));
  const newest = row?.newest ?? null;
  return newest === null && sinceUs !== null ? newestEvent(db, part, asOf, null) : newest;
}

/** Rows of keys that expired are never asked for again, and go only with their place. */
const MOST_SINCE = 10_000;

const isOvergrown = ({ size }: OnlineLookup) => size.since > Math.max(MOST_SINCE, size.whole);

interface ChangedPart {
  part: OnlinePart;
  /** View that its rows are written to. */
  id: string;
  place: number;
  changes: SourceChanges | undefined;
  books: Progress;
  progress: FeatureContext['progress'];
}

/** Writes the keys of a part that have to be, from where an earlier attempt was interrupted. @returns how many that had written */
async function writeChanged(
  db: DuckDb,
  writer: ReturnType<typeof createOnlineWriter>,
  { part, id, place, changes, books, progress }: ChangedPart,
): Promise<number> {
  const { table, keys } = await keysTable(db, part, place, changes);
  const fromId = await books.of(id);
  await writer.writePart({
    ...{ part, id, keys: table, fromId, empty: changes !== undefined },
    async written(nextId) {
      await books.reached(id, nextId);
      progress?.({ view: part.lookup.view, keys: Math.min(nextId, keys), of: keys });
    },
  });
  return Math.min(fromId, keys);
}
