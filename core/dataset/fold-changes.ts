import path from 'node:path';
import type { Partition } from '../spec/artifacts.ts';
import type { ChangesSpec } from '../spec/pipeline.ts';
import { defineStep } from '../store/step.ts';
import { deletesSql } from './change-rows.ts';
import { identifier, literal, withDuckDb } from './duckdb.ts';
import { joinQuarantine, tableStatistics } from './partition-files.ts';
import { unionColumns } from './snapshot-columns.ts';
import { partitionsSql } from './snapshot-sql.ts';

export interface FoldChangesInput {
  source: string;
  partitions: Partition[];
  changes: ChangesSpec;
}

/**
 * Folds change rows, which lie in any file and any order, into the history of each entity: a row counts from when it was known
 * until a row of a higher version was, and a delete is only the end of the row before.
 *
 *   version 1 insert, known 10:00   → counts 10:00 to 11:00
 *   version 3 delete, known 12:00   → no row
 *   version 2 update, known 11:00   → counts 11:00 to 12:00; had it come after 12:00, it never would have counted
 *
 * A row that comes twice is a row of the same version and changes nothing. Rows that break the contract neither count nor end others.
 */
export const foldChanges = defineStep<FoldChangesInput, Partition>({
  name: 'fold-changes',
  version: 1,
  natives: ['duckdb'],
  source: import.meta.url,
  async run({ source, changes, ...input }, context) {
    const { blobs, scratch, signal } = context;
    const partitions = [...input.partitions].sort((a, b) => (a.name < b.name ? -1 : 1));
    const columns = unionColumns(source, partitions);
    const known = [...new Set(['__known_0', ...columns.flatMap((column) => column.known)])].sort();
    const paths = await Promise.all(partitions.map(({ data }) => blobs.path(data)));
    const data = path.join(scratch, 'data.parquet');
    const folded = await withDuckDb({ scratch, signal, threads: 1 }, async (db) => {
      const names = [...columns.map(({ name }) => identifier(name)), ...known, '__event_at', '__bad_known_at'];
      await db.run(`COPY (${foldSql({ from: partitionsSql(paths), names, known, changes, ends: partitions.some(({ ends }) => ends) })})
        TO ${literal(data)} (FORMAT parquet, COMPRESSION zstd)`);
      return { data: await blobs.putFile(data), ...(await tableStatistics(db, data, known)) };
    });
    const quarantine = await joinQuarantine(partitions, context);
    context.progress({ source, rows: folded.rows });
    const rules = partitions.flatMap((partition) => partition.rules);
    return {
      ...{ name: `${source} (changes folded)`, columns, rules, ends: true },
      ...folded,
      ...(quarantine ? { quarantine } : {}),
    };
  },
});

interface FoldSql {
  from: string;
  names: string[];
  known: string[];
  changes: ChangesSpec;
  ends: boolean;
}

function foldSql({ from, names, known, changes, ends }: FoldSql): string {
  const key = changes.key.map(identifier).join(', ');
  const version = identifier(changes.version ?? changes.time ?? '__known_0');
  const time = changes.time === undefined ? '__known_0' : `coalesce(${identifier(changes.time)}, __known_0)`;
  const gone = ends ? `coalesce(__gone_at, 'infinity')` : `'infinity'::TIMESTAMP`;
  // A delete seldom repeats what the known-at of its row is computed from.
  const counts = `CASE WHEN __deletes AND NOT isfinite(__known_0) THEN ${time} ELSE __known_0 END`;
  return `WITH changes AS (
      SELECT ${names.join(', ')}, ${gone} AS __gone_at, ${deletesSql(changes)} AS __deletes FROM ${from}
    ), entered AS (SELECT *, ${counts} AS __counts FROM changes WHERE __bad_known_at = 'infinity'
    ), folded AS (
      SELECT * REPLACE (least(__gone_at, coalesce(min(__counts) OVER (PARTITION BY ${key}
        ORDER BY ${version} NULLS FIRST, __counts, __deletes, __event_at, ${known.join(', ')}
        ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING), 'infinity')) AS __gone_at) FROM entered)
    SELECT ${names.join(', ')}, __gone_at FROM folded
      WHERE NOT __deletes AND (NOT isfinite(__gone_at) OR __known_0 < __gone_at)
    UNION ALL SELECT ${names.join(', ')}, __gone_at FROM changes WHERE __bad_known_at < 'infinity'
    ORDER BY ALL`;
}
