/** A table of somebody else's on this machine (Parquet or CSV), opened to be joined to: its rows in order, its time as UTC. */
import { type DuckDb, identifier, literal, withDuckDb } from '../dataset/duckdb.ts';
import { isoSql } from '../dataset/time-sql.ts';
import { RefitError } from '../spec/errors.ts';
import { nearest } from '../spec/nearest.ts';
import type { FeatureContext } from './open-sources.ts';

/** A table on this machine. */
export interface TableFile {
  path: string;
  format: 'parquet' | 'csv';
  /** How a CSV file is written; one that is read tells by itself. */
  delimiter?: '\t';
  compression?: 'gzip';
}

/** The table as loaded: a temporary table with all its columns and `position`, the number of the row. */
export interface SpineFile {
  table: string;
  position: string;
  /** Column as spelled → DuckDB type. */
  columns: Map<string, string>;
  /** SQL of predict_at as TIMESTAMP. */
  time: string;
}

/**
 * What a table says of itself before anything is computed. @returns its newest predict_at (ISO UTC), null where it has none
 * @throws RefitError REFIT_USAGE when it cannot be read, or predict_at is missing or no time
 */
export function inspectSpine(
  from: TableFile,
  context: FeatureContext,
): Promise<{ rows: number; newest: string | null }> {
  return withDuckDb(context, async (db) => {
    const { table, time } = await openSpineFile(db, from);
    // Rounded up, so that a look as of it sees what was known by then.
    const newest = `max(${time}) FILTER (WHERE isfinite(${time}))`;
    const [row] = await db.rows<{ rows: number; newest: string | null }>(`SELECT count(*)::DOUBLE AS rows,
      ${isoSql(`date_trunc('second', ${newest} + INTERVAL 999999 MICROSECOND)`)} AS newest FROM ${table}`);
    return { rows: row?.rows ?? 0, newest: row?.newest ?? null };
  });
}

/** @throws RefitError REFIT_USAGE, as `inspectSpine` */
export async function openSpineFile(db: DuckDb, { path, format }: TableFile): Promise<SpineFile> {
  const reader =
    format === 'parquet'
      ? `read_parquet(${literal(path)}, hive_partitioning = false)`
      : // Text stays as it is written: 007 is no number.
        `read_csv(${literal(path)}, header = true, all_varchar = true, hive_partitioning = false)`;
  const described = await db
    .rows<{ column_name: string; column_type: string }>(`DESCRIBE SELECT * FROM ${reader}`)
    .catch((error: unknown) => Promise.reject(unreadable(path, error)));
  const columns = new Map(described.map(({ column_name, column_type }) => [column_name, column_type]));
  let position = '__position';
  while (columns.has(position)) position = `_${position}`;
  // One thread reads in the order of the file.
  const [before] = await db.rows<{ threads: number }>("SELECT current_setting('threads')::DOUBLE AS threads");
  await db.run('SET threads = 1');
  await db
    .run(`CREATE TEMP TABLE __spine_file AS SELECT row_number() OVER () AS ${identifier(position)}, * FROM ${reader}`)
    .catch((error: unknown) => Promise.reject(unreadable(path, error)));
  await db.run(`SET threads = ${before?.threads ?? 2}`);
  const loaded = { table: '__spine_file', position, columns, time: 'predict_at' };
  return { ...loaded, time: await timeSql(db, loaded, format) };
}

function unreadable(path: string, error: unknown): RefitError {
  const why = (error instanceof Error ? error.message : String(error)).split('\n')[0]?.replace(/\.$/, '');
  return new RefitError('REFIT_USAGE', `The spine ${path} cannot be read: ${why}.`, { path }, { cause: error });
}

/** SQL of predict_at as TIMESTAMP in UTC; text of CSV files is parsed, and text in Parquet refused. */
async function timeSql(
  db: DuckDb,
  { table, position, columns }: SpineFile,
  format: TableFile['format'],
): Promise<string> {
  const type = columns.get('predict_at');
  if (type === undefined) {
    const hint = nearest('predict_at', [...columns.keys()]);
    throw new RefitError(
      'REFIT_USAGE',
      `The spine has no column "predict_at"${hint}: the time, in UTC, that each row is asked about.`,
      {
        columns: [...columns.keys()],
      },
    );
  }
  if (/^(TIMESTAMP|DATE)/.test(type)) return 'predict_at::TIMESTAMP';
  if (format === 'parquet') {
    throw new RefitError('REFIT_USAGE', `predict_at of the spine is ${type}; it must be a time (TIMESTAMP, in UTC).`, {
      type,
    });
  }
  const parsed = 'try_cast(predict_at AS TIMESTAMPTZ)::TIMESTAMP';
  const [wrong] = await db.rows<{
    row: number;
    text: string;
  }>(`SELECT ${identifier(position)}::DOUBLE AS row, predict_at AS text
    FROM ${table} WHERE predict_at <> '' AND ${parsed} IS NULL ORDER BY 1 LIMIT 1`);
  if (!wrong) return parsed;
  throw new RefitError(
    'REFIT_USAGE',
    `predict_at of row ${wrong.row} of the spine is "${wrong.text}", which is no time.`,
    wrong,
  );
}
