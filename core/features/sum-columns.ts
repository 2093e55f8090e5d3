/** Running totals of windows in SQL: the columns an aggregate needs, what a row adds to them, and the result; equal to aggregate.ts. */
import type { Aggregate } from '../spec/pipeline.ts';
import { scaleOf } from './aggregate.ts';

type Fn = Aggregate['fn'];

/** Totals are integers of 128 bits, or where those overflow (values of some 1e28, of `std` some 1e12) two of them: h · 2⁶⁴ + l. */
export type Width = 'narrow' | 'wide';

/** DuckDB's words for a total that is too large. */
export const overflows = (error: unknown): boolean =>
  error instanceof Error && /^(Out of Range|Conversion) Error:.*(INT128|HUGEINT)/s.test(error.message);

const HALF = 2n ** 64n;

/** n rows, s sum, q sum of squares, and h and l in place of s, of `std` in place of q. */
export function sumColumns(fn: Fn, width: Width): string[] {
  if (fn === 'count') return ['n'];
  if (width === 'narrow') return fn === 'std' ? ['n', 's', 'q'] : ['n', 's'];
  return fn === 'std' ? ['n', 's', 'h', 'l'] : ['n', 'h', 'l'];
}

/** A value as whole steps. */
export function stepsSql(fn: Fn, sql: string, width: Width): string {
  if (fn === 'count') return sql;
  const steps = `round((${sql}) * ${scaleOf(fn)})`;
  return width === 'narrow' ? `${steps}::HUGEINT` : steps;
}

/** What a row with these steps adds to a column; where they are missing, nothing. */
export function addedSql(fn: Fn, column: string, steps: string, width: Width): string {
  if (column === 'n') return `CASE WHEN ${steps} IS NULL THEN 0 ELSE 1 END`;
  if (width === 'narrow') return `coalesce(${column === 's' ? steps : `${steps} * ${steps}`}, 0)`;
  if (fn !== 'std') {
    const high = `trunc(${steps} / ${HALF}::DOUBLE)`;
    return `coalesce((${column === 'h' ? high : `${steps} - ${high} * ${HALF}::DOUBLE`})::HUGEINT, 0)`;
  }
  // Any larger one takes the squares to where there is no result.
  const whole = `CASE WHEN abs(${steps}) < ${2n ** 63n}::DOUBLE THEN try_cast(${steps} AS HUGEINT) END`;
  if (column === 's') return `coalesce(${whole}, 0)`;
  const square = `(${whole}) * (${whole})`;
  if (column === 'l') return `coalesce(${square} % ${HALF}::HUGEINT, 0)`;
  return `CASE WHEN ${steps} IS NULL THEN 0 ELSE coalesce(${square} // ${HALF}::HUGEINT, ${2n ** 62n}::HUGEINT) END`;
}

/** From exact totals to the value as FLOAT; `of` names a column. What FLOAT cannot hold is missing. */
export function resultSql(fn: Fn, of: (column: string) => string, width: Width): string {
  if (fn === 'count') return `coalesce(${of('n')}, 0)::FLOAT`;
  const [n, s, scale] = [of('n'), of('s'), scaleOf(fn)];
  if (width === 'narrow') {
    return fn === 'std' ? stdSql(n, s, of('q'), 'true') : meanSql(fn, n, `${s}::DOUBLE`, scale);
  }
  const l = of('l');
  const carry = `CASE WHEN ${l} >= 0 THEN ${l} // ${HALF}::HUGEINT ELSE -((${HALF - 1n}::HUGEINT - ${l}) // ${HALF}::HUGEINT) END`;
  const high = `(${of('h')} + ${carry})`;
  const low = `(${l} - (${carry}) * ${HALF}::HUGEINT)`;
  if (fn === 'std') return stdSql(n, s, `(${high} * ${HALF}::HUGEINT + ${low})`, `${high} < ${2n ** 62n}::HUGEINT`);
  const sum = `CASE WHEN ${high} = -1 THEN -(${HALF - 1n}::HUGEINT - ${low})::DOUBLE - 1
    ELSE ${low}::DOUBLE + coalesce(try_cast(${high} AS BIGINT)::DOUBLE, ${high}::DOUBLE) * ${HALF}::DOUBLE END`;
  return meanSql(fn, n, `(${sum})`, scale);
}

function meanSql(fn: Fn, n: string, sum: string, scale: number): string {
  return `CASE WHEN ${n} > 0 THEN try_cast(${fn === 'sum' ? sum : `${sum} / ${n}::DOUBLE`} / ${scale} AS FLOAT) END`;
}

/** Squares are taken about m, the mean rounded to a step, while still exact: a large mean costs no digits. */
function stdSql(n: string, s: string, q: string, fits: string): string {
  // Σ(v-m)² = q - m(2s - nm); the rest of the mean, r = s - nm, takes r²/n off.
  const m = `(${s} // ${n})`;
  const about = `(${q} - ${m} * (2 * ${s} - ${n} * ${m}))::DOUBLE`;
  const rest = `(${s} - ${n} * ${m})::DOUBLE`;
  const root = `sqrt(greatest(${about} - ${rest} * ${rest} / ${n}::DOUBLE, 0) / (${n}::DOUBLE - 1)) / ${scaleOf('std')}`;
  return `CASE WHEN ${n} > 1 AND ${fits} THEN CASE WHEN ${q} < ${2n ** 126n}::HUGEINT THEN (${root})::FLOAT END END`;
}
