/** What latest and window mean, row by row: slow, plain, and independent of the SQL. Times are hours. */

export interface Fact {
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

/** Facts about a key whose column was known, and that had happened, at `at`: nothing later than asOf counts. */
function seen(facts: Fact[], { key, at }: Asked, asOf: number, column: Column | undefined, event: boolean): Fact[] {
  const now = Math.min(at, asOf);
  return facts.filter((fact) => {
    if (fact.bad <= asOf || key === null || fact.key !== key) return false;
    if (event && (fact.event === null || fact.event > now)) return false;
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
  options: { asOf: number; column: Column; ttl?: number; reference?: boolean },
): number | null {
  const { asOf, column, ttl, reference = false } = options;
  const order = (a: Fact, b: Fact) =>
    (reference ? 0 : (a.event as number) - (b.event as number)) ||
    compare(knownOf(a, column), knownOf(b, column)) ||
    compare(a[column] ?? Infinity, b[column] ?? Infinity);
  const newest = seen(facts, asked, asOf, column, !reference).sort(order).at(-1);
  if (!newest || (ttl !== undefined && !reference && (newest.event as number) < asked.at - ttl)) return null;
  return newest[column];
}

function compare(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

export type Fn = 'count' | 'sum' | 'avg' | 'min' | 'max' | 'std';

/** Over the facts with an event in (at - over, at]. `column` undefined: rows are counted. */
export function windowOracle(
  facts: Fact[],
  asked: Asked,
  { asOf, column, over, fn }: { asOf: number; column: Column | undefined; over: number; fn: Fn },
): number | null {
  const rows = seen(facts, asked, asOf, column, true).filter(({ event }) => (event as number) > asked.at - over);
  if (column === undefined) return rows.length;
  const values = rows.map((fact) => fact[column]).filter((value) => value !== null);
  if (fn === 'count') return values.length;
  if (values.length === 0) return null;
  const sum = values.reduce((a, b) => a + b, 0);
  const mean = sum / values.length;
  if (fn === 'sum') return Math.fround(sum);
  if (fn === 'avg') return Math.fround(mean);
  if (fn === 'min') return Math.min(...values);
  if (fn === 'max') return Math.max(...values);
  if (values.length === 1) return null;
  return Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / (values.length - 1));
}
