import path from 'node:path';
import type { ColumnInfo, Partition } from '../spec/artifacts.ts';
import { defineStep, type StepContext } from '../store/step.ts';
import { type DuckDb, identifier, literal, withDuckDb } from './duckdb.ts';
import { foldedOf, joinQuarantine, tableStatistics } from './partition-files.ts';
import { timestampLiteral } from './time-sql.ts';

/** A version of a partition, and since when it was there. */
export interface PartitionVersion {
  partition: Partition;
  /** When a run first saw it, ISO UTC. */
  seenAt: string;
  /**
   * End of the version before: its newest event or change, or when it was seen where that is earlier. What happened or became known later
   * is new data, not a correction.
   */
  since: string;
}

export interface FoldVersionsInput {
  source: string;
  /** Oldest first, at least two. */
  versions: PartitionVersion[];
  /** Columns that name a row; null: a row is named by all its values. */
  unique: string[] | null;
  /** Column that says when a row was recorded. */
  recordedAt?: string;
  /** Change data: column that says when a row was made, in place of when it happened. */
  madeAt?: string;
}

/**
 * Folds the versions of a partition that was corrected into one that tells what was known when.
 *
 *   first version   id 1, amount 10          → known as declared, until the correction was seen (`__gone_at`)
 *   second version  id 1, amount 12          → known from when it was seen, or from its own `recordedAt`
 *                   id 2, an old event       → came late: known from when it was seen
 *                   id 3, after the old end  → new data: known as declared
 *
 * Rows that are the same in both keep their first times. A value that was not known at the end of the old version and is there now
 * has been learned meanwhile, as declared; no correction.
 */
export const foldVersions = defineStep<FoldVersionsInput, Partition>({
  name: 'fold-versions',
  version: 3,
  natives: ['duckdb'],
  source: import.meta.url,
  async run(input, context) {
    const partitions = input.versions.map(({ partition }) => partition);
    const newest = partitions.at(-1) as Partition;
    const folded = await withDuckDb({ scratch: context.scratch, signal: context.signal, threads: 1 }, async (db) => {
      const fold = await openFold(db, input, newest, context);
      for (const [index, version] of input.versions.entries()) {
        if (index > 0) await foldOne(db, fold, version, await context.blobs.path(version.partition.data));
        context.progress({ source: input.source, file: newest.name, version: index + 1 });
      }
      const data = path.join(context.scratch, 'data.parquet');
      const columns = [
        ...fold.columns.map(({ name }) => identifier(name)),
        ...fold.known,
        '__event_at',
        '__bad_known_at',
      ];
      // What ended before anything of it was known never was.
      const was = `NOT isfinite(__gone_at) OR least(${fold.known.join(', ')}) < __gone_at`;
      await db.run(`COPY (SELECT ${columns.join(', ')}, __gone_at FROM history WHERE ${was} ORDER BY
        __gone_at DESC, __version, __position) TO ${literal(data)} (FORMAT parquet, COMPRESSION zstd)`);
      return { data: await context.blobs.putFile(data), ...(await tableStatistics(db, data, fold.known)) };
    });
    const quarantine = await foldQuarantine(input.versions, context);
    return {
      ...{ name: newest.name, folded: foldedOf(partitions), columns: newest.columns, rules: newest.rules, ends: true },
      ...folded,
      ...(quarantine ? { quarantine } : {}),
    };
  },
});

interface Fold {
  columns: ColumnInfo[];
  known: string[];
  /** SQL over a version's columns that names a row. */
  key: string;
  recordedAt: string | undefined;
  /** SQL over a new row: when it happened, or was made. */
  event: string;
}

/** Creates `history` from the first version, in the shape of the newest. */
async function openFold(
  db: DuckDb,
  input: FoldVersionsInput,
  newest: Partition,
  { blobs }: StepContext,
): Promise<Fold> {
  const { columns } = newest;
  const known = [...new Set(['__known_0', ...columns.flatMap((column) => column.known)])].sort();
  const has = (name: string) => columns.some((column) => column.name === name);
  const named = input.unique?.every(has) ? input.unique : columns.map(({ name }) => name);
  const key = `to_json(struct_pack(${named.map((name, i) => `k${i} := ${identifier(name)}`).join(', ')}))`;
  const recordedAt = input.recordedAt !== undefined && has(input.recordedAt) ? input.recordedAt : undefined;
  const { madeAt } = input;
  const event =
    madeAt !== undefined && has(madeAt) ? `coalesce(n.${identifier(madeAt)}, n.__event_at)` : 'n.__event_at';
  const fold: Fold = { columns, known, key, recordedAt, event };
  const first = input.versions[0] as PartitionVersion;
  await readVersion(db, 'history', fold, await blobs.path(first.partition.data));
  await db.run(`ALTER TABLE history ADD COLUMN __gone_at TIMESTAMP DEFAULT 'infinity'`);
  await db.run('ALTER TABLE history ADD COLUMN __version INTEGER DEFAULT 0');
  return fold;
}

/** A version as a table with `__key` (equal rows of one version numbered) and `__position`. */
async function readVersion(db: DuckDb, table: string, { columns, known, key }: Fold, file: string): Promise<void> {
  const source = `read_parquet(${literal(file)}, file_row_number = true, hive_partitioning = false)`;
  const present = await db.rows<{ column_name: string }>(`DESCRIBE SELECT * FROM ${source}`);
  const has = new Set(present.map(({ column_name }) => column_name));
  // A column that an older version did not have yet, or had with a narrower type.
  const values = columns.map(({ name, type }) =>
    has.has(name)
      ? `try_cast(${identifier(name)} AS ${type}) AS ${identifier(name)}`
      : `NULL::${type} AS ${identifier(name)}`,
  );
  const times = known.map((name) => (has.has(name) ? name : `__known_0 AS ${name}`));
  await db.run(`CREATE OR REPLACE TEMP TABLE ${table} AS
    SELECT *, ${key} || ' ' || row_number() OVER (PARTITION BY ${key} ORDER BY __position) AS __key FROM (
      SELECT ${[...values, ...times].join(', ')}, __event_at, __bad_known_at, file_row_number AS __position FROM ${source})`);
}

async function foldOne(db: DuckDb, fold: Fold, { seenAt, since }: PartitionVersion, file: string): Promise<void> {
  await readVersion(db, 'incoming', fold, file);
  const { columns, known } = fold;
  const seen = timestampLiteral(seenAt);
  const end = timestampLiteral(since);
  const knownOf = (row: string, { known: groups }: ColumnInfo) =>
    groups.length === 1 ? `${row}.${groups[0]}` : `greatest(${groups.map((group) => `${row}.${group}`).join(', ')})`;
  const differs = (column: ColumnInfo) => `n.${identifier(column.name)} IS DISTINCT FROM o.${identifier(column.name)}`;
  // Unknown at the end of the version before, and learned since.
  const learned = (column: ColumnInfo) => `${knownOf('n', column)} > ${end} AND ${knownOf('o', column)} > ${end}`;
  const changed = columns.map(differs).join(' OR ');
  const contradicts = columns.map((column) => `(${differs(column)} AND NOT (${learned(column)}))`).join(' OR ');
  await db.run(`CREATE OR REPLACE TEMP TABLE compared AS SELECT n.__key, o.__key IS NULL AS added,
      coalesce(${changed}, false) AS changed, o.__key IS NOT NULL AND (${contradicts}) AS contradicts,
      ${recorded(fold, seen)} AS recorded
    FROM incoming n LEFT JOIN (SELECT * FROM history WHERE __gone_at = 'infinity') o ON n.__key = o.__key`);
  const from = (name: string) => `CASE
      WHEN c.added AND (${fold.event} > ${end} OR c.recorded <> ${seen}) THEN n.${name}
      WHEN c.added AND n.${name} <= ${end} THEN greatest(n.${name}, ${seen})
      WHEN c.contradicts THEN greatest(n.${name}, c.recorded)
      WHEN NOT c.added AND (n.${name} <= ${end} OR NOT c.changed) AND isfinite(o.${name}) THEN o.${name}
      ELSE n.${name} END`;
  // Where nothing says when values were known, a bad one is bad since -infinity.
  const bad = `CASE WHEN n.__bad_known_at < 'infinity' AND (c.added OR c.contradicts)
    THEN greatest(n.__bad_known_at, least(${known.map(from).join(', ')})) ELSE n.__bad_known_at END`;
  await db.run(`CREATE OR REPLACE TEMP TABLE latest AS
    SELECT n.* REPLACE (${[...known.map((name) => `${from(name)} AS ${name}`), `${bad} AS __bad_known_at`].join(', ')}),
      'infinity'::TIMESTAMP AS __gone_at, 0 AS __version
    FROM incoming n JOIN compared c USING (__key)
      LEFT JOIN (SELECT * FROM history WHERE __gone_at = 'infinity') o ON n.__key = o.__key`);
  // What is no longer so ends; all else is as the new version has it.
  await db.run(`CREATE OR REPLACE TEMP TABLE history AS
    SELECT * FROM latest UNION ALL BY NAME
    SELECT h.* REPLACE (h.__version + 1 AS __version, CASE WHEN isfinite(h.__gone_at) THEN h.__gone_at
        WHEN c.contradicts THEN c.recorded ELSE ${seen} END AS __gone_at)
    FROM history h LEFT JOIN compared c ON h.__key = c.__key
    WHERE isfinite(h.__gone_at) OR c.__key IS NULL OR c.contradicts`);
}

/** When a correction counts from: its own record of that where it brings a new one. */
function recorded({ recordedAt }: Fold, seen: string): string {
  if (recordedAt === undefined) return seen;
  const column = identifier(recordedAt);
  return `CASE WHEN isfinite(n.${column}) AND n.${column} IS DISTINCT FROM o.${column} THEN n.${column} ELSE ${seen} END`;
}

/** The rejected rows of each version count while it was the newest. */
function foldQuarantine(versions: PartitionVersion[], context: StepContext): Promise<Partition['quarantine']> {
  const partitions = versions.map(({ partition }) => partition);
  return joinQuarantine(partitions, context, (file, index) => {
    const next = versions[index + 1];
    const gone = next ? timestampLiteral(next.seenAt) : `'infinity'::TIMESTAMP`;
    const seen = timestampLiteral(versions[index]?.seenAt ?? '');
    const from = (time: string) => (index === 0 ? time : `greatest(${time}, ${seen})`);
    return `SELECT * REPLACE (list_transform(__rule_known_at, lambda known: ${from('known')}) AS __rule_known_at,
      ${from('__bad_known_at')} AS __bad_known_at, ${gone} AS __gone_at) FROM ${file}`;
  });
}
