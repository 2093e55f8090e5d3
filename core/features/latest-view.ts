/**
 * The newest row of a source that was known at the prediction time.
 *
 * Rows are learned piece by piece and out of order: taking the newest event first and asking afterwards whether it was known
 * gives nulls where an older row should answer. So a row enters at E = greatest(event time, known time), and of the rows that
 * have entered the newest answers; the TTL is applied last. A row that was deleted or replaced answers until then.
 *
 *   event  known   E      newest so far        asked at 10:00 → the 08:00 row (09:00 was known only at 12:00)
 *   08:00  08:30   08:30  08:00                asked at 12:00 → the 09:00 row
 *   09:00  12:00   12:00  09:00                asked at 12:30 → the 09:00 row still: the one that came late is older
 *   07:00  12:30   12:30  09:00
 *
 * With `ahead` (forecasts) a row counts as soon as it is known and its event time is no later than predict_at + ahead; the
 * TTL counts back from there.
 *
 * DuckDB reads the source and leaves out what nobody asks about; newest-rows.ts finds the row that answers, whose values go with
 * it as numbers. Other values (texts) are numbered in their order for as long.
 */
import { identifier } from '../dataset/duckdb.ts';
import { timestampLiteral } from '../dataset/time-sql.ts';
import type { AgeSpec } from '../spec/pipeline.ts';
import { durationSeconds } from '../spec/time.ts';
import type { FeatureOutput, Output } from './feature-columns.ts';
import type { KeyPair } from './join-keys.ts';
import { newestRows, type ValueKind } from './newest-rows-sql.ts';
import type { AskedTables, SpineQuestions } from './questions.ts';
import { type Expression, knownColumns, knownSql, type SourceTable } from './source-table.ts';
import { durationInterval } from './time-sql.ts';

/** An output of a look-up; `age` as in FeatureOutput; without `feature`, a column of any type. */
export type Wanted = Output & Partial<Pick<FeatureOutput, 'age' | 'feature'>>;

export interface LatestPlan {
  source: SourceTable;
  keys: KeyPair[];
  /** Event time; undefined = a reference table, where the row known last answers. */
  event: Expression | undefined;
  outputs: Wanted[];
  ttl?: string | undefined;
  ahead?: string | undefined;
}

/** One look-up: its outputs, and a SELECT of `__row` and the outputs, for the spine rows that have an answer. */
export interface Lookup {
  outputs: Wanted[];
  sql: string;
}

/**
 * A view's look-ups against the questions of a spine. Outputs that become known at different times are looked up apart, because
 * each group has a newest row of its own.
 */
export async function latestLookups(plan: LatestPlan, questions: SpineQuestions): Promise<Lookup[]> {
  const asked = await questions.byKeys(plan.source.db, plan.keys);
  const lookups: Lookup[] = [];
  for (const outputs of lookupGroups(plan)) lookups.push({ outputs, sql: await lookUp(plan, outputs, asked) });
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

const UNIT_US: Record<AgeSpec['unit'], number> = { s: 1e6, m: 6e7, h: 36e8, d: 864e8 };

/** Age of a row in a unit, of times in microseconds, as float32. */
export const ageOf = (unit: AgeSpec['unit'], atUs: number, eventUs: number) =>
  Math.fround((atUs - eventUs) / UNIT_US[unit]);

const valuesOf = (outputs: Wanted[]) => outputs.filter(({ age }) => !age);

async function lookUp(plan: LatestPlan, outputs: Wanted[], asked: AskedTables): Promise<string> {
  const { source, ttl, event } = plan;
  const values = valuesOf(outputs);
  const fresh = ttl && event ? `WHERE ${happened(plan)} >= ${horizon(plan, '__at')} - ${durationInterval(ttl)}` : '';
  const answers = await newestRows(source.db, asked, {
    sql: rowsSql(plan, outputs, asked),
    values: values.map(({ feature }): ValueKind => (feature?.kind === 'number' ? 'float' : 'any')),
    mortal: source.gone !== undefined,
    timed: fresh !== '' || outputs.some(({ age }) => age),
  });
  const selected = outputs.map((output) => {
    const name = identifier(output.name);
    if (!output.age) return `${answers.values[values.indexOf(output)]} AS ${name}`;
    return `((epoch_us(__at) - epoch_us(${happened(plan)}))::DOUBLE / ${UNIT_US[output.age]})::FLOAT AS ${name}`;
  });
  return `SELECT __row, ${selected.join(', ')} FROM ${answers.from} ${fresh}`;
}

const aheadSql = ({ ahead }: LatestPlan) => `INTERVAL ${ahead ? durationSeconds(ahead) : 0} SECOND`;

/** The latest event time that may answer a question. */
const horizon = (plan: LatestPlan, at: string) => (plan.ahead ? `(${at} + ${aheadSql(plan)})` : at);

/** When a row of `rowsSql` really happened. */
const happened = (plan: LatestPlan) => horizon(plan, '__event');

/**
 * The rows with a good contract that were known by asOf and whose key is asked about, with its number, times, and values `v0`, …,
 * without those that have expired for all questions. Those that count ahead of their time happen that much earlier here.
 */
function rowsSql(plan: LatestPlan, outputs: Wanted[], asked: AskedTables): string {
  const { source, keys, event, ttl } = plan;
  const { gone, relation, good } = source;
  const time = event ? `${event.sql}::TIMESTAMP` : "'-infinity'::TIMESTAMP";
  const columns = [
    ...keys.map(({ sourceSql }, i) => `${sourceSql} AS __k${i}`),
    `${plan.ahead ? `${time} - ${aheadSql(plan)}` : time} AS __event`,
    `${knownSql(knownOf(plan, outputs))} AS __known`,
    ...(gone ? [`${gone} AS __gone`] : []),
    ...valuesOf(outputs).map(({ sql }, i) => `${sql} AS v${i}`),
  ];
  const oldest = horizon(plan, `(SELECT min(__at) FROM ${asked.rows})`);
  const conditions = [
    `__event IS NOT NULL AND greatest(__event, __known) <= ${timestampLiteral(source.asOf)}`,
    ...(gone ? ['greatest(__event, __known) < __gone'] : []),
    ...(ttl && event ? [`${happened(plan)} >= ${oldest} - ${durationInterval(ttl)}`] : []),
  ];
  return `SELECT q.__id, f.* EXCLUDE (${keys.map((_key, i) => `__k${i}`).join(', ')})
    FROM (SELECT ${columns.join(',\n      ')} FROM ${relation} WHERE ${good}) f
    JOIN ${asked.keys} q ON ${keys.map((_key, i) => `f.__k${i} = q.__k${i}`).join(' AND ')}
    WHERE ${conditions.join(' AND ')}`;
}
