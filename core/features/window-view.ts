/**
 * Aggregates over the rows of the last while, as they were known at the prediction time, as SQL.
 *
 * A row with event time e, known at k, counts at time t when e is in (t - over, t] and k <= t: it enters at
 * E = greatest(e, k) and leaves at L = e + over. Each row is therefore written twice, +1 at E and -1 at L; running sums of
 * these per key answer every t by one ASOF join, however many rows a key has. (They run over all keys in one go, because
 * each key's moves add up to nothing.) `min` and `max` cannot be subtracted: they look through the rows of the two time
 * buckets (each `over` wide) that the window touches. Rows that no t of the spine can see are left out beforehand.
 *
 * Sums are exact and do not depend on order, threads or path: values are taken as whole multiples of 2^-32 (about 2e-10), for
 * `std` of 2^-20 (about 1e-6), in 128-bit integers. Beyond ±4e9 `std` may overflow, beyond ±1e20 the others; both are errors.
 * What float32 cannot hold (infinities, 1e39) is missing, as in every feature.
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
import { finiteSql, kindOf } from './feature-columns.ts';
import type { KeyPair } from './join-keys.ts';
import { type Expression, knownSql, type SourceTable } from './source-table.ts';

/** Steps per unit of the fixed-point numbers; squares need twice the digits. */
function scaleOf(fn: Aggregate['fn']): number {
  return fn === 'std' ? 2 ** 20 : 2 ** 32;
}

interface Measure {
  aggregate: Aggregate;
  /** undefined: count(*). */
  value: Expression | undefined;
}

export interface WindowPlan {
  source: SourceTable;
  keys: KeyPair[];
  event: Expression;
  overSeconds: number;
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
  for (const aggregate of view.aggregate) {
    const where = `features.${view.name}.${aggregate.name}`;
    const value = aggregate.expr === undefined ? undefined : await source.expression(aggregate.expr, where);
    if (!value && aggregate.fn !== 'count') {
      throw new RefitError('REFIT_PIPELINE_INVALID', `${where} needs an expression: ${aggregate.fn}(x).`, { where });
    }
    if (value && aggregate.fn !== 'count' && kindOf(value, where) !== 'number') {
      throw new RefitError('REFIT_EXPRESSION_INVALID', `${where}: ${aggregate.fn} needs a number, not ${value.type}.`, {
        where,
      });
    }
    measures.push({ aggregate, value });
  }
  return { source, keys, event, overSeconds: durationSeconds(view.over), measures };
}

/** One number a measure. */
export function windowFeatures(view: WindowView): FeatureInfo[] {
  return view.aggregate.map(({ name }) => ({ name, kind: 'number', view: view.name }));
}

/** SELECT of `__row` and the features for every row of `spine`, a relation with `__row`, `__at` and the key columns. */
export function windowSql(plan: WindowPlan, spine: string): string {
  const { measures } = plan;
  const extremes = measures.filter(({ aggregate: { fn } }) => fn === 'min' || fn === 'max');
  const sums = measures.filter((measure) => !extremes.includes(measure));
  const parts = [
    ...(sums.length > 0 ? [sumsSql(plan, sums, spine)] : []),
    ...(extremes.length > 0 ? [extremesSql(plan, extremes, spine)] : []),
  ];
  return parts.length === 1 ? (parts[0] as string) : `SELECT * FROM (${parts[0]}) JOIN (${parts[1]}) USING (__row)`;
}

function sumsSql(plan: WindowPlan, sums: Measure[], spine: string): string {
  const k = plan.keys.map((_key, i) => `__k${i}`);
  // Each measure has its own time of entering, because each expression is known at its own time.
  const parts = sums.map((measure, i) => ({
    measure,
    i,
    columns: sumColumns(measure.aggregate.fn).map((name) => `__${name}${i}`),
  }));
  const columns = parts.flatMap((part) => part.columns);
  const moves = parts.flatMap((part) =>
    ([1, -1] as const).map((sign) => {
      const own = new Map(part.columns.map((column) => [column, moveSql(column, part.i, sign)]));
      const values = columns.map((column) => `${own.get(column) ?? '0::HUGEINT'} AS ${column}`);
      return `SELECT ${k.join(', ')}, ${sign === 1 ? `__enters${part.i}` : '__leaves'} AS __time, ${values.join(', ')}
      FROM facts WHERE __enters${part.i} < __leaves AND __enters${part.i} <= ${timestampLiteral(plan.source.asOf)} AND __counts${part.i}`;
    }),
  );
  const match = plan.keys.map(({ spineSql }, i) => `${spineSql} = e.__k${i}`).join(' AND ');
  return `WITH ${factsCte(plan, sums, spine)}, moves AS (${moves.join(' UNION ALL ')}
  ), steps AS (
    SELECT ${k.join(', ')}, __time, ${columns.map((column) => `sum(${column}) AS ${column}`).join(', ')}
    FROM moves GROUP BY ${k.join(', ')}, __time
  ), totals AS (
    SELECT ${k.join(', ')}, __time, ${columns.map((column) => `sum(${column}) OVER running AS ${column}`).join(', ')}
    FROM steps WINDOW running AS (ORDER BY ${k.join(', ')}, __time ROWS UNBOUNDED PRECEDING)
  )
  SELECT s.__row, ${parts.map((part) => `${resultSql(part.measure.aggregate.fn, part.i)}::FLOAT AS ${identifier(part.measure.aggregate.name)}`).join(', ')}
  FROM ${spine} s ASOF LEFT JOIN totals e ON ${match} AND s.__at >= e.__time`;
}

/** Running totals that an aggregate needs: n rows, s sum, q sum of squares. */
function sumColumns(fn: Aggregate['fn']): string[] {
  if (fn === 'count') return ['n'];
  return fn === 'std' ? ['n', 's', 'q'] : ['n', 's'];
}

function moveSql(column: string, i: number, sign: 1 | -1): string {
  const value = column.startsWith('__n')
    ? '1::HUGEINT'
    : column.startsWith('__s')
      ? `__value${i}`
      : `__value${i} * __value${i}`;
  return sign === 1 ? value : `-(${value})`;
}

/** From exact totals to the value, over `e`. */
function resultSql(fn: Aggregate['fn'], i: number): string {
  const [n, s, q] = [`e.__n${i}`, `e.__s${i}`, `e.__q${i}`];
  const scale = scaleOf(fn);
  if (fn === 'count') return `coalesce(${n}, 0)`;
  if (fn === 'sum') return `CASE WHEN ${n} > 0 THEN ${s}::DOUBLE / ${scale} END`;
  if (fn === 'avg') return `CASE WHEN ${n} > 0 THEN ${s}::DOUBLE / ${n}::DOUBLE / ${scale} END`;
  // Squares are taken about m, the mean rounded to a step, while still exact: a large mean costs no digits.
  // Σ(v-m)² = q - m(2s - nm); the rest of the mean, r = s - nm, takes r²/n off.
  const m = `(${s} // ${n})`;
  const about = `(${q} - ${m} * (2 * ${s} - ${n} * ${m}))::DOUBLE`;
  const rest = `(${s} - ${n} * ${m})::DOUBLE`;
  return `CASE WHEN ${n} > 1 THEN sqrt(greatest(${about} - ${rest} * ${rest} / ${n}::DOUBLE, 0) / (${n}::DOUBLE - 1)) / ${scale} END`;
}

/**
 * Rows of the source that some row of the spine can see, with key, event time, and per measure: value, time of entering,
 * whether it counts.
 */
function factsCte({ source, keys, event, overSeconds }: WindowPlan, measures: Measure[], spine: string): string {
  const columns = measures.flatMap(({ aggregate, value }, i) => {
    const known = knownSql([event, ...(value ? [value] : []), ...keys.map((key) => key.source)]);
    const number = value && aggregate.fn !== 'count' ? finiteSql(value.sql) : undefined;
    return [
      `greatest((${event.sql})::TIMESTAMP, ${known}) AS __enters${i}`,
      `(${number ?? value?.sql ?? 'true'}) IS NOT NULL AS __counts${i}`,
      ...(number
        ? [`${isExtreme(aggregate) ? number : `round((${number}) * ${scaleOf(aggregate.fn)})::HUGEINT`} AS __value${i}`]
        : []),
    ];
  });
  return `raw AS (
    SELECT ${keys.map(({ sourceSql }, i) => `${sourceSql} AS __k${i}`).join(', ')}, (${event.sql})::TIMESTAMP AS __event,
      (${event.sql})::TIMESTAMP + INTERVAL ${overSeconds} SECOND AS __leaves,
      ${columns.join(',\n      ')}
    FROM ${source.relation} WHERE ${source.good}
  ), facts AS MATERIALIZED (
    SELECT * FROM raw WHERE ${keys.map((_key, i) => `__k${i} IS NOT NULL`).join(' AND ')} AND isfinite(__event)
      AND __leaves > (SELECT min(__at) FROM ${spine}) AND __event <= (SELECT max(__at) FROM ${spine})
  )`;
}

function isExtreme({ fn }: Aggregate): boolean {
  return fn === 'min' || fn === 'max';
}

function extremesSql(plan: WindowPlan, extremes: Measure[], spine: string): string {
  const width = plan.overSeconds * 1e6;
  const match = plan.keys.map((_key, i) => `w.__k${i} = f.__k${i}`).join(' AND ');
  const results = extremes.map(({ aggregate: { fn, name } }, i) => {
    const counts = `f.__counts${i} AND f.__enters${i} <= w.__at AND f.__enters${i} <= ${timestampLiteral(plan.source.asOf)}`;
    return `${fn}(f.__value${i}) FILTER (WHERE ${counts})::FLOAT AS ${identifier(name)}`;
  });
  // Every window touches the bucket of its end and the one before.
  return `WITH ${factsCte(plan, extremes, spine)}, bucketed AS (
    SELECT *, epoch_us(__event) // ${width} AS __bucket FROM facts
  ), wanted AS (
    SELECT s.__row, s.__at, ${plan.keys.map(({ spineSql }, i) => `${spineSql} AS __k${i}`).join(', ')},
      unnest([epoch_us(s.__at) // ${width}, epoch_us(s.__at) // ${width} - 1]) AS __bucket
    FROM ${spine} s
  )
  SELECT w.__row, ${results.join(', ')}
  FROM wanted w LEFT JOIN bucketed f ON ${match} AND w.__bucket = f.__bucket AND f.__event <= w.__at AND f.__leaves > w.__at
  GROUP BY w.__row`;
}
