import type { BlobRef, ColumnInfo, ColumnProfile, SnapshotProfile } from '../spec/artifacts.ts';
import { defineStep } from '../store/step.ts';
import { type DuckDb, identifier, literal, withDuckDb } from './duckdb.ts';
import { isoSql } from './time-sql.ts';

/**
 * Statistics of a snapshot, as of no date: of all rows that never break their contract. One pass counts; quantiles and
 * frequent values are of a sample where there are many (rows chosen by a hash of their place), exact within it. One thread, so that sums are the same
 * on every machine.
 */

export interface ProfileInput {
  source: string;
  snapshot: string;
  partitions: { name: string; data: BlobRef }[];
  columns: ColumnInfo[];
  /** Columns of personal data: nothing but counts is told of them. */
  personal: string[];
  /** Some rows end. */
  ends?: boolean;
}

/** More rows are sampled. */
const MOST_SAMPLED = 50_000;
const QUANTILES: Record<string, number> = {
  p01: 0.01,
  p05: 0.05,
  p25: 0.25,
  p50: 0.5,
  p75: 0.75,
  p95: 0.95,
  p99: 0.99,
};
const MOST_VALUES = 10;
const LONGEST_VALUE = 80;

export const profileSnapshot = defineStep<ProfileInput, { profile: BlobRef }>({
  name: 'profile-snapshot',
  version: 1,
  natives: ['duckdb'],
  source: import.meta.url,
  async run(input, { blobs, scratch, signal, progress }) {
    const paths = await Promise.all(input.partitions.map(({ data }) => blobs.path(data)));
    const profile = await withDuckDb({ scratch, signal, threads: 1 }, (db) => profileOf(db, input, paths));
    progress({ source: input.source, rows: profile.rows });
    return { profile: await blobs.putJson(profile) };
  },
});

type Kind = ColumnProfile['kind'];

function kindOf(type: string): Kind {
  if (/^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*)$/.test(type)) return 'number';
  return /^(TIMESTAMP.*|DATE)$/.test(type) ? 'time' : 'category';
}

async function profileOf(db: DuckDb, input: ProfileInput, paths: string[]): Promise<SnapshotProfile> {
  const list = `[${paths.map(literal).join(', ')}]`;
  const data = `read_parquet(${list}, union_by_name = true, hive_partitioning = false)`;
  const described = await db.rows<{ column_name: string; column_type: string }>(`DESCRIBE SELECT * FROM ${data}`);
  const types = new Map(described.map(({ column_name, column_type }) => [column_name, column_type]));
  const columns = input.columns.map(({ name, type }) => {
    const actual = types.get(name) ?? type;
    return { name, type: actual, kind: kindOf(actual), personal: input.personal.includes(name) };
  });
  const alive = input.ends ? ` AND coalesce(__gone_at, 'infinity') = 'infinity'` : '';
  const good = `(SELECT * FROM ${data} WHERE __bad_known_at = 'infinity'${alive})`;
  const [{ n: rows } = { n: 0 }] = await db.rows<{ n: number }>(`SELECT count(*)::DOUBLE AS n FROM ${good}`);
  const distinct =
    rows <= MOST_SAMPLED
      ? (column: string) => `count(DISTINCT ${column})`
      : (column: string) => `approx_count_distinct(${column})`;
  const aggregates = columns.flatMap((column, i) => aggregatesOf(column, i, distinct));
  const [row = {}] = await db.rows(`SELECT ${['count(*) AS n', ...aggregates].join(', ')} FROM ${good}`);
  const step = Math.max(1, Math.ceil(rows / MOST_SAMPLED));
  const names = columns.map(({ name }) => identifier(name));
  await db.run(`CREATE TEMP TABLE sampled AS SELECT * FROM
    (SELECT ${[...names, 'row_number() OVER () AS __place'].join(', ')} FROM ${good}) WHERE hash(__place) % ${step} = 0`);
  const sampled = Number((await db.rows(`SELECT count(*)::DOUBLE AS n FROM sampled`))[0]?.n);
  const profiles: ColumnProfile[] = [];
  for (const [i, column] of columns.entries()) {
    const counts = { ...column, nulls: Number(row[`nulls_${i}`]), distinct: Number(row[`distinct_${i}`]) };
    if (column.personal) profiles.push({ ...counts, top: [] });
    else profiles.push({ ...counts, ...figuresOf(row, i), ...(await sampledFigures(db, column)) });
  }
  return { source: input.source, snapshot: input.snapshot, rows, sampled, columns: profiles };
}

interface Column {
  name: string;
  kind: Kind;
  personal: boolean;
}

function aggregatesOf({ name, kind, personal }: Column, i: number, distinct: (column: string) => string): string[] {
  const column = identifier(name);
  const counts = [
    `count(*) FILTER (WHERE ${column} IS NULL)::DOUBLE AS nulls_${i}`,
    `${distinct(column)}::DOUBLE AS distinct_${i}`,
  ];
  if (personal || kind === 'category') return counts;
  if (kind === 'time') {
    const time = `${column}::TIMESTAMP`;
    return [...counts, `${isoSql(`min(${time})`)} AS min_${i}`, `${isoSql(`max(${time})`)} AS max_${i}`];
  }
  const value = `${column}::DOUBLE`;
  const finite = `CASE WHEN isfinite(${value}) THEN ${value} END`;
  return [
    ...counts,
    ...['min', 'max'].map((fn) => `${fn}(${finite}) AS ${fn}_${i}`),
    `avg(${finite}) AS mean_${i}`,
    // Squares of larger ones are out of a DOUBLE's range, which DuckDB takes for an error.
    `stddev_pop(CASE WHEN abs(${value}) < 1e140 THEN ${value} END) AS std_${i}`,
  ];
}

/** What all rows were asked; JSON has no NaN. */
function figuresOf(row: Record<string, unknown>, i: number): Partial<ColumnProfile> {
  const entries = ['min', 'max', 'mean', 'std'].map((name) => [name, row[`${name}_${i}`]] as const);
  return Object.fromEntries(entries.filter(([, value]) => typeof value === 'string' || Number.isFinite(value)));
}

async function sampledFigures(db: DuckDb, { name, kind }: Column): Promise<Pick<ColumnProfile, 'top' | 'quantiles'>> {
  const column = identifier(name);
  const quantiles = kind === 'category' ? undefined : await quantilesOf(db, column, kind);
  if (kind === 'time') return { top: [], ...(quantiles ? { quantiles } : {}) };
  const text = `left(${column}::VARCHAR, ${LONGEST_VALUE})`;
  const top = await db.rows<{ value: string; share: number }>(`SELECT value, n / sum(n) OVER () AS share
    FROM (SELECT ${text} AS value, count(*)::DOUBLE AS n FROM sampled WHERE ${column} IS NOT NULL GROUP BY 1)
    ORDER BY n DESC, value LIMIT ${MOST_VALUES}`);
  return { top, ...(quantiles ? { quantiles } : {}) };
}

async function quantilesOf(db: DuckDb, column: string, kind: Kind): Promise<ColumnProfile['quantiles'] | undefined> {
  const shares = `[${Object.values(QUANTILES).join(', ')}]`;
  const value = kind === 'time' ? `${column}::TIMESTAMP` : `${column}::DOUBLE`;
  const ordered = `quantile_disc(CASE WHEN isfinite(${value}) THEN ${value} END, ${shares})`;
  const names = Object.keys(QUANTILES);
  const items = names.map((name, i) => {
    const one = `quantiles[${i + 1}]`;
    return `${kind === 'time' ? isoSql(one) : one} AS ${name}`;
  });
  const [row] = await db.rows<Record<string, number | string | null>>(
    `SELECT ${items.join(', ')} FROM (SELECT ${ordered} AS quantiles FROM sampled)`,
  );
  if (!row || row.p50 === null || row.p50 === undefined) return undefined;
  return row as Record<string, number | string>;
}
