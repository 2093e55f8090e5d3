/** Which keys of a part have to be written: all of them, or those whose kept rows changed since the last materialisation. */
import { type DuckDb, identifier } from '../dataset/duckdb.ts';
import { partitionsSql } from '../dataset/snapshot-sql.ts';
import { timestampLiteral } from '../dataset/time-sql.ts';
import type { BlobRef, Snapshot } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import { digestOf } from '../store/digest.ts';
import type { BlobStore } from '../store/ports.ts';
import { KEPT_ROWS } from './keep-rows.ts';
import type { OnlinePart } from './online-parts.ts';
import type { MaterializedData } from './online-progress.ts';

/** A source since the last materialisation. */
export interface SourceChanges {
  /** As of which that was. */
  since: string;
  /** Relations: partitions that were there before and still are; those that came or went. */
  same: string | undefined;
  others: string[];
}

/**
 * Compares a source with what was materialised last. @returns undefined where that cannot tell all that changed: other columns,
 * or partitions that are gone from the store
 */
export async function changesOf(
  db: DuckDb,
  blobs: BlobStore,
  snapshot: Snapshot,
  before: MaterializedData,
): Promise<SourceChanges | undefined> {
  const old = before.sources[snapshot.source];
  if (!old || old.columns !== digestOf(snapshot.columns)) return undefined;
  const was = new Set(old.partitions.map(({ sha256 }) => sha256));
  const is = new Set(snapshot.partitions.map(({ data }) => data.sha256));
  const relation = async (name: string, partitions: { data: BlobRef }[]) => {
    if (partitions.length === 0) return undefined;
    const view = identifier(`__${name}_${snapshot.source}`);
    const paths = await Promise.all(partitions.map(({ data }) => blobs.path(data)));
    // Not every partition has rows that end.
    await db.run(`CREATE OR REPLACE TEMP VIEW ${view} AS SELECT * FROM (SELECT NULL::TIMESTAMP AS __gone_at LIMIT 0)
      UNION ALL BY NAME SELECT * FROM ${partitionsSql(paths)}`);
    return view;
  };
  const removed = old.partitions.filter(({ sha256 }) => !is.has(sha256)).map((data) => ({ data }));
  try {
    const same = snapshot.partitions.filter(({ data }) => was.has(data.sha256));
    const added = snapshot.partitions.filter(({ data }) => !was.has(data.sha256));
    const others = [await relation('added', added), await relation('removed', removed)];
    return { since: before.asOf, same: await relation('same', same), others: others.flatMap((one) => one ?? []) };
  } catch (error) {
    // Blobs of a partition that nobody names any more may have been cleared away.
    if (error instanceof RefitError && error.code === 'REFIT_STORE_CORRUPT' && removed.length > 0) return undefined;
    throw error;
  }
}

/** Makes a table of the keys to write, `__id` from 0 in their order. @returns its name and how many there are */
export async function keysTable(
  db: DuckDb,
  part: OnlinePart,
  place: number,
  changes: SourceChanges | undefined,
): Promise<{ table: string; keys: number }> {
  const table = identifier(`__online_keys_${place}`);
  const { source } = part;
  const k = part.keys.map((_key, i) => `__k${i}`).join(', ');
  const selects = changes ? changedKeys(part, changes) : [keysOf(part, source.relation, source.good)];
  await db.run(`CREATE OR REPLACE TEMP TABLE ${table} AS SELECT row_number() OVER (ORDER BY ${k}) - 1 AS __id, ${k}
    FROM (SELECT DISTINCT * FROM (${selects.join(' UNION ALL ')}))`);
  const [row] = await db.rows<{ n: number }>(`SELECT count(*)::DOUBLE AS n FROM ${table}`);
  return { table, keys: row?.n ?? 0 };
}

function keysOf(part: OnlinePart, relation: string, where: string): string {
  const columns = part.keys.map(({ sourceSql }, i) => `${sourceSql} AS __k${i}`).join(', ');
  const present = part.keys.map(({ sourceSql }) => `${sourceSql} IS NOT NULL`);
  return `SELECT ${columns} FROM ${relation} WHERE ${[where, ...present].join(' AND ')}`;
}

/** Rows that became known, bad or ended since, all of partitions that came or went, and keys of which not every row is kept. */
function changedKeys(part: OnlinePart, { since, same, others }: SourceChanges): string[] {
  const { source, known, event, lookup } = part;
  const [before, now] = [timestampLiteral(since), timestampLiteral(source.asOf)];
  const between = (time: string) => `(${time} > ${before} AND ${time} <= ${now})`;
  const selects = others.map((relation) => keysOf(part, relation, 'true'));
  const times = [known, '__bad_known_at', '__gone_at'];
  if (same) selects.push(keysOf(part, same, `(${times.map(between).join(' OR ')})`));
  // A tile has to be made anew before its first row leaves, and the rows to come that found no place get one.
  const { read } = lookup;
  const over = read.kind === 'window' && read.overUs !== null ? ` - to_microseconds(${read.overUs})` : '';
  const seen = `${source.good} AND ${known} <= ${now} AND ${event} > ${before}${over}`;
  const columns = part.keys.map((_key, i) => `__k${i}`).join(', ');
  selects.push(
    `SELECT * FROM (${keysOf(part, source.relation, seen)}) GROUP BY ${columns} HAVING count(*) > ${KEPT_ROWS}`,
  );
  return selects;
}
