import path from 'node:path';
import type { Partition } from '../spec/artifacts.ts';
import type { ChangesSpec } from '../spec/pipeline.ts';
import { defineStep } from '../store/step.ts';
import { deletesSql } from './change-rows.ts';
import { identifier, literal, withDuckDb } from './duckdb.ts';
import { makeStretches } from './fold-stretches.ts';
import { foldedOf, joinQuarantine, tableStatistics } from './partition-files.ts';
import { unionColumns } from './snapshot-columns.ts';
import { partitionsSql } from './snapshot-sql.ts';

export interface FoldChangesInput {
  source: string;
  partitions: Partition[];
  changes: ChangesSpec;
  /** Rows that were known by then to break the contract are rejected (see `lastRejection`); absent where none was. */
  rejectedBy?: string;
}

/**
 * Folds change rows, which lie in any file and any order, into the history of each entity: a row counts from when it was known
 * until a row of a higher version was, and a delete is only the end of the row before.
 *
 *   version 1 insert, known 10:00   → counts 10:00 to 11:00
 *   version 3 delete, known 12:00   → no row
 *   version 2 update, known 11:00   → counts 11:00 to 12:00; had it come after 12:00, it never would have counted
 *
 * A row that comes twice is a row of the same version and changes nothing. Rows that were known by `rejectedBy` to break the contract neither
 * count nor end others, at any time, as in any other source; for a run as of an earlier date they are rows like all. A row that the
 * correction of its file took away counts until then, and what it had ended is back:
 *
 *   version 4 insert, known 13:00                             → counts 13:00 to 14:00, and again from 14:30
 *   version 5 delete, known 14:00, not in the file since 14:30
 */
export const foldChanges = defineStep<FoldChangesInput, Partition>({
  name: 'fold-changes',
  version: 3,
  natives: ['duckdb'],
  source: import.meta.url,
  async run({ source, changes, rejectedBy, ...input }, context) {
    const { blobs, scratch, signal } = context;
    const partitions = [...input.partitions].sort((a, b) => (a.name < b.name ? -1 : 1));
    const columns = unionColumns(source, partitions);
    const known = [...new Set(['__known_0', ...columns.flatMap((column) => column.known)])].sort();
    const paths = await Promise.all(partitions.map(({ data }) => blobs.path(data)));
    const data = path.join(scratch, 'data.parquet');
    const folded = await withDuckDb({ scratch, signal, threads: 1 }, async (db) => {
      const names = columns.map(({ name }) => identifier(name));
      const bad = rejectedBy === undefined ? 'false' : `__bad_known_at <= TIMESTAMP ${literal(rejectedBy)}`;
      const ends = partitions.some((one) => one.ends);
      const [tables, history] = foldSql({ from: partitionsSql(paths), names, known, changes, ends, bad });
      for (const sql of tables) await db.run(sql);
      await makeStretches(db, changes.key.map(identifier));
      await db.run(history);
      await db.run(`COPY (SELECT * FROM history ORDER BY ALL) TO ${literal(data)} (FORMAT parquet, COMPRESSION zstd)`);
      return { data: await blobs.putFile(data), ...(await tableStatistics(db, data, known)) };
    });
    const quarantine = await joinQuarantine(partitions, context);
    context.progress({ source, rows: folded.rows });
    const rules = partitions.flatMap((partition) => partition.rules);
    return {
      ...{ name: `${source} (changes folded)`, folded: foldedOf(partitions), columns, rules, ends: true },
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
  /** SQL: the row is rejected. */
  bad: string;
}

/**
 * Statements that make `entered`, which the stretches are made of, and the one that then makes `history`: the rows with their
 * `__gone_at`, those that were rejected included.
 */
function foldSql({ from, names, known, changes, ends, bad }: FoldSql): [tables: string[], history: string] {
  const key = changes.key.map(identifier);
  const version = identifier(changes.version ?? changes.time ?? '__known_0');
  const time = changes.time === undefined ? '__known_0' : `coalesce(${identifier(changes.time)}, __known_0)`;
  // A delete seldom repeats what the known-at of its row is computed from.
  const counts = `CASE WHEN __deletes AND NOT isfinite(__known_0) THEN ${time} ELSE __known_0 END`;
  const gone = ends ? `coalesce(__gone_at, 'infinity')` : `'infinity'::TIMESTAMP`;
  const entity = `PARTITION BY ${key.join(', ')}`;
  const later = (one: string) => `CASE WHEN __from > __counts THEN greatest(${one}, __from) ELSE ${one} END AS ${one}`;
  const whole = [...names, ...known, '__event_at', '__bad_known_at'].join(', ');
  const moved = [...names, ...known.map(later), '__event_at', '__bad_known_at'].join(', ');
  const tables = [
    `CREATE TEMP TABLE changes AS SELECT *, ${counts} AS __counts, ${bad} AS __rejected
      FROM (SELECT ${whole}, ${gone} AS __gone_at, ${deletesSql(changes)} AS __deletes FROM ${from})`,
    // Each until a row of a higher version counts for good. __mixed: some rows of the entity were taken away again.
    `CREATE TEMP TABLE entered AS SELECT *, row_number() OVER () AS __row,
        least(__gone_at, coalesce(min(__counts) FILTER (WHERE __gone_at = 'infinity') OVER (${entity}
          ORDER BY __rank ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING), 'infinity')) AS __end,
        bool_or(__gone_at < 'infinity') OVER (${entity}) AS __mixed
      FROM (SELECT *, row_number() OVER (${entity}
          ORDER BY ${version} NULLS FIRST, __counts, __deletes, __event_at, ${known.join(', ')}) AS __rank
        FROM changes WHERE NOT __rejected AND (__gone_at = 'infinity' OR __counts < __gone_at))`,
  ];
  const history = `CREATE TEMP VIEW history AS
      SELECT ${whole}, __end AS __gone_at FROM entered
        WHERE NOT __mixed AND NOT __deletes AND (__end = 'infinity' OR __known_0 < __end)
      UNION ALL SELECT ${moved}, __to FROM entered JOIN stretches USING (__row)
      UNION ALL SELECT ${whole}, __gone_at FROM changes WHERE __rejected`;
  return [tables, history];
}
