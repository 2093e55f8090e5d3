import path from 'node:path';
import type { Partition } from '../spec/artifacts.ts';
import type { StepContext } from '../store/step.ts';
import { type DuckDb, literal, withDuckDb } from './duckdb.ts';
import { isoSql } from './time-sql.ts';

/** Files of a partition that is made of others. */

/** Counts and times of an extracted table. `known`: its `__known_<i>` columns. */
export async function tableStatistics(
  db: DuckDb,
  file: string,
  known: string[],
): Promise<Pick<Partition, 'rows' | 'badRows' | 'eventRange' | 'knownFrom'>> {
  const good = `FILTER (WHERE __bad_known_at = 'infinity')`;
  const [row = {}] = await db.rows(`SELECT count(*)::DOUBLE AS rows,
      count(*) FILTER (WHERE __bad_known_at < 'infinity')::DOUBLE AS bad,
      ${isoSql(`min(__event_at) ${good}`)} AS oldest, ${isoSql(`max(__event_at) ${good}`)} AS newest,
      ${isoSql(`min(least(${known.join(', ')})) ${good}`)} AS known_from FROM read_parquet(${literal(file)})`);
  return {
    ...{ rows: Number(row.rows), badRows: Number(row.bad) },
    ...(row.oldest && row.newest ? { eventRange: { oldest: String(row.oldest), newest: String(row.newest) } } : {}),
    ...(row.known_from ? { knownFrom: String(row.known_from) } : {}),
  };
}

/** Enough to look at; the records of the folds name them all. */
const MOST_TOLD = 1_000;

/** The states of files that a fold of these partitions goes back to, each once. */
export function foldedOf(partitions: readonly Omit<Partition, 'columns'>[]): NonNullable<Partition['folded']> {
  const all = partitions.flatMap(
    ({ name, raw, data, folded }) =>
      folded?.first ?? [{ name, ...(raw === undefined ? {} : { raw }), data: data.sha256 }],
  );
  const files = [...new Map(all.map((one) => [JSON.stringify([one.name, one.raw, one.data]), one])).values()];
  const untold = partitions.reduce((sum, { folded }) => sum + (folded ? folded.files - folded.first.length : 0), 0);
  return { files: files.length + untold, first: files.slice(0, MOST_TOLD) };
}

/** SELECT of the rejected rows, each with the end of its time (`__gone_at`). */
export type QuarantineSql = (file: string, index: number) => string;

/** One file of all rejected rows; undefined where there are none. */
export async function joinQuarantine(
  partitions: readonly Partition[],
  { blobs, scratch, signal }: StepContext,
  select: QuarantineSql = (file) => `SELECT * FROM ${file}`,
): Promise<Partition['quarantine']> {
  const selects: string[] = [];
  for (const [index, { quarantine, ends }] of partitions.entries()) {
    if (!quarantine) continue;
    const file = `read_parquet(${literal(await blobs.path(quarantine))}, hive_partitioning = false)`;
    selects.push(select(ends ? file : `(SELECT *, 'infinity'::TIMESTAMP AS __gone_at FROM ${file})`, index));
  }
  if (selects.length === 0) return undefined;
  const joined = path.join(scratch, 'quarantine.parquet');
  await withDuckDb({ scratch, signal, threads: 1 }, (db) =>
    db.run(`COPY (${selects.join('\nUNION ALL BY NAME\n')}) TO ${literal(joined)} (FORMAT parquet, COMPRESSION zstd)`),
  );
  return blobs.putFile(joined);
}
