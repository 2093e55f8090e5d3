import type { ColumnInfo } from '../spec/artifacts.ts';
import type { ContractRule } from './contract.ts';
import { identifier } from './duckdb.ts';
import { knownAtSql } from './snapshot-sql.ts';
import type { SourceFileTable } from './source-file.ts';

/**
 * Which rows are rejected, and since when that could be known: a value that becomes known only after some time must not
 * reject its row before, and one that is never known never.
 */

/** A contract's rule, with SQL over `judged` for when its being broken was known; 'infinity' = never. */
export interface JudgedRule extends ContractRule {
  knownSql: string;
}

/** Creates `judged`: `timed` with `__rule_<i>` for every rule and `__bad_known_at`. @returns the rules, `x-unique` included */
export async function judge(table: SourceFileTable): Promise<JudgedRule[]> {
  const { contract, columns, rules, read } = table;
  const { unique } = contract;
  const repeated: ContractRule[] = unique
    ? [{ rule: uniqueRuleText(unique), column: null, columns: unique, brokenSql: '', schema: {} }]
    : [];
  const all = [...rules, ...repeated].map((rule) => ({ ...rule, knownSql: brokenKnownAt(rule, table) }));
  await read(async (db) => {
    // No sort: on one thread the rows stay in the file's order.
    await db.run('CREATE TEMP TABLE times AS SELECT * FROM timed');
    await db.run(`CREATE TEMP VIEW noticed AS SELECT * REPLACE (${NOTICED} AS __noticed) FROM times`);
    if (unique) await db.run(`CREATE TEMP TABLE repeats AS ${repeatsSql(unique, all.slice(0, rules.length), columns)}`);
    const repeats = unique ? `, __row IN (SELECT __row FROM repeats) AS __rule_${rules.length}` : '';
    await db.run(`CREATE TEMP VIEW judged AS
      SELECT *, ${badKnownAt(all)} AS __bad_known_at FROM (SELECT *${repeats} FROM noticed)`);
  });
  return all;
}

export function uniqueRuleText(unique: string[]): string {
  return `unique (${unique.join(', ')})`;
}

/**
 * Rows whose key another row of the file had first, judged when the key was known: neither of the two was known to be broken
 * by then. What is found out later about either must not say who came first. A row with a NULL in the key repeats none.
 */
function repeatsSql(unique: string[], rules: JudgedRule[], columns: ColumnInfo[]): string {
  const key = unique.map(identifier);
  const present = key.map((column) => `${column} IS NOT NULL`).join(' AND ');
  return `SELECT __row FROM (
      SELECT __row, known, bad, max(bad) OVER (PARTITION BY ${key.map((_, i) => `key_${i}`).join(', ')}
        ORDER BY known, __row ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS first
      FROM (SELECT __row, ${key.map((column, i) => `${column} AS key_${i}`).join(', ')},
        ${knownAtSql(columns, unique)} AS known, ${badKnownAt(rules)} AS bad FROM noticed WHERE ${present}))
    WHERE bad > known AND first > known`;
}

/**
 * When a broken row is noticed whose broken value has no known-at (it is missing, say): when the row is known and its event
 * is past, since a value still to come must not reject a row beforehand. A row without even that: when it was recorded,
 * else when the newest row of its file was known.
 */
const NOTICED = `CASE WHEN __known_0 < 'infinity' THEN greatest(__known_0, nullif(__event_at, 'infinity'))
  ELSE coalesce(nullif(__noticed, 'infinity'),
    (SELECT max(__known_0) FROM times WHERE __known_0 < 'infinity'), '-infinity'::TIMESTAMP) END`;

/** Earliest time at which a broken value of the row was known; 'infinity' for a good row. */
function badKnownAt(rules: JudgedRule[]): string {
  const times = rules.map(({ knownSql }, i) => `CASE WHEN __rule_${i} THEN ${knownSql} END`);
  return `coalesce(${times.length > 0 ? `least(${times.join(', ')})` : 'NULL'}, 'infinity'::TIMESTAMP)`;
}

/**
 * When the value that breaks the rule was known. A value that is missing, or so wrong that its own time cannot be told, is
 * noticed with its row; any other that has no time is never known.
 */
function brokenKnownAt(rule: ContractRule, { columns, dropped, rawPii, timedBy }: SourceFileTable): string {
  const all = [...columns, ...dropped];
  const known = knownAtSql(all, rule.columns);
  const absent = (name: string) => `${rawPii.get(name) ?? identifier(name)} IS NULL`;
  const own = rule.columns.some((name) =>
    all.find((column) => column.name === name)?.known.some((group) => timedBy.get(group)?.has(name)),
  );
  const missing = rule.wrongType ? String(own) : rule.columns.map(absent).join(' OR ');
  return `CASE WHEN ${known} < 'infinity' THEN ${known} WHEN ${missing} THEN __noticed ELSE 'infinity'::TIMESTAMP END`;
}
