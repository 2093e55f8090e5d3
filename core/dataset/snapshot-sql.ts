import type { ColumnInfo, Partition, Snapshot } from '../spec/artifacts.ts';
import type { BlobStore } from '../store/ports.ts';
import { type DuckDb, identifier, literal } from './duckdb.ts';

/**
 * Creates a view over the snapshot's partitions with all columns, `__known_<i>`, `__event_at`, `__bad_known_at` and `__gone_at`
 * (never NULL) included, in no particular order of rows. @returns its name, quoted. @throws RefitError REFIT_STORE_CORRUPT
 */
export async function snapshotRelation(db: DuckDb, snapshot: Snapshot, blobs: BlobStore): Promise<string> {
  const paths = await Promise.all(snapshot.partitions.map(({ data }) => blobs.path(data)));
  const name = identifier(snapshot.source);
  await db.run(`CREATE OR REPLACE TEMP VIEW ${name} AS SELECT * FROM ${historySql(paths, snapshot.ends)}`);
  return name;
}

/** Partitions may hold the same columns in another order. */
export function partitionsSql(paths: string[]): string {
  return `read_parquet([${paths.map(literal).join(', ')}], union_by_name = true, hive_partitioning = false)`;
}

/** As `partitionsSql`, with `__gone_at` whether or not rows of them end. */
function historySql(paths: string[], ends = false): string {
  if (!ends) return `(SELECT *, 'infinity'::TIMESTAMP AS __gone_at FROM ${partitionsSql(paths)})`;
  return `(SELECT * REPLACE (coalesce(__gone_at, 'infinity') AS __gone_at) FROM ${partitionsSql(paths)})`;
}

/** The rows of partitions that had not ended by a time (SQL). */
export function aliveSql(paths: string[], ends: boolean | undefined, at: string): string {
  return ends ? `(SELECT * FROM ${historySql(paths, ends)} WHERE __gone_at > ${at})` : partitionsSql(paths);
}

/** SQL for the time from which all of the named columns of a row are known: TIMESTAMP, never NULL. */
export function knownAtSql(columns: ColumnInfo[], names: readonly string[]): string {
  const known = [
    ...new Set(columns.filter(({ name }) => names.includes(name)).flatMap((column) => column.known)),
  ].sort();
  return known.length > 1 ? `greatest(${known.join(', ')})` : (known[0] ?? '__known_0');
}

/**
 * Newest event of the good rows, ISO UTC, rounded up to whole seconds so that a run as of it sees the event; null where there
 * is none. What asOf 'latest' means.
 */
export function newestEventOf(partitions: readonly Pick<Partition, 'eventRange'>[]): string | null {
  const times = partitions.flatMap(({ eventRange }) => (eventRange ? [Date.parse(eventRange.newest)] : []));
  if (times.length === 0) return null;
  const newest = times.reduce((a, b) => Math.max(a, b));
  return `${new Date(Math.ceil(newest / 1000) * 1000).toISOString().slice(0, 19)}Z`;
}
