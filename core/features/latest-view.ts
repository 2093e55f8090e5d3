/**
 * The newest row of a source that was known at the prediction time, as SQL.
 *
 * Rows are learned piece by piece and out of order: taking the newest event first and asking afterwards whether it was known
 * gives nulls where an older row should answer. So a row enters at E = greatest(event time, known time); per key the newest
 * row among those entered is kept as a running maximum over E; the spine is joined ASOF on E; the TTL is applied last.
 * Nothing here is quadratic in the rows of one key.
 *
 *   event  known   E      newest so far        asked at 10:00 → the 08:00 row (09:00 was known only at 12:00)
 *   08:00  08:30   08:30  08:00                asked at 12:00 → the 09:00 row
 *   09:00  12:00   12:00  09:00                asked at 12:30 → the 09:00 row still: the one that came late is older
 *   07:00  12:30   12:30  09:00
 *
 * With `ahead` (forecasts) a row counts as soon as it is known and its event time is no later than predict_at + ahead; the
 * TTL counts back from there. Where rows end (deleted or replaced), an older one may answer again: those are swept (sweep.ts).
 */
import { type DuckDb, identifier } from '../dataset/duckdb.ts';
import { timestampLiteral } from '../dataset/time-sql.ts';
import type { AgeSpec } from '../spec/pipeline.ts';
import { durationSeconds } from '../spec/time.ts';
import type { FeatureOutput, Output } from './feature-columns.ts';
import type { KeyPair } from './join-keys.ts';
import { type Expression, knownColumns, knownSql, type SourceTable } from './source-table.ts';
import { sweep } from './sweep.ts';
import { durationInterval } from './time-sql.ts';

/** An output of a look-up; `age` as in FeatureOutput. */
type Wanted = Output & Pick<FeatureOutput, 'age'>;

export interface LatestPlan {
  source: SourceTable;
  keys: KeyPair[];
  /** Event time; undefined = a reference table, where the row known last answers. */
  event: Expression | undefined;
  outputs: Wanted[];
  ttl?: string | undefined;
  ahead?: string | undefined;
}

/** One look-up: its outputs, and a SELECT of `__row`, `__event`, `__known` and the outputs, for the spine rows that have an answer. */
export interface Lookup {
  outputs: Wanted[];
  sql: string;
}

/**
 * A view's look-ups against `spine`, a table with `__row`, `__at` (TIMESTAMP) and the key columns. Outputs that become
 * known at different times are looked up apart, because each group has a newest row of its own.
 */
export async function latestLookups(plan: LatestPlan, spine: string): Promise<Lookup[]> {
  const lookups: Lookup[] = [];
  for (const outputs of lookupGroups(plan)) {
    const facts = await factsTable(plan, outputs, spine);
    const sql = await (plan.source.gone ? sweptSql : quickSql)(plan, outputs, facts, spine);
    lookups.push({ outputs, sql });
  }
  return lookups;
}

/** The outputs by when they are known: each group has a newest row of its own. */
export function lookupGroups<O extends Wanted>(plan: Omit<LatestPlan, 'outputs'> & { outputs: O[] }): O[][] {
  const groups = new Map<string, O[]>();
  for (const output of plan.outputs.filter(({ age }) => !age)) {
    const id = knownColumns([output]).join();
    groups.set(id, [...(groups.get(id) ?? []), output]);
  }
  const ages = plan.outputs.filter(({ age }) => age);
  if (ages.length > 0) {
    // The age of a row that was known as such: beside the values that are known with it, where there are any.
    const row = knownColumns(knownOf(plan, [])).join();
    const same = [...groups].find(([, outputs]) => knownColumns(knownOf(plan, outputs)).join() === row);
    groups.set(same?.[0] ?? 'age', [...(same?.[1] ?? []), ...ages]);
  }
  return [...groups.values()];
}

/** SQL over a row of the source: from when the outputs of a group are known. */
export function outputsKnown(plan: LatestPlan, outputs: Wanted[]): string {
  return knownSql(knownOf(plan, outputs));
}

function knownOf({ event, keys }: LatestPlan, outputs: Wanted[]) {
  return [...outputs.slice(0, 1), ...(event ? [event] : []), ...keys.map((key) => key.source)];
}

/**
 * Most questions are answered by the newest row that has happened, found by an ASOF join on event time alone (no row needs
 * sorting by anything else). Where that row was not known yet, the question is asked again of `runningSql`; where several rows
 * have that event time, the one known last answers.
 */
async function quickSql(plan: LatestPlan, outputs: Wanted[], facts: string, spine: string): Promise<string> {
  const { db } = plan.source;
  const [hits, found, missed] = ['hits', 'found', 'missed'].map(tableName) as [string, string, string];
  const k = keyNames(plan);
  await db.run(`CREATE TEMP TABLE ${hits} AS SELECT s.__row, s.__at, ${plan.keys.map((_key, i) => `e.__k${i}`).join(', ')}, e.__order
    FROM ${spine} s ASOF JOIN (SELECT ${k}, __order FROM ${facts}) e ON ${matching(plan)} AND ${horizon(plan, 's.__at')} >= e.__order`);
  await db.run(`CREATE TEMP TABLE ${found} AS SELECT h.__row, h.__at, f.* EXCLUDE (${k}, __order)
    FROM ${hits} h JOIN ${facts} f USING (${k}, __order) WHERE f.__known <= h.__at`);
  const [counts] = await db.rows<{ hits: number; found: number; rows: number }>(`SELECT
    (SELECT count(*)::DOUBLE FROM ${hits}) AS hits, count(*)::DOUBLE AS rows, count(DISTINCT __row)::DOUBLE AS found FROM ${found}`);
  const { hits: asked = 0, found: answered = 0, rows = 0 } = counts ?? {};
  const order = ['__known', ...valueNames(outputs)].map((name) => `${name} DESC NULLS FIRST`).join(', ');
  const newest = rows > answered ? `QUALIFY row_number() OVER (PARTITION BY __row ORDER BY ${order}) = 1` : '';
  const quick = answersSql(plan, outputs, `(SELECT * FROM ${found} ${newest})`);
  if (asked === answered) return quick;
  await db.run(`CREATE TEMP TABLE ${missed} AS SELECT * FROM ${spine}
    WHERE __row IN (SELECT __row FROM ${hits} ANTI JOIN ${found} USING (__row))`);
  return `${quick} UNION ALL SELECT * FROM (${runningSql(plan, outputs, facts, missed)})`;
}

/** The general look-up: the running newest per key. */
function runningSql(plan: LatestPlan, outputs: Wanted[], facts: string, spine: string): string {
  const k = keyNames(plan);
  const asked = `(${k}) IN (SELECT ${plan.keys.map(({ spineSql }) => spineSql).join(', ')} FROM ${spine} s)`;
  return `WITH ranked AS MATERIALIZED (${rankedSql(plan, outputs, `(SELECT * FROM ${facts} WHERE ${asked})`)}), entered AS (
    SELECT ${k}, __enters, max(max(__rank)) OVER (PARTITION BY ${k} ORDER BY __enters) AS __rank
    FROM ranked GROUP BY ${k}, __enters
  ), hits AS (
    SELECT s.__row, s.__at, ${plan.keys.map((_key, i) => `e.__k${i}`).join(', ')}, e.__rank
    FROM ${spine} s ASOF JOIN entered e ON ${matching(plan)} AND s.__at >= e.__enters
  )
  ${answersSql(plan, outputs, `(SELECT * FROM hits JOIN ranked USING (${k}, __rank))`)}`;
}

/** As `runningSql` where rows end: the newest of those that are there at each time. */
async function sweptSql(plan: LatestPlan, outputs: Wanted[], facts: string, spine: string): Promise<string> {
  const { source, keys } = plan;
  const table = tableName('ranked');
  await source.db.run(`CREATE TEMP TABLE ${table} AS ${rankedSql(plan, outputs, facts)}`);
  const columns = keys.map((key, i) => ({ ...key, sourceSql: `__k${i}` }));
  const swept = await sweep(source.db, {
    ...{ keys: columns, spine, from: table, overSeconds: Number.POSITIVE_INFINITY, last: undefined },
    // The rank says all there is to say of the order of rows; times would only repeat it.
    ...{ event: 'make_timestamp(__rank)', known: 'make_timestamp(0)', enters: finiteTime('__enters'), gone: '__gone' },
    measures: [{ of: { fn: 'last' }, sql: '__rank::VARCHAR', text: true }],
  });
  return `WITH hits AS (
    SELECT s.__row, s.__at, ${keys.map(({ spineSql }, i) => `${spineSql} AS __k${i}`).join(', ')}, t.v0::BIGINT AS __rank
    FROM ${swept} t JOIN ${spine} s ON s.__row = t.__row WHERE t.v0 IS NOT NULL
  )
  ${answersSql(plan, outputs, `(SELECT * FROM hits JOIN ${table} USING (${keyNames(plan)}, __rank))`)}`;
}

let tables = 0;

const tableName = (what: string) => `__${what}_${tables++}`;

/** What was known always entered before anybody asked. */
const finiteTime = (time: string) => `(CASE WHEN isfinite(${time}) THEN ${time} ELSE TIMESTAMP '0001-01-01' END)`;

const UNIT_US: Record<AgeSpec['unit'], number> = { s: 1e6, m: 6e7, h: 36e8, d: 864e8 };

/** Age of a row in a unit, of times in microseconds, as float32. */
export const ageOf = (unit: AgeSpec['unit'], atUs: number, eventUs: number) =>
  Math.fround((atUs - eventUs) / UNIT_US[unit]);

/** From the rows that answer (`__row`, `__at`, times and values) to values. */
function answersSql(plan: LatestPlan, outputs: Wanted[], rows: string): string {
  const { ttl, event } = plan;
  const values = outputs.map(({ name, age }) => {
    if (!age) return identifier(name);
    return `((epoch_us(__at) - epoch_us(__event))::DOUBLE / ${UNIT_US[age]})::FLOAT AS ${identifier(name)}`;
  });
  const fresh = ttl && event ? `WHERE __event >= ${horizon(plan, '__at')} - ${durationInterval(ttl)}` : '';
  return `SELECT __row, __event, __known, ${values.join(', ')} FROM ${rows} ${fresh}`;
}

const keyNames = ({ keys }: LatestPlan) => keys.map((_key, i) => `__k${i}`).join(', ');

const matching = ({ keys }: LatestPlan) => keys.map(({ spineSql }, i) => `${spineSql} = e.__k${i}`).join(' AND ');

const valueNames = (outputs: Wanted[]) => outputs.filter(({ age }) => !age).map(({ name }) => identifier(name));

const aheadSql = ({ ahead }: LatestPlan) => `INTERVAL ${ahead ? durationSeconds(ahead) : 0} SECOND`;

/** A look into the keys of so many questions costs less than sorting the rows of others. */
const FEW_ROWS = 100_000;

/** The latest event time that may answer a question. */
const horizon = (plan: LatestPlan, at: string) => (plan.ahead ? `${at} + ${aheadSql(plan)}` : at);

/**
 * Table of the rows with a good contract that were known by asOf, with key, times and values, without those that have expired
 * for all of the spine; `__order` is what the newest is the newest of.
 */
async function factsTable(plan: LatestPlan, outputs: Wanted[], spine: string): Promise<string> {
  const { source, keys, event, ttl } = plan;
  const { db, gone, relation, good } = source;
  const k = keys.map(({ sourceSql }, i) => `${sourceSql} AS __k${i}`);
  const values = outputs.filter(({ age }) => !age).map(({ name, sql }) => `${sql} AS ${identifier(name)}`);
  const times = [
    `${event ? `${event.sql}::TIMESTAMP` : "'-infinity'::TIMESTAMP"} AS __event`,
    `${knownSql(knownOf(plan, outputs))} AS __known`,
    `${event ? '__event' : '__known'} AS __order`,
    `greatest(${plan.ahead ? `__event - ${aheadSql(plan)}` : '__event'}, __known) AS __enters`,
    ...(gone ? [`${gone} AS __gone`] : []),
  ];
  const oldest = `${horizon(plan, `(SELECT min(__at) FROM ${spine})`)} - ${ttl ? durationInterval(ttl) : ''}`;
  const conditions = [
    `__event IS NOT NULL AND __enters <= ${timestampLiteral(source.asOf)}`,
    ...(gone ? ['__enters < __gone'] : []),
    ...(ttl && event ? [`__event >= ${oldest}`] : []),
    ...((await rowsOf(db, spine)) < FEW_ROWS
      ? [`(${keyNames(plan)}) IN (SELECT ${keys.map(({ spineSql }) => spineSql).join(', ')} FROM ${spine} s)`]
      : []),
  ];
  const table = tableName('facts');
  await db.run(`CREATE TEMP TABLE ${table} AS SELECT * FROM (SELECT ${[...k, ...times, ...values].join(',\n    ')}
    FROM ${relation} WHERE ${good}) WHERE ${conditions.join(' AND ')}`);
  return table;
}

async function rowsOf(db: DuckDb, table: string): Promise<number> {
  const [size] = await db.rows<{ rows: number }>(`SELECT count(*)::DOUBLE AS rows FROM ${table}`);
  return size?.rows ?? 0;
}

/** Facts numbered per key from oldest to newest; a tie goes to what was known last, then to the values: the order of files means nothing. */
function rankedSql(plan: LatestPlan, outputs: Wanted[], facts: string): string {
  const order = ['__event', '__known', ...valueNames(outputs)].join(', ');
  return `SELECT *, row_number() OVER (PARTITION BY ${keyNames(plan)} ORDER BY ${order}) AS __rank FROM ${facts}`;
}
