import path from 'node:path';
import type { Partition, RuleCount } from '../spec/artifacts.ts';
import { defineStep, type Step, type StepContext } from '../store/step.ts';
import { type DuckDb, identifier, literal } from './duckdb.ts';
import { type JudgedRule, judge } from './judgement.ts';
import { type ExtractInput, type SourceFileTable, withSourceFile } from './source-file.ts';
import type { SourceOrigin } from './source-files.ts';
import { isoSql } from './time-sql.ts';

export { type ExtractInput, type ExtractSlice, extractInput, extractSlice } from './source-file.ts';

/**
 * Reads one file, checks every row against the contract, derives columns and known-at times; independent of any asOf.
 * All rows are kept, in the file's order; the rejected ones lie in `quarantine` besides, as they were read.
 */
export function createExtractPartition(origin: SourceOrigin): Step<ExtractInput, Partition> {
  return defineStep<ExtractInput, Partition>({
    name: 'extract-partition',
    version: 6,
    natives: ['duckdb'],
    source: import.meta.url,
    run: async (input, context) => {
      const partition = await withSourceFile(origin, input, context, async (table) => {
        const rules = await judge(table);
        return write(table, rules, context, input);
      });
      context.progress({
        source: input.source,
        file: input.file.name,
        rows: partition.rows,
        badRows: partition.badRows,
      });
      return partition;
    },
  });
}

async function write(
  { db, columns, quarantined, contract, read }: SourceFileTable,
  rules: JudgedRule[],
  context: StepContext,
  { file, spec }: ExtractInput,
): Promise<Partition> {
  const known = [...new Set(['__known_0', ...columns.flatMap((column) => column.known)])].sort();
  const all = [...columns.map((column) => identifier(column.name)), ...known, '__event_at', '__bad_known_at'];
  const data = path.join(context.scratch, 'data.parquet');
  await copyOut(db, `SELECT ${all.join(', ')} FROM judged`, data);
  const { badRows, rows, ...times } = await statistics(db, known, spec.changes?.time);
  const named = { name: file.name, raw: file.sha256, data: await context.blobs.putFile(data) };
  const own = { ...named, columns, rows, badRows };
  if (badRows === 0) return { ...own, rules: [], ...times };
  const quarantine = path.join(context.scratch, 'quarantine.parquet');
  const personal = contract.pii.map(({ column }) => column).filter((name) => columns.some((one) => one.name === name));
  await read(() => copyOut(db, quarantineSql(quarantined, rules, personal), quarantine));
  const counts = await countRules(db, rules, quarantine);
  return { ...own, rules: counts, ...times, quarantine: await context.blobs.putFile(quarantine) };
}

async function copyOut(db: DuckDb, sql: string, file: string): Promise<void> {
  await db.run(`COPY (${sql}) TO ${literal(file)} (FORMAT parquet, COMPRESSION zstd)`);
}

/**
 * Rejected rows as read (personal data treated), each with its place in the file from 1, the rules it broke and, in the same
 * order, when that was known.
 */
function quarantineSql(quarantined: string, rules: JudgedRule[], personal: string[]): string {
  const texts = rules.map(({ rule, flagSql }) => `CASE WHEN ${flagSql} THEN ${literal(rule)} END`);
  const times = rules.map(({ flagSql, knownSql }) => `CASE WHEN ${flagSql} THEN ${knownSql} END`);
  const present = (items: string[]) => `list_filter([${items.join(', ')}], lambda item: item IS NOT NULL)`;
  const own = ['__row', '__bad_known_at', '__flags', `${present(texts)} AS __rules`, ...personal.map(identifier)];
  const shown = [quarantined, 'raw.__row', '__rules', '__rule_known_at', '__bad_known_at'].filter(
    (item) => item !== '',
  );
  return `SELECT ${shown.join(', ')} FROM raw JOIN (
    SELECT ${own.join(', ')}, ${present(times)} AS __rule_known_at
    FROM judged WHERE __bad_known_at < 'infinity') bad ON raw.__row = bad.__row ORDER BY raw.__row`;
}

type Statistics = Pick<Partition, 'rows' | 'badRows' | 'eventRange' | 'knownFrom' | 'newestChange'>;

/** `changed`: the column of change data that says when a row was made. */
async function statistics(db: DuckDb, known: string[], changed: string | undefined): Promise<Statistics> {
  const good = `FILTER (WHERE __bad_known_at = 'infinity')`;
  const [row = {}] = await db.rows(
    `SELECT ${[
      'count(*)::DOUBLE AS rows',
      `count(*) FILTER (WHERE __bad_known_at < 'infinity')::DOUBLE AS bad`,
      `${isoSql(`min(__event_at) ${good}`)} AS oldest`,
      `${isoSql(`max(__event_at) ${good}`)} AS newest`,
      `${isoSql(`min(least(${known.join(', ')})) ${good}`)} AS known_from`,
      `${changed === undefined ? 'NULL' : isoSql(`max(${identifier(changed)}) ${good}`)} AS newest_change`,
    ].join(', ')} FROM judged`,
  );
  return {
    rows: Number(row.rows),
    badRows: Number(row.bad),
    ...(row.oldest && row.newest ? { eventRange: { oldest: String(row.oldest), newest: String(row.newest) } } : {}),
    ...(row.known_from ? { knownFrom: String(row.known_from) } : {}),
    ...(row.newest_change ? { newestChange: String(row.newest_change) } : {}),
  };
}

/** What the quarantine says, rule by rule. */
async function countRules(db: DuckDb, rules: JudgedRule[], quarantine: string): Promise<RuleCount[]> {
  const counted = await db.rows<{ rule: string; n: number }>(`SELECT rule, count(*)::DOUBLE AS n
    FROM (SELECT unnest(__rules) AS rule, unnest(__rule_known_at) AS known FROM read_parquet(${literal(quarantine)}))
    WHERE known < 'infinity' GROUP BY rule`);
  const counts = new Map(counted.map(({ rule, n }) => [rule, n]));
  return rules.flatMap(({ rule, column }) => {
    const count = counts.get(rule);
    return count === undefined ? [] : [{ rule, column, count }];
  });
}
