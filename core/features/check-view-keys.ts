/** What the online store keeps of a view's keys, held against the offline join: for keys of its own rows, whoever may ask for them. */
import { type DuckDb, identifier } from '../dataset/duckdb.ts';
import { timestampLiteral } from '../dataset/time-sql.ts';
import type { FeatureView } from '../spec/pipeline.ts';
import { joinViews, type Spine } from './compile.ts';
import { columnOf, type FeatureColumn, valueAt } from './feature-column.ts';
import { isJoined } from './feature-columns.ts';
import { answerer } from './online-answer.ts';
import { entityKey, type OnlineLayout } from './online-layout.ts';
import { type OnlinePart, onlineParts } from './online-parts.ts';
import type { OnlineStore, OnlineValue } from './online-store.ts';
import type { SourceTables } from './source-table.ts';

export interface ViewKeysInput {
  layout: OnlineLayout;
  views: FeatureView[];
  sources: SourceTables;
  /** Columns and types of the pipeline's spine. */
  spine: Spine;
  /** ISO UTC. */
  at: string;
  /** Keys of each view, at most; picked by a hash of the key. */
  sample: number;
}

/** A value of a key by both ways. */
export interface KeyedValue {
  view: string;
  key: Record<string, string>;
  feature: string;
  offline: OnlineValue;
  online: OnlineValue;
}

/** @returns how many keys were asked about. @throws RefitError REFIT_ONLINE_STALE, and those of the store and the views */
export async function checkViewKeys(
  db: DuckDb,
  store: OnlineStore,
  input: ViewKeysInput,
  compared: (value: KeyedValue) => void,
): Promise<number> {
  const { parts } = await onlineParts(input.views, input.sources, input.spine);
  let keys = 0;
  for (const view of input.views.filter(isJoined)) {
    const part = parts.find(({ lookup }) => lookup.view === view.name);
    if (part) keys += await checkView(db, store, { ...input, view, part }, compared);
  }
  return keys;
}

async function checkView(
  db: DuckDb,
  store: OnlineStore,
  { layout, view, part, sources, at, sample }: ViewKeysInput & { view: FeatureView; part: OnlinePart },
  compared: (value: KeyedValue) => void,
): Promise<number> {
  const spine = await keysSpine(db, part, at, sample);
  const { relation } = await joinViews({ spine, views: [view], sources });
  const names = part.keys.map(({ spineColumn }) => spineColumn);
  const texts = names.map((_name, i) => `s.__key_${i}::VARCHAR AS __key_${i}`);
  const rows = await db.rows<Record<string, OnlineValue>>(
    `SELECT ${texts.join(', ')}, f.* FROM ${spine.relation} s JOIN ${relation} f USING (__row) ORDER BY __row`,
  );
  const keys = rows.map((row) => names.map((_name, i) => row[`__key_${i}`] as string));
  const asked = keys.map((key) => entityKey(key) as string);
  for (const lookup of layout.lookups.filter((one) => one.view === view.name)) {
    const { features, absent } = lookup;
    const columns = features.map(({ kind }, i) => columnOf(kind, absent[i] ?? null, rows.length));
    const answer = answerer(lookup, at);
    await store.scan(lookup.id, asked, (bytes, i) => answer.fill(bytes, asked[i] as string, columns, i));
    for (const [i, row] of rows.entries()) {
      const key = Object.fromEntries(names.map((name, k) => [name, keys[i]?.[k] as string]));
      for (const [c, { name }] of features.entries()) {
        const online = valueAt(columns[c] as FeatureColumn, i);
        compared({ view: view.name, key, feature: name, offline: row[name] ?? null, online });
      }
    }
  }
  return rows.length;
}

/**
 * Keys of the view's rows, those that do not count any more among them, as a spine that asks about all at one time: in the types of
 * the pipeline's own, and as `__key_<i>` as they are stored. A key that those types cannot hold is never asked for.
 */
async function keysSpine(db: DuckDb, { keys, source }: OnlinePart, at: string, sample: number): Promise<Spine> {
  const columns = keys.map(
    ({ sourceSql, spineColumn, spineType }, i) =>
      `${sourceSql} AS __key_${i}, try_cast(${sourceSql} AS ${spineType}) AS ${identifier(spineColumn)}`,
  );
  const asked = keys.map(({ spineSql }, i) => `${spineSql} = s.__key_${i}`);
  const texts = keys.map((_key, i) => `__key_${i}::VARCHAR`);
  await db.run(`CREATE OR REPLACE TEMP TABLE __checked_keys AS
    SELECT row_number() OVER () AS __row, ${timestampLiteral(at)} AS __at, *
    FROM (SELECT DISTINCT ${columns.join(', ')} FROM ${source.relation}) s WHERE ${asked.join(' AND ')}
    ORDER BY md5(concat_ws('\\n', ${texts.join(', ')})), ${texts.join(', ')} LIMIT ${sample}`);
  return {
    relation: '__checked_keys',
    columns: new Map(keys.map(({ spineColumn, spineType }) => [spineColumn, spineType])),
    fields: [],
  };
}
