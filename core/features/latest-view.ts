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
import { identifier } from '../dataset/duckdb.ts';
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
    lookups.push({
      outputs,
      sql: plan.source.gone ? await sweptSql(plan, outputs, spine) : lookupSql(plan, outputs, spine),
    });
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

function lookupSql(plan: LatestPlan, outputs: Wanted[], spine: string): string {
  const { keys } = plan;
  const match = keys.map(({ spineSql }, i) => `${spineSql} = e.__k${i}`).join(' AND ');
  return `WITH ${factsCte(plan, outputs)}, ${rankedCte(plan, outputs, spine)}, entered AS (
    SELECT ${keyNames(plan)}, __enters, max(max(__rank)) OVER (PARTITION BY ${keyNames(plan)} ORDER BY __enters) AS __rank
    FROM ranked GROUP BY ${keyNames(plan)}, __enters
  ), hits AS (
    SELECT s.__row, s.__at, ${keys.map((_key, i) => `e.__k${i}`).join(', ')}, e.__rank
    FROM ${spine} s ASOF JOIN entered e ON ${match} AND s.__at >= e.__enters
  )
  ${answersSql(plan, outputs)}`;
}

/** As `lookupSql` where rows end: the newest of those that are there at each time. */
async function sweptSql(plan: LatestPlan, outputs: Wanted[], spine: string): Promise<string> {
  const { source, keys } = plan;
  const table = `__ranked_${rankedTables++}`;
  await source.db.run(
    `CREATE TEMP TABLE ${table} AS WITH ${factsCte(plan, outputs)}, ${rankedCte(plan, outputs, spine)} SELECT * FROM ranked`,
  );
  const columns = keys.map((key, i) => ({ ...key, sourceSql: `__k${i}` }));
  const swept = await sweep(source.db, {
    ...{ keys: columns, spine, from: table, overSeconds: Number.POSITIVE_INFINITY, last: undefined },
    // The rank says all there is to say of the order of rows; times would only repeat it.
    ...{ event: 'make_timestamp(__rank)', known: 'make_timestamp(0)', enters: finiteTime('__enters'), gone: '__gone' },
    measures: [{ of: { fn: 'last' }, sql: '__rank::VARCHAR', text: true }],
  });
  return `WITH ranked AS (SELECT * FROM ${table}), hits AS (
    SELECT s.__row, s.__at, ${keys.map(({ spineSql }, i) => `${spineSql} AS __k${i}`).join(', ')}, t.v0::BIGINT AS __rank
    FROM ${swept} t JOIN ${spine} s ON s.__row = t.__row WHERE t.v0 IS NOT NULL
  )
  ${answersSql(plan, outputs)}`;
}

let rankedTables = 0;

/** What was known always entered before anybody asked. */
const finiteTime = (time: string) => `(CASE WHEN isfinite(${time}) THEN ${time} ELSE TIMESTAMP '0001-01-01' END)`;

const UNIT_US: Record<AgeSpec['unit'], number> = { s: 1e6, m: 6e7, h: 36e8, d: 864e8 };

/** Age of a row in a unit, of times in microseconds, as float32. */
export const ageOf = (unit: AgeSpec['unit'], atUs: number, eventUs: number) =>
  Math.fround((atUs - eventUs) / UNIT_US[unit]);

/** From `hits` (row, key, rank) to values. */
function answersSql(plan: LatestPlan, outputs: Wanted[]): string {
  const { ttl, event, ahead } = plan;
  const values = outputs.map(({ name, age }) => {
    if (!age) return identifier(name);
    return `((epoch_us(__at) - epoch_us(__event))::DOUBLE / ${UNIT_US[age]})::FLOAT AS ${identifier(name)}`;
  });
  const asked = ahead ? `__at + INTERVAL ${durationSeconds(ahead)} SECOND` : '__at';
  const fresh = ttl && event ? `WHERE __event >= ${asked} - ${durationInterval(ttl)}` : '';
  return `SELECT __row, __event, __known, ${values.join(', ')} FROM hits JOIN ranked USING (${keyNames(plan)}, __rank) ${fresh}`;
}

const keyNames = ({ keys }: LatestPlan) => keys.map((_key, i) => `__k${i}`).join(', ');

/** `facts`: the rows with a good contract, with key, times and values. */
function factsCte(plan: LatestPlan, outputs: Wanted[]): string {
  const { source, keys, event } = plan;
  const values = outputs.filter(({ age }) => !age).map(({ name, sql }) => `${sql} AS ${identifier(name)}`);
  return `facts AS (
    SELECT ${keys.map(({ sourceSql }, i) => `${sourceSql} AS __k${i}`).join(', ')},
      ${event ? `${event.sql}::TIMESTAMP` : "'-infinity'::TIMESTAMP"} AS __event, ${knownSql(knownOf(plan, outputs))} AS __known,
      ${[...(source.gone ? [`${source.gone} AS __gone`] : []), ...values].join(',\n      ') || 'NULL AS __nothing'}
    FROM ${source.relation} WHERE ${source.good}
  )`;
}

/**
 * `ranked`: the rows with a key of the spine that were known by asOf, without those that have expired for all of it, numbered
 * per key from oldest to newest (a tie goes to what was known last, then to the values, so that the order of files means
 * nothing).
 */
function rankedCte({ source, keys, event, ttl, ahead }: LatestPlan, outputs: Wanted[], spine: string): string {
  const k = keys.map((_key, i) => `__k${i}`).join(', ');
  const names = outputs.filter(({ age }) => !age).map(({ name }) => identifier(name));
  const asked = `(${k}) IN (SELECT ${keys.map(({ spineSql }) => spineSql).join(', ')} FROM ${spine} s)`;
  const shift = ahead ? ` - INTERVAL ${durationSeconds(ahead)} SECOND` : '';
  const enters = `greatest(__event${shift}, __known)`;
  const fresh =
    ttl && event ? `AND __event${shift} >= (SELECT min(__at) FROM ${spine}) - ${durationInterval(ttl)}` : '';
  return `ranked AS MATERIALIZED (
    SELECT *, ${enters} AS __enters, row_number() OVER (
      PARTITION BY ${k} ORDER BY ${['__event', '__known', ...names].join(', ')}) AS __rank
    FROM facts WHERE ${asked} AND __event IS NOT NULL ${fresh}
      AND ${enters} <= ${timestampLiteral(source.asOf)} ${source.gone ? `AND ${enters} < __gone` : ''}
  )`;
}
