/** What latest and window mean, row by row: slow, plain, and independent of the SQL. Times are hours. */

export interface Fact {
  /** From when on the row is deleted or replaced; absent = never. */
  gone?: number;
  key: string | null;
  /** When it happened; null = unknown. */
  event: number | null;
  /** When the row, x and y became known. */
  known: [row: number, x: number, y: number];
  /** When the row was known to be bad; Infinity = good. */
  bad: number;
  x: number | null;
  y: number | null;
}

export interface Asked {
  key: string | null;
  at: number;
}

type Column = 'x' | 'y';

/** Facts about a key that were there, whose column was known, and that had happened, at `at`: nothing later than asOf counts. */
function seen(
  facts: Fact[],
  { key, at }: Asked,
  asOf: number,
  column: Column | undefined,
  event: boolean,
  ahead = 0,
): Fact[] {
  const now = Math.min(at, asOf);
  return facts.filter((fact) => {
    if (fact.bad <= asOf || key === null || fact.key !== key || (fact.gone ?? Infinity) <= now) return false;
    if (event && (fact.event === null || fact.event > now + ahead)) return false;
    return knownOf(fact, column) <= now;
  });
}

function knownOf({ known: [row, x, y] }: Fact, column: Column | undefined): number {
  return Math.max(row, column === 'x' ? x : column === 'y' ? y : -Infinity);
}

/** Newest event; then known last; then the greater value, a missing one being the greatest. */
export function latestOracle(
  facts: Fact[],
  asked: Asked,
  options: { asOf: number; column: Column; ttl?: number; reference?: boolean; ahead?: number },
): number | null {
  const newest = newestOracle(facts, asked, options);
  return newest ? newest[options.column] : null;
}

/** The row that answers. */
export function newestOracle(
  facts: Fact[],
  asked: Asked,
  options: { asOf: number; column: Column | undefined; ttl?: number; reference?: boolean; ahead?: number },
): Fact | undefined {
  const { asOf, column, ttl, reference = false, ahead = 0 } = options;
  const order = (a: Fact, b: Fact) =>
    (reference ? 0 : (a.event as number) - (b.event as number)) ||
    compare(knownOf(a, column), knownOf(b, column)) ||
    (column === undefined ? 0 : compare(a[column] ?? Infinity, b[column] ?? Infinity));
  const newest = seen(facts, asked, asOf, column, !reference, ahead).sort(order).at(-1);
  const old = newest && ttl !== undefined && !reference && (newest.event as number) < asked.at + ahead - ttl;
  return old ? undefined : newest;
}

function compare(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

export type Fn = 'count' | 'sum' | 'avg' | 'min' | 'max' | 'std' | 'quantile' | 'distinct' | 'last' | 'share';

interface WindowOptions {
  asOf: number;
  /** undefined: rows are counted. */
  column: Column | undefined;
  fn: Fn;
  /** Hours; undefined: all history. */
  over?: number | undefined;
  /** Only the newest so many rows. */
  last?: number | undefined;
  q?: number | undefined;
}

/** Over the facts with an event in (at - over, at], of which the newest `last`. A share is that of values above 0. */
export function windowOracle(facts: Fact[], asked: Asked, options: WindowOptions): number | null {
  const { asOf, column, over = Infinity, last = Infinity, fn, q = 0.5 } = options;
  const rows = seen(facts, asked, asOf, column, true)
    .filter(({ event }) => (event as number) > asked.at - over)
    .sort((a, b) => newestLast(a, b, column));
  const newest = last === Infinity ? rows : rows.slice(-last);
  if (column === undefined) return newest.length;
  const values = newest.map((fact) => fact[column]).filter((value) => value !== null);
  if (fn === 'count') return values.length;
  if (fn === 'distinct') return new Set(values).size;
  if (values.length === 0) return null;
  const sum = values.reduce((a, b) => a + b, 0);
  const mean = sum / values.length;
  if (fn === 'sum') return Math.fround(sum);
  if (fn === 'avg') return Math.fround(mean);
  if (fn === 'min') return Math.min(...values);
  if (fn === 'max') return Math.max(...values);
  if (fn === 'last') return values[values.length - 1] as number;
  if (fn === 'share') return Math.fround(values.filter((value) => value > 0).length / values.length);
  if (fn === 'quantile') return quantileOracle(values, q);
  if (values.length === 1) return null;
  return Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / (values.length - 1));
}

/** By event, then known, then value, a missing one being the greatest. */
function newestLast(a: Fact, b: Fact, column: Column | undefined): number {
  const value = (fact: Fact) => (column === undefined ? 0 : (fact[column] ?? Infinity));
  return (
    (a.event as number) - (b.event as number) ||
    compare(knownOf(a, column), knownOf(b, column)) ||
    compare(value(a), value(b))
  );
}

function quantileOracle(values: number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const position = q * (sorted.length - 1);
  const lower = sorted[Math.floor(position)] as number;
  const upper = sorted[Math.ceil(position)] as number;
  return Math.fround(lower + (position % 1) * (upper - lower));
}
