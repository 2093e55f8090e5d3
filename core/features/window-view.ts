/**
 * Aggregates over the rows of the last while (or of the last so many, or of all history), as they were known at the prediction
 * time. What each aggregate means stands in aggregate.ts. Those made of sums are computed here, as SQL; the others, and all
 * over counted rows, by sweep.ts.
 *
 * A row with event time e, known at k, counts at time t when e is in (t - over, t] and k <= t: it enters at
 * E = greatest(e, k) and leaves at L = e + over, or when it is deleted. Each row is therefore written twice, +1 at E and -1 at
 * L; running sums of these per key answer every t by one ASOF join, however many rows a key has. (They run over all keys in
 * one go where each key's moves add up to nothing.) Rows that no t of the spine
 * can see are left out beforehand.
 *
 * Sums are exact and do not depend on order, threads or path (see aggregate.ts), in 128-bit integers. Beyond ±4e9 `std` may
 * overflow, beyond ±1e20 the others; both are errors. What float32 cannot hold (infinities, 1e39) is missing, as in every
 * feature.
 *
 *   over = 2h:  event 08:00 known 08:30 value 5   →  +5 at 08:30, -5 at 10:00
 *               event 09:00 known 09:00 value 7   →  +7 at 09:00, -7 at 11:00
 *   sum at 09:59 = 12, at 10:00 = 7, at 11:00: no rows, NULL (count 0)
 */
import { identifier } from '../dataset/duckdb.ts';
import { timestampLiteral } from '../dataset/time-sql.ts';
import type { FeatureInfo } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { Aggregate, WindowView } from '../spec/pipeline.ts';
import { durationSeconds } from '../spec/time.ts';
import { categorySql, finiteSql, kindOf } from './feature-columns.ts';
import type { KeyPair } from './join-keys.ts';
import { type Expression, knownColumns, knownSql, type SourceTable } from './source-table.ts';
import { addedSql, overflows, resultSql, stepsSql, sumColumns, type Width } from './sum-columns.ts';
import { sweep } from './sweep.ts';

/** One aggregate of a view, checked. */
export interface Measure {
  aggregate: Aggregate;
  feature: FeatureInfo;
  /** The aggregated expression; undefined: rows are counted. */
  value: Expression | undefined;
  /** SQL of the value: DOUBLE, or VARCHAR where texts are aggregated (`distinct`, `last` of a category); NULL = missing. */
  sql: string;
  text: boolean;
}

export interface WindowPlan {
  source: SourceTable;
  keys: KeyPair[];
  event: Expression;
  /** Infinity: all history. */
  overSeconds: number;
  /** Only the newest so many rows. */
  last: number | undefined;
  measures: Measure[];
}

/** Checks a view's aggregates. @throws RefitError REFIT_EXPRESSION_INVALID, REFIT_PIPELINE_INVALID */
export async function planWindow(
  view: WindowView,
  source: SourceTable,
  keys: KeyPair[],
  event: Expression,
): Promise<WindowPlan> {
  const measures: Measure[] = [];
  for (const aggregate of view.aggregate) measures.push(await planMeasure(view, aggregate, source));
  const overSeconds = view.over === undefined ? Number.POSITIVE_INFINITY : durationSeconds(view.over);
  return { source, keys, event, overSeconds, last: view.last, measures };
}

async function planMeasure(view: WindowView, aggregate: Aggregate, source: SourceTable): Promise<Measure> {
  const { name, fn, expr } = aggregate;
  const where = `features.${view.name}.${name}`;
  const feature: FeatureInfo = { name, kind: 'number', view: view.name };
  const value = expr === undefined ? undefined : await source.expression(expr, where);
  if (!value) {
    if (fn === 'count') return { aggregate, feature, value, sql: '1', text: false };
    throw new RefitError('REFIT_PIPELINE_INVALID', `${where} needs an expression: ${fn}(x).`, { where });
  }
  if (fn === 'quantile' && aggregate.q === undefined) {
    throw new RefitError('REFIT_PIPELINE_INVALID', `${where} needs the share of its quantile: quantile(x, 0.9).`, {
      where,
    });
  }
  if (fn === 'count')
    return { aggregate, feature, value, sql: `CASE WHEN ${value.sql} IS NOT NULL THEN 1 END`, text: false };
  if (fn === 'distinct') return { aggregate, feature, value, sql: categorySql(value.sql), text: true };
  const wrong = (what: string) =>
    new RefitError('REFIT_EXPRESSION_INVALID', `${where}: ${fn} needs ${what}, not ${value.type}.`, { where });
  if (fn === 'share') {
    if (value.type !== 'BOOLEAN') throw wrong('a condition (BOOLEAN)');
    return { aggregate, feature, value, sql: `${value.sql}::TINYINT`, text: false };
  }
  const kind = kindOf(value, where);
  if (fn === 'last' && kind === 'category') {
    return { aggregate, feature: { ...feature, kind }, value, sql: categorySql(value.sql), text: true };
  }
  if (kind !== 'number') throw wrong('a number');
  return { aggregate, feature, value, sql: finiteSql(value.sql), text: false };
}

export const windowFeatures = ({ measures }: WindowPlan): FeatureInfo[] => measures.map(({ feature }) => feature);

const SUMMED: readonly Aggregate['fn'][] = ['count', 'sum', 'avg', 'std', 'share'];

/** Whether running sums answer a measure, so that rows are never put in order by its values. */
export const isSummed = ({ last }: WindowPlan, { aggregate: { fn } }: Measure): boolean =>
  last === undefined && SUMMED.includes(fn);

/** SELECTs that together have `__row` and every measure for every row of `spine`, a table with `__row`, `__at` and the key columns. */
export async function windowSql(plan: WindowPlan, spine: string): Promise<{ names: string[]; sql: string }[]> {
  const { measures } = plan;
  // Sums of rows that enter and leave; the rest needs the rows themselves.
  const summed = measures.filter((measure) => isSummed(plan, measure));
  const swept = measures.filter((measure) => !summed.includes(measure));
  return [...(await summedSql(plan, summed, spine)), ...(await sweptSql(plan, swept, spine))];
}

let tables = 0;

/** In tables: what all of it sorts and adds up would have to be held at once, were it one query. */
async function summedSql(plan: WindowPlan, sums: Measure[], spine: string) {
  if (sums.length === 0) return [];
  const { db } = plan.source;
  const [table, totals] = [`__sums_${tables}`, `__totals_${tables++}`];
  const add = (width: Width) => db.run(`CREATE TEMP TABLE ${totals} AS ${totalsSql(plan, sums, spine, width)}`);
  let width: Width = 'narrow';
  try {
    await add(width);
  } catch (error) {
    if (!overflows(error)) throw error;
    width = 'wide';
    await add(width);
  }
  const match = plan.keys.map(({ spineSql }, i) => `${spineSql} = e.__k${i}`).join(' AND ');
  const results = sums.map(
    ({ aggregate: { name, fn } }, i) =>
      `${resultSql(fn, (column) => `e.__${column}${i}`, width)} AS ${identifier(name)}`,
  );
  await db.run(`CREATE TEMP TABLE ${table} AS SELECT s.__row, ${results.join(', ')}
    FROM ${spine} s ASOF LEFT JOIN ${totals} e ON ${match} AND s.__at >= e.__time`);
  await db.run(`DROP TABLE ${totals}`);
  return [{ names: sums.map(({ aggregate: { name } }) => name), sql: `SELECT * FROM ${table}` }];
}

/** By key, in the order of time: `__time` and what the rows that count from then on add up to. */
function totalsSql(plan: WindowPlan, sums: Measure[], spine: string, width: Width): string {
  const k = plan.keys.map((_key, i) => `__k${i}`);
  const parts = sums.map((measure, i) => ({
    measure,
    i,
    enters: entersSql(plan, measure),
    columns: sumColumns(measure.aggregate.fn, width),
  }));
  const columns = parts.flatMap((part) => part.columns.map((column) => `__${column}${part.i}`));
  // What becomes known at one time enters as one row.
  const times = [...new Set(parts.map(({ enters }) => enters))];
  const moves = times.flatMap((time, t) =>
    ([1, -1] as const).map((sign) => {
      const entering = parts.filter(({ enters }) => enters === time);
      const values = parts.flatMap(({ i, measure, columns: own, enters }) =>
        own.map((column) => {
          const added = enters === time ? addedSql(measure.aggregate.fn, column, `__value${i}`, width) : 0;
          return `(${added})::HUGEINT${sign === 1 ? '' : ' * -1'} AS __${column}${i}`;
        }),
      );
      return `SELECT ${k.join(', ')}, ${sign === 1 ? `__enters${t}` : '__leaves'} AS __time, ${values.join(', ')}
      FROM facts WHERE __enters${t} < __leaves AND __enters${t} <= ${timestampLiteral(plan.source.asOf)}
        AND (${entering.map(({ i }) => `__value${i} IS NOT NULL`).join(' OR ')}) ${sign === 1 ? '' : 'AND isfinite(__leaves)'}`;
    }),
  );
  const inOrder = [...k, '__time'].join(', ');
  // Where every row leaves, a key's sums end at nothing: one run over all keys holds no more than the row it is at.
  const running = Number.isFinite(plan.overSeconds)
    ? `(SELECT * FROM steps ORDER BY ${inOrder}) WINDOW running AS (ROWS UNBOUNDED PRECEDING)`
    : `steps WINDOW running AS (PARTITION BY ${k.join(', ')} ORDER BY __time ROWS UNBOUNDED PRECEDING)`;
  return `WITH ${factsCte(plan, sums, times, spine, width)}, moves AS (${moves.join(' UNION ALL ')}
  ), steps AS (
    SELECT ${k.join(', ')}, __time, ${columns.map((column) => `sum(${column}) AS ${column}`).join(', ')}
    FROM moves GROUP BY ${k.join(', ')}, __time
  )
  SELECT ${k.join(', ')}, __time, ${columns.map((column) => `sum(${column}) OVER running AS ${column}`).join(', ')}
  FROM ${running}`;
}

/** When a measure of a row counts from. */
const entersSql = (plan: WindowPlan, measure: Measure) =>
  `greatest(${eventSql(plan)}, ${measuresKnown(plan, [measure])})`;

/** Rows of the source that some row of the spine can see, with key, when they count from and leave, and the value of each measure. */
function factsCte(plan: WindowPlan, measures: Measure[], times: string[], spine: string, width: Width): string {
  const { source, keys } = plan;
  const values = measures.map(({ aggregate: { fn }, sql }, i) => `${stepsSql(fn, sql, width)} AS __value${i}`);
  const columns = [...times.map((time, t) => `${time} AS __enters${t}`), ...values];
  return `raw AS (
    SELECT ${keys.map(({ sourceSql }, i) => `${sourceSql} AS __k${i}`).join(', ')}, ${eventSql(plan)} AS __event,
      ${leavesSql(plan)} AS __leaves,
      ${columns.join(',\n      ')}
    FROM ${source.relation} WHERE ${source.good}
  ), facts AS MATERIALIZED (
    SELECT * FROM raw WHERE ${keys.map((_key, i) => `__k${i} IS NOT NULL`).join(' AND ')} AND isfinite(__event)
      AND __leaves > (SELECT min(__at) FROM ${spine}) AND __event <= (SELECT max(__at) FROM ${spine})
  )`;
}

export const eventSql = ({ event }: WindowPlan) => `(${event.sql})::TIMESTAMP`;

/** When all of these measures are known. */
export function measuresKnown({ event, keys }: WindowPlan, measures: Measure[]): string {
  const values = measures.flatMap(({ value }) => value ?? []);
  return knownSql([event, ...values, ...keys.map((key) => key.source)]);
}

/** When a row has grown too old, or is gone; infinity: never. */
function leavesSql(plan: WindowPlan): string {
  const { overSeconds, source } = plan;
  const old = Number.isFinite(overSeconds) ? `${eventSql(plan)} + INTERVAL ${overSeconds} SECOND` : undefined;
  if (old && source.gone) return `least(${old}, ${source.gone})`;
  return old ?? source.gone ?? `'infinity'::TIMESTAMP`;
}

/**
 * Measures that running sums cannot answer, for every row of `spine`, a table. @returns SELECTs of `__row` and measures, one for
 * those that are known at the same time
 */
async function sweptSql(
  plan: WindowPlan,
  swept: Measure[],
  spine: string,
): Promise<{ names: string[]; sql: string }[]> {
  const { source, keys, overSeconds, last } = plan;
  const parts = [];
  for (const measures of measureGroups(swept)) {
    const [event, known] = [eventSql(plan), measuresKnown(plan, measures)];
    const table = await sweep(source.db, {
      ...{ keys, spine, overSeconds, last, event, known, gone: source.gone },
      enters: `greatest(${event}, ${known})`,
      from: `${source.relation} WHERE ${source.good} AND greatest(${event}, ${known}) <= ${timestampLiteral(source.asOf)}`,
      measures: measures.map(({ aggregate: of, sql, text }) => ({ of, sql, text })),
    });
    const values = measures.map(({ aggregate: { name } }, i) => `v${i} AS ${identifier(name)}`);
    parts.push({
      names: measures.map(({ aggregate: { name } }) => name),
      sql: `SELECT __row::BIGINT AS __row, ${values.join(', ')} FROM ${table}`,
    });
  }
  return parts;
}

/** Measures by when they are known. */
export function measureGroups(all: Measure[]): Measure[][] {
  const groups = new Map<string, Measure[]>();
  for (const measure of all) {
    const id = knownColumns(measure.value ? [measure.value] : []).join();
    groups.set(id, [...(groups.get(id) ?? []), measure]);
  }
  return [...groups.values()];
}
