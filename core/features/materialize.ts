/**
 * Writes online features: from the same plans as the offline join, the values that answer at asOf. The reader is
 * read-features.ts, what they agree on is online-layout.ts.
 */
import { type DuckDb, identifier } from '../dataset/duckdb.ts';
import { timestampLiteral } from '../dataset/time-sql.ts';
import type { Snapshot } from '../spec/artifacts.ts';
import type { FeatureView, SpineSpec } from '../spec/pipeline.ts';
import { digestOf } from '../store/digest.ts';
import { checkNames } from './feature-columns.ts';
import { changesOf, keysTable, type SourceChanges } from './online-keys.ts';
import { type OnlineLookup, onlineNamespace, readLayout, writeLayout } from './online-layout.ts';
import { type OnlinePart, onlineParts } from './online-parts.ts';
import { dataOf, type Progress, startProgress } from './online-progress.ts';
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
    const data = dataOf(input.asOf, input.snapshots);
    const namespace = onlineNamespace(input.pipeline, input.spine, input.views);
    const books = await startProgress(store, namespace, data, input.force);
    const { before } = books;
    const changes = new Map<string, SourceChanges | undefined>();
    for (const [name, snapshot] of Object.entries(input.snapshots)) {
      if (before) changes.set(name, await changesOf(db, blobs, snapshot, before));
    }
    const done = await materializeViews(db, store, { ...input, sources, entities, signal, books, changes, progress });
    await books.finish();
    return done;
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

export interface MaterializeRequest {
  pipeline: string;
  spine: SpineSpec;
  views: FeatureView[];
  sources: SourceTables;
  asOf: string;
  /** Relation with the key columns of the spine rows that can be asked for. */
  entities: string;
  signal?: AbortSignal | undefined;
  /** What changed since the last time, by source; undefined = everything may have. */
  changes?: ReadonlyMap<string, SourceChanges | undefined>;
  /** Where it is kept how far the work came. */
  books?: Progress;
  progress?: FeatureContext['progress'];
}

/** As `materializeOnline`, in a database where the sources are open, for given entities. */
export async function materializeViews(
  db: DuckDb,
  store: OnlineStore,
  request: MaterializeRequest,
): Promise<Materialized> {
  const { pipeline, spine: spec, views, sources, asOf } = request;
  const namespace = onlineNamespace(pipeline, spec, views);
  const source = sourceOf(sources, spec.source, 'spine');
  const relation = `(SELECT ${timestampLiteral(asOf)} AS predict_at, * FROM ${request.entities})`;
  const spine = await foreignSpine(db, { spec, views, source, table: '__entities', relation });
  const { parts, features } = await onlineParts(namespace, views, sources, spine);
  checkNames(features, [...spec.key, 'predict_at']);

  const writer = createOnlineWriter(db, store, asOf, request.signal);
  const before = await readLayout(store, namespace);
  const lookups: OnlineLookup[] = [];
  let [incremental, resumed] = [parts.length > 0, 0];
  for (const [place, part] of parts.entries()) {
    const old = before?.lookups.find(({ id }) => id === part.lookup.id);
    const changes = old && request.changes?.get(part.source.name);
    if (!changes) incremental = false;
    const written = await writeChanged(db, writer, { part, place, changes, request });
    resumed += written.resumed;
    const newest = [
      ...(changes ? [old?.newestUs ?? []].flat() : []),
      ...(written.newestUs === undefined ? [] : [written.newestUs]),
    ];
    lookups.push({
      ...part.lookup,
      sinceUs: changes ? (old?.sinceUs ?? 0) : Date.parse(asOf) * 1000,
      newestUs: newest.length > 0 ? Math.max(...newest) : null,
    });
  }
  // Which keys an entity's row holds is part of its name: known-at times may move features to other look-ups.
  const held = digestOf([spine.fields, parts.map(({ lookup }) => lookup.id)]).slice(0, 8);
  const entity = { id: `${namespace}/${held}/entity`, features: spine.fields };
  const keys = parts.map((part) => part.keys);
  const entities = await writer.writeEntities(entity.id, spec.key, spine, keys);
  const computed = views.filter((view) => view.kind === 'calendar' || view.kind === 'derived');
  await writeLayout(store, namespace, { asOf, key: spec.key, entity, lookups, computed, features });
  return { namespace, asOf, entities, ...writer.counts, incremental, resumed };
}

interface ChangedPart {
  part: OnlinePart;
  place: number;
  changes: SourceChanges | undefined;
  request: MaterializeRequest;
}

/** Writes the keys of a part that have to be, from where an earlier attempt was interrupted. */
async function writeChanged(
  db: DuckDb,
  writer: ReturnType<typeof createOnlineWriter>,
  { part, place, changes, request: { books, progress } }: ChangedPart,
): Promise<{ newestUs: number | undefined; resumed: number }> {
  const { table, keys } = await keysTable(db, part, place, changes);
  const reached = (await books?.of(part.lookup.id)) ?? { nextId: 0, newestUs: undefined };
  let newestUs = reached.newestUs;
  await writer.writePart({
    ...{ part, keys: table, fromId: reached.nextId, empty: changes !== undefined },
    async written(nextId, own) {
      newestUs = own === undefined ? newestUs : Math.max(newestUs ?? own, own);
      await books?.reached(part.lookup.id, nextId, newestUs);
      progress?.({ view: part.lookup.view, keys: Math.min(nextId, keys), of: keys });
    },
  });
  return { newestUs, resumed: Math.min(reached.nextId, keys) };
}
