import type { ColumnInfo } from '../spec/artifacts.ts';
import type { ContractRule } from './contract.ts';
import { identifier } from './duckdb.ts';
import { knownAtSql } from './snapshot-sql.ts';
import type { SourceFileTable } from './source-file.ts';

/**
 * Which rows are rejected, and since when that could be known: a value that becomes known only after some time must not
 * reject its row before.
 */

/** Creates `judged`: `timed` with `__rule_<i>` for every rule and `__bad_known_at`. @returns the rules, `x-unique` included */
export async function judge({ contract, columns, rules, read }: SourceFileTable): Promise<ContractRule[]> {
  const { unique } = contract;
  const all = unique
    ? [...rules, { rule: uniqueRuleText(unique), column: null, columns: unique, brokenSql: '' }]
    : rules;
  await read(async (db) => {
    const repeats = unique ? `, __row IN (SELECT __row FROM repeats) AS __rule_${rules.length}` : '';
    if (unique) await db.run(`CREATE TEMP TABLE repeats AS ${repeatsSql(unique, columns)}`);
    // No sort: on one thread the rows stay in the file's order.
    await db.run(`CREATE TEMP TABLE times AS SELECT *${repeats} FROM timed`);
    await db.run(`CREATE TEMP VIEW judged AS SELECT *, ${badKnownAt(all, columns)} AS __bad_known_at
      FROM (SELECT * REPLACE (${NOTICED} AS __noticed) FROM times)`);
  });
  return all;
}

export function uniqueRuleText(unique: string[]): string {
  return `unique (${unique.join(', ')})`;
}

/** Good rows whose key an earlier-known good row of the file has; rows with a NULL in the key have none. */
function repeatsSql(unique: string[], columns: ColumnInfo[]): string {
  const key = unique.map(identifier);
  const present = key.map((column) => `${column} IS NOT NULL`).join(' AND ');
  return `SELECT __row FROM timed WHERE NOT __broken AND ${present}
    QUALIFY row_number() OVER (PARTITION BY ${key.join(', ')} ORDER BY ${knownAtSql(columns, unique)}, __row) > 1`;
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
function badKnownAt(rules: ContractRule[], columns: ColumnInfo[]): string {
  const times = rules.map((rule, i) => `CASE WHEN __rule_${i} THEN ${brokenKnownAt(rule, columns)} END`);
  return `coalesce(${times.length > 0 ? `least(${times.join(', ')})` : 'NULL'}, 'infinity'::TIMESTAMP)`;
}

/** When the value that breaks the rule was known. */
export function brokenKnownAt(rule: ContractRule, columns: ColumnInfo[]): string {
  const known = knownAtSql(columns, rule.columns);
  return `CASE WHEN ${known} < 'infinity' THEN ${known} ELSE __noticed END`;
}
