/**
 * Writes online features: from the same plans as the offline join, the values that answer at asOf. The reader is
 * read-features.ts, what they agree on is online-layout.ts.
 */
import { type DuckDb, identifier } from '../dataset/duckdb.ts';
import { timestampLiteral } from '../dataset/time-sql.ts';
import type { Snapshot } from '../spec/artifacts.ts';
import type { FeatureView, LatestView, SpineSpec, WindowView } from '../spec/pipeline.ts';
import { compileLatest, compileWindow, type Spine } from './compile.ts';
import { checkNames, isJoined } from './feature-columns.ts';
import { joinKeys, type KeyPair } from './join-keys.ts';
import { latestLookups } from './latest-view.ts';
import { type OnlineLayout, type OnlineLookup, onlineNamespace, writeLayout } from './online-layout.ts';
import type { OnlineStore, OnlineValue } from './online-store.ts';
import { createOnlineWriter } from './online-writer.ts';
import { type FeatureContext, withSources } from './open-sources.ts';
import { type SourceTable, type SourceTables, sourceOf } from './source-table.ts';
import { foreignSpine, ownSpine } from './spine.ts';
import { durationInterval } from './time-sql.ts';
import { windowFeatures, windowSql } from './window-view.ts';

export interface MaterializeInput {
  pipeline: string;
  spine: SpineSpec;
  views: FeatureView[];
  snapshots: Record<string, Snapshot>;
  /** Canonical asOf. */
  asOf: string;
}

export interface Materialized {
  namespace: string;
  asOf: string;
  /** Upcoming spine rows that can be asked for. */
  entities: number;
  /** Rows looked at in all views, and those that were newer than what was there. */
  rows: number;
  written: number;
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
    return materializeViews(db, store, { ...input, sources, entities, signal: context.signal });
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
}

/** As `materializeOnline`, in a database where the sources are open, for given entities. */
export async function materializeViews(
  db: DuckDb,
  store: OnlineStore,
  request: MaterializeRequest,
): Promise<Materialized> {
  const { pipeline, spine: spec, views, sources, asOf } = request;
  const namespace = onlineNamespace(pipeline, spec, views);
  const now = timestampLiteral(asOf);
  const source = sourceOf(sources, spec.source, 'spine');
  const relation = `(SELECT ${now} AS predict_at, * FROM ${request.entities})`;
  const spine = await foreignSpine(db, { spec, views, source, table: '__entities', relation });
  const writer = createOnlineWriter(db, store, asOf, request.signal);

  const lookups: (OnlineLookup & { keys: KeyPair[] })[] = [];
  for (const view of views.filter(isJoined)) {
    for (const part of await viewParts(db, view, { spine, sources, now })) {
      // The features' names are part of the name: rows of another layout are never read as this one's.
      const id = `${namespace}/${view.name}/${part.features.map(({ name }) => name).join(',')}`;
      await writer.write(
        id,
        part.keyColumns,
        part.features.map(({ name }) => name),
        part.relation,
        part.timed,
      );
      const ttl = view.kind === 'latest' && view.ttl !== undefined ? { ttl: view.ttl } : {};
      lookups.push({ id, view: view.name, features: part.features, absent: part.absent, keys: part.keys, ...ttl });
    }
  }
  const features = featuresInOrder(views, spine, lookups);
  checkNames(features, [...spec.key, 'predict_at']);
  const entity = { id: `${namespace}/entity`, features: spine.fields };
  const entities = await writer.writeEntities(
    entity.id,
    spec.key,
    spine,
    lookups.map(({ keys }) => keys),
  );
  const layout: OnlineLayout = {
    asOf,
    key: spec.key,
    entity,
    lookups: lookups.map(({ keys: _, ...lookup }) => lookup),
    features,
  };
  await writeLayout(store, namespace, layout);
  return { namespace, asOf, entities, ...writer.counts };
}

interface ViewPart {
  /** `k` has the key columns, `v` the values. */
  relation: string;
  keyColumns: string[];
  keys: KeyPair[];
  features: OnlineLookup['features'];
  absent: OnlineValue[];
  /** Whether the relation has `__event` and `__known` of its own; otherwise the values are as of asOf. */
  timed: boolean;
}

/** A view's values for every key that its source knows, one part for each look-up. */
async function viewParts(
  db: DuckDb,
  view: LatestView | WindowView,
  { spine, sources, now }: { spine: Spine; sources: SourceTables; now: string },
): Promise<ViewPart[]> {
  const source = sourceOf(sources, view.source, `features.${view.name}`);
  const keys = joinKeys(view.by, spine.columns, source, view.name);
  const table = identifier(`__keys_${view.name}`);
  const columns = keys.map(({ sourceSql, spineColumn }) => `${sourceSql} AS ${identifier(spineColumn)}`).join(', ');
  const present = keys.map(({ sourceSql }) => `${sourceSql} IS NOT NULL`).join(' AND ');
  await db.run(`CREATE OR REPLACE TEMP TABLE ${table} AS SELECT row_number() OVER () AS __row, ${now} AS __at, *
    FROM (SELECT DISTINCT ${columns} FROM ${source.relation} WHERE ${source.good} AND ${present})`);
  const types = new Map(keys.map(({ spineColumn, type }) => [spineColumn, type]));
  const common = { keys, keyColumns: keys.map(({ spineColumn }) => spineColumn) };
  if (view.kind === 'window') {
    const plan = await compileWindow(view, sources, types);
    const features = windowFeatures(plan);
    return (await windowSql(plan, table)).map(({ names, sql }) => ({
      ...common,
      relation: `${table} k JOIN (${sql}) v USING (__row)`,
      features: features.filter(({ name }) => names.includes(name)),
      absent: plan.measures
        .filter(({ aggregate: { name } }) => names.includes(name))
        .map(({ aggregate: { fn } }) => (fn === 'count' || fn === 'distinct' ? 0 : null)),
      timed: false,
    }));
  }
  const plan = await compileLatest(view, sources, types);
  return (await latestLookups(plan, table)).map(({ outputs, sql }) => {
    const names = new Set(outputs.map(({ name }) => name));
    const features = plan.outputs.filter(({ name }) => names.has(name)).map(({ feature }) => feature);
    return {
      ...common,
      relation: `${table} k JOIN (${sql}) v USING (__row)`,
      features,
      absent: features.map(() => null),
      timed: true,
    };
  });
}

function featuresInOrder(views: FeatureView[], spine: Spine, lookups: OnlineLookup[]): OnlineLayout['features'] {
  return views.flatMap((view) => {
    if (view.kind === 'fields') return spine.fields.filter((feature) => feature.view === view.name);
    const found = lookups.filter((lookup) => lookup.view === view.name).flatMap(({ features }) => features);
    if (!isJoined(view)) return [];
    // A view's look-ups are grouped by when values are known; its features keep the order they were declared in.
    const declared =
      view.kind === 'window' ? view.aggregate.map(({ name }) => name) : view.fields.map(({ name }) => name);
    const place = (name: string) =>
      declared.findIndex((field) => name === field || name === `${field}_sin` || name === `${field}_cos`);
    return found.sort((a, b) => place(a.name) - place(b.name));
  });
}
