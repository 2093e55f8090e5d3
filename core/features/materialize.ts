/**
 * Writes online features: from the same plans as the offline join, the values that answer at asOf. The reader is
 * read-features.ts, what they agree on is online-layout.ts.
 */
import { type DuckDb, identifier } from '../dataset/duckdb.ts';
import { timestampLiteral } from '../dataset/time-sql.ts';
import type { Snapshot } from '../spec/artifacts.ts';
import type { FeatureView, SpineSpec } from '../spec/pipeline.ts';
import { checkNames } from './feature-columns.ts';
import { keysTable } from './online-keys.ts';
import { type OnlineLookup, onlineNamespace, writeLayout } from './online-layout.ts';
import { onlineParts } from './online-parts.ts';
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
  const source = sourceOf(sources, spec.source, 'spine');
  const relation = `(SELECT ${timestampLiteral(asOf)} AS predict_at, * FROM ${request.entities})`;
  const spine = await foreignSpine(db, { spec, views, source, table: '__entities', relation });
  const { parts, features } = await onlineParts(namespace, views, sources, spine);
  checkNames(features, [...spec.key, 'predict_at']);

  const writer = createOnlineWriter(db, store, asOf, request.signal);
  const lookups: OnlineLookup[] = [];
  for (const [place, part] of parts.entries()) {
    const { table } = await keysTable(db, part, place);
    const newestUs = await writer.writePart({ part, keys: table, fromId: 0, written: async () => undefined });
    lookups.push({ ...part.lookup, sinceUs: Date.parse(asOf) * 1000, newestUs: newestUs ?? null });
  }
  const entity = { id: `${namespace}/entity`, features: spine.fields };
  const keys = parts.map((part) => part.keys);
  const entities = await writer.writeEntities(entity.id, spec.key, spine, keys);
  const computed = views.filter((view) => view.kind === 'calendar' || view.kind === 'derived');
  await writeLayout(store, namespace, { asOf, key: spec.key, entity, lookups, computed, features });
  return { namespace, asOf, entities, ...writer.counts };
}
