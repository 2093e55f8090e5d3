import path from 'node:path';
import type { Partition, RuleSample } from '../spec/artifacts.ts';
import { type DuckDb, identifier, literal } from './duckdb.ts';
import { aliveSql } from './snapshot-sql.ts';

/** A few rows for each broken rule, small enough to stand in a report. */

export const MOST_SAMPLES = 3;
/** Columns shown of a row: those of the rule, those that name the row, then the first of the file. */
const MOST_COLUMNS = 8;
const LONGEST_TEXT = 80;
/** Quarantines that are opened for samples, the worst first. */
const MOST_FILES = 12;

export interface SampledRule {
  rule: string;
  columns: string[];
}

interface Request {
  /** Local files of quarantines by partition. */
  files: { partition: Partition; file: string }[];
  /** Broken rules. */
  rules: SampledRule[];
  /** Columns that name a row. */
  key: string[];
  /** SQL. */
  asOf: string;
}

/** Rule → rows that broke it, as far as that was known by asOf. */
export async function sampleRows(db: DuckDb, { files, rules, key, asOf }: Request): Promise<Map<string, RuleSample[]>> {
  const found = new Map<string, RuleSample[]>(rules.map(({ rule }) => [rule, []]));
  const worst = files.toSorted((a, b) => b.partition.badRows - a.partition.badRows).slice(0, MOST_FILES);
  for (const { partition, file } of worst) {
    const open = rules.filter(({ rule }) => (found.get(rule)?.length ?? 0) < MOST_SAMPLES);
    if (open.length === 0) break;
    const wanted = open.map(({ rule }) => literal(rule)).join(', ');
    // One file at a time: what was read may be of another type in each.
    const rows = await db.rows<Record<string, string | null>>(`SELECT __rule, __row::VARCHAR AS __row,
        COLUMNS(lambda name: NOT starts_with(name, '__'))::VARCHAR
      FROM (SELECT *, unnest(__rules) AS __rule, unnest(__rule_known_at) AS __rule_known
        FROM ${aliveSql([file], partition.ends, asOf)})
      WHERE __rule_known <= ${asOf} AND __rule IN (${wanted})
      QUALIFY row_number() OVER (PARTITION BY __rule ORDER BY __row) <= ${MOST_SAMPLES} ORDER BY __rule, __row`);
    for (const { __rule, __row, ...values } of rows) {
      const own = found.get(String(__rule)) ?? [];
      const columns = open.find(({ rule }) => rule === __rule)?.columns ?? [];
      if (own.length < MOST_SAMPLES)
        own.push({ partition: partition.name, row: Number(__row), values: shown(values, columns, key) });
    }
  }
  return found;
}

/** At most so many columns, long texts cut. */
function shown(values: Record<string, string | null>, columns: string[], key: string[]): RuleSample['values'] {
  const all = Object.keys(values);
  const chosen = new Set([...columns, ...key].filter((name) => all.includes(name)));
  for (const name of all) if (chosen.size < MOST_COLUMNS) chosen.add(name);
  return Object.fromEntries([...chosen].slice(0, MOST_COLUMNS).map((name) => [name, cut(values[name] ?? null)]));
}

function cut(text: string | null): string | null {
  if (text === null || text.length <= LONGEST_TEXT) return text;
  return `${[...text.slice(0, LONGEST_TEXT)].slice(0, -1).join('')}…`;
}

export interface NumberedData {
  /** Relation with the partitions' columns, `__file` (place in the list) and `__place` (from 1 in the file). */
  sql: string;
  /** Names of the partitions, by `__file` from 1. */
  names: string[];
}

/** The partitions as one relation whose rows know where they stand; those that had ended by asOf (SQL) are left out. */
export function numberedData(partitions: readonly Partition[], paths: string[], asOf: string): NumberedData {
  const list = `[${paths.map(literal).join(', ')}]`;
  const alive = partitions.some(({ ends }) => ends) ? ` WHERE coalesce(__gone_at, 'infinity') > ${asOf}` : '';
  const sql = `(SELECT * EXCLUDE (__filename, file_row_number), list_position(${list}, __filename) AS __file, file_row_number + 1 AS __place
    FROM read_parquet(${list}, union_by_name = true, hive_partitioning = false, filename = '__filename', file_row_number = true)${alive})`;
  return { sql, names: partitions.map(({ name }) => name) };
}

/** The first rows of a query over `numberedData`. */
export async function samplesOf(
  db: DuckDb,
  { names }: NumberedData,
  sql: string,
  columns: string[],
  key: string[],
): Promise<RuleSample[]> {
  const chosen = [...new Set([...columns, ...key])].slice(0, MOST_COLUMNS);
  const values = chosen.map((name) => `${identifier(name)}::VARCHAR AS ${identifier(name)}`);
  const rows = await db.rows<Record<string, string | number | null>>(
    `SELECT __file::INTEGER AS __file, __place::DOUBLE AS __place, ${values.join(', ')} FROM (${sql}) ORDER BY __file, __place LIMIT ${MOST_SAMPLES}`,
  );
  return rows.map(({ __file, __place, ...own }) => ({
    partition: names[Number(__file) - 1] ?? path.sep,
    row: Number(__place),
    values: shown(own as Record<string, string | null>, columns, key),
  }));
}
