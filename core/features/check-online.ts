/** Whether the online store serves what the offline join gives: the same entities and keys, at the same time, by both ways. */
import { type DuckDb, identifier } from '../dataset/duckdb.ts';
import { timestampLiteral } from '../dataset/time-sql.ts';
import type { FeatureInfo, Snapshot } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { FeatureView, SpineSpec } from '../spec/pipeline.ts';
import { checkViewKeys, type KeyedValue } from './check-view-keys.ts';
import { joinViews, type Spine } from './compile.ts';
import { identifiers } from './feature-columns.ts';
import { upcomingKeys } from './materialize.ts';
import { type OnlineLayout, onlineNamespace, readLayout } from './online-layout.ts';
import type { OnlineStore, OnlineValue } from './online-store.ts';
import { type FeatureContext, withSources } from './open-sources.ts';
import { type FeatureVector, readFeatures } from './read-features.ts';
import { type SourceTable, type SourceTables, sourceOf } from './source-table.ts';
import { foreignSpine } from './spine.ts';

export interface CheckInput {
  pipeline: string;
  spine: SpineSpec;
  views: FeatureView[];
  /** The sources as of `at`. */
  snapshots: Record<string, Snapshot>;
  /** When features are asked for: canonical, not before what the online store was brought to. */
  at: string;
  /** Entities to compare, and keys of each view, at most. */
  sample: number;
}

export interface ViewCheck {
  view: string;
  /** Values that were held against each other, and those that differ. */
  compared: number;
  differing: number;
  /** One that differs. */
  example: { key: Record<string, string>; feature: string; offline: OnlineValue; online: OnlineValue } | null;
}

export interface OnlineCheck {
  /** What the online store was brought to. */
  asOf: string;
  at: string;
  entities: number;
  /** Keys that the views were asked by, beside those of the entities. */
  keys: number;
  /** Entities that the online store does not know; their values are not compared. */
  unknown: number;
  views: ViewCheck[];
  same: boolean;
}

type Declared = Pick<CheckInput, 'pipeline' | 'spine' | 'views'>;

/** What the online store of a pipeline was brought to. @throws RefitError REFIT_ENTITY_UNKNOWN where nothing was materialised */
export async function materializedAsOf(store: OnlineStore, declared: Declared): Promise<string> {
  return (await layoutOf(store, declared)).asOf;
}

async function layoutOf(store: OnlineStore, { pipeline, spine, views }: Declared): Promise<OnlineLayout> {
  const layout = await readLayout(store, onlineNamespace(pipeline, spine, views));
  if (layout) return layout;
  const message = `The online store ${store.address} has no features of ${pipeline}.`;
  throw new RefitError('REFIT_ENTITY_UNKNOWN', message, { pipeline, store: store.address });
}

/**
 * Compares up to `sample` of the entities that can be asked for, and as many keys of each view. The offline side knows no more than the online side was told:
 * what became known after it was materialised counts on neither.
 * @throws RefitError REFIT_ENTITY_UNKNOWN, REFIT_USAGE for a time before the features', REFIT_EXPRESSION_INVALID
 */
export async function checkOnline(
  input: CheckInput,
  store: OnlineStore,
  context: FeatureContext,
): Promise<OnlineCheck> {
  const layout = await layoutOf(store, input);
  const { asOf } = layout;
  if (Date.parse(input.at) < Date.parse(asOf)) {
    const message = `The online features of ${input.pipeline} are as of ${asOf}; they cannot answer for the earlier ${input.at}.`;
    throw new RefitError('REFIT_USAGE', message, { asOf, at: input.at });
  }
  return withSources({ snapshots: input.snapshots, asOf: input.at }, context, async (db, opened) => {
    const sources = await knownBy(db, opened, input.snapshots, asOf);
    const { spine, keys, rows, features } = await offlineRows(db, sources, { ...input, asOf });
    const namespace = onlineNamespace(input.pipeline, input.spine, input.views);
    const { vectors } = await readFeatures(store, namespace, keys, input.at);
    const checks = new Map(input.views.map(({ name: view }) => [view, emptyCheck(view)]));
    const compared = (value: KeyedValue) => count(checks.get(value.view) as ViewCheck, value);
    compareEntities(features, { keys, rows, vectors }, compared);
    const { views, at, sample } = input;
    const asked = await checkViewKeys(db, store, { layout, views, sources, spine, at, sample }, compared);
    const unknown = vectors.filter(({ found }) => !found).length;
    const same = unknown === 0 && [...checks.values()].every(({ differing }) => differing === 0);
    return { asOf, at, entities: keys.length, keys: asked, unknown, views: [...checks.values()], same };
  });
}

/** The sources with what became known, bad or ended after a time as not known yet. */
async function knownBy(
  db: DuckDb,
  sources: SourceTables,
  snapshots: Record<string, Snapshot>,
  asOf: string,
): Promise<SourceTables> {
  const limit = timestampLiteral(asOf);
  const capped = new Map<string, SourceTable>();
  for (const [name, source] of sources) {
    const known = new Set(snapshots[name]?.columns.flatMap((column) => column.known));
    const times = ['__known_0', ...known, '__bad_known_at', '__gone_at'].filter(
      (one, i, all) => all.indexOf(one) === i,
    );
    const replaced = times.map(
      (time) => `CASE WHEN ${time} <= ${limit} THEN ${time} ELSE 'infinity'::TIMESTAMP END AS ${time}`,
    );
    const view = identifier(`__known_by_${name}`);
    await db.run(
      `CREATE OR REPLACE TEMP VIEW ${view} AS SELECT * REPLACE (${replaced.join(', ')}) FROM ${source.relation}`,
    );
    capped.set(name, { ...source, relation: view });
  }
  return capped;
}

interface OfflineRows {
  spine: Spine;
  keys: Record<string, string>[];
  rows: Record<string, OnlineValue>[];
  features: FeatureInfo[];
}

/** Entities that can be asked for, picked by a hash of their key, with the features of the offline join. */
async function offlineRows(
  db: DuckDb,
  sources: SourceTables,
  { spine: spec, views, asOf, at, sample }: CheckInput & { asOf: string },
): Promise<OfflineRows> {
  const source = sourceOf(sources, spec.source, 'spine');
  const upcoming = await upcomingKeys(db, { spine: spec, asOf }, source);
  const keys = identifiers(spec.key);
  const text = spec.key.map((key) => `${identifier(key)}::VARCHAR`);
  await db.run(`CREATE OR REPLACE TEMP TABLE __checked AS SELECT ${keys}, row_number() OVER (ORDER BY ${keys}) AS __position
    FROM (SELECT * FROM ${upcoming} WHERE ${spec.key.map((key) => `${identifier(key)} IS NOT NULL`).join(' AND ')}
      ORDER BY md5(concat(${text.join(`, '\\n', `)})), ${keys} LIMIT ${sample})`);
  const relation = `(SELECT ${timestampLiteral(at)} AS predict_at, * FROM __checked)`;
  const spine = await foreignSpine(db, { spec, views, source, table: '__checked_spine', relation });
  const joined = await joinViews({ spine, views, sources });
  const names = joined.features.map(({ name }) => `f.${identifier(name)}`);
  const found = await db.rows<Record<string, OnlineValue>>(
    `SELECT ${[...text.map((sql, i) => `s.${sql} AS __key_${i}`), ...names].join(', ')}
    FROM ${spine.relation} s JOIN ${joined.relation} f USING (__row) ORDER BY s.__position`,
  );
  return {
    spine,
    keys: found.map((row) => Object.fromEntries(spec.key.map((name, i) => [name, String(row[`__key_${i}`])]))),
    rows: found,
    features: joined.features,
  };
}

const emptyCheck = (view: string): ViewCheck => ({ view, compared: 0, differing: 0, example: null });

function count(check: ViewCheck, { key, feature, offline, online }: KeyedValue): void {
  check.compared += 1;
  if (offline === online) return;
  check.differing += 1;
  check.example ??= { key, feature, offline, online };
}

function compareEntities(
  features: FeatureInfo[],
  { keys, rows, vectors }: Pick<OfflineRows, 'keys' | 'rows'> & { vectors: FeatureVector[] },
  compared: (value: KeyedValue) => void,
): void {
  for (const [i, { found, values }] of vectors.entries()) {
    if (!found) continue;
    const key = keys[i] as Record<string, string>;
    for (const { name, view } of features) {
      compared({ view, key, feature: name, offline: rows[i]?.[name] ?? null, online: values[name] ?? null });
    }
  }
}
