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
 */
import { identifier } from '../dataset/duckdb.ts';
import { timestampLiteral } from '../dataset/time-sql.ts';
import { identifiers, type Output } from './feature-columns.ts';
import type { KeyPair } from './join-keys.ts';
import { type Expression, knownColumns, knownSql, type SourceTable } from './source-table.ts';
import { durationInterval } from './time-sql.ts';

export interface LatestPlan {
  source: SourceTable;
  keys: KeyPair[];
  /** Event time; undefined = a reference table, where the row known last answers. */
  event: Expression | undefined;
  outputs: Output[];
  ttl?: string | undefined;
}

/** One look-up: its outputs, and a SELECT of `__row`, `__event`, `__known` and the outputs, for the spine rows that have an answer. */
export interface Lookup {
  outputs: Output[];
  sql: string;
}

/**
 * A view's look-ups against `spine`, a relation with `__row`, `__at` (TIMESTAMP) and the key columns. Outputs that become
 * known at different times are looked up apart, because each group has a newest row of its own.
 */
export function latestLookups(plan: LatestPlan, spine: string): Lookup[] {
  const groups = new Map<string, Output[]>();
  for (const output of plan.outputs) {
    const id = knownColumns([output]).join();
    groups.set(id, [...(groups.get(id) ?? []), output]);
  }
  return [...groups.values()].map((outputs) => ({ outputs, sql: lookupSql(plan, outputs, spine) }));
}

function lookupSql(plan: LatestPlan, outputs: Output[], spine: string): string {
  const { keys, ttl, event } = plan;
  const k = keys.map((_key, i) => `__k${i}`).join(', ');
  const match = keys.map(({ spineSql }, i) => `${spineSql} = e.__k${i}`).join(' AND ');
  const fresh = ttl && event ? `WHERE __event >= __at - ${durationInterval(ttl)}` : '';
  return `WITH ${factsCtes(plan, outputs, spine)}, hits AS (
    SELECT s.__row, s.__at, ${keys.map((_key, i) => `e.__k${i}`).join(', ')}, e.__rank
    FROM ${spine} s ASOF JOIN entered e ON ${match} AND s.__at >= e.__enters
  )
  SELECT __row, __event, __known, ${identifiers(outputs.map(({ name }) => name))} FROM hits JOIN ranked USING (${k}, __rank) ${fresh}`;
}

/**
 * `facts`: the rows with a key of the spine, without those that have expired for all of it. `ranked`: those known by asOf,
 * numbered per key from oldest to newest (a tie goes to what was known last, then to the values, so that the order of files
 * means nothing). `entered`: per key and E, the newest row among those entered.
 */
function factsCtes({ source, keys, event, ttl }: LatestPlan, outputs: Output[], spine: string): string {
  const known = knownSql([...outputs.slice(0, 1), ...(event ? [event] : []), ...keys.map((key) => key.source)]);
  const k = keys.map((_key, i) => `__k${i}`);
  const asked = `(${k.join(', ')}) IN (SELECT ${keys.map(({ spineSql }) => spineSql).join(', ')} FROM ${spine} s)`;
  const fresh = ttl && event ? `AND __event >= (SELECT min(__at) FROM ${spine}) - ${durationInterval(ttl)}` : '';
  return `facts AS (
    SELECT ${keys.map(({ sourceSql }, i) => `${sourceSql} AS __k${i}`).join(', ')},
      ${event ? `${event.sql}::TIMESTAMP` : "'-infinity'::TIMESTAMP"} AS __event, ${known} AS __known,
      ${outputs.map(({ name, sql }) => `${sql} AS ${identifier(name)}`).join(',\n      ')}
    FROM ${source.relation} WHERE ${source.good}
  ), ranked AS MATERIALIZED (
    SELECT *, greatest(__event, __known) AS __enters, row_number() OVER (
      PARTITION BY ${k.join(', ')} ORDER BY __event, __known, ${identifiers(outputs.map(({ name }) => name))}) AS __rank
    FROM facts WHERE ${asked} AND __event IS NOT NULL ${fresh}
      AND greatest(__event, __known) <= ${timestampLiteral(source.asOf)}
  ), entered AS (
    SELECT ${k.join(', ')}, __enters, max(max(__rank)) OVER (PARTITION BY ${k.join(', ')} ORDER BY __enters) AS __rank
    FROM ranked GROUP BY ${k.join(', ')}, __enters
  )`;
}
