import { ruleSql } from './checked-table.ts';
import type { ContractRule } from './contract.ts';
import { identifier } from './duckdb.ts';
import { knownAtSql } from './snapshot-sql.ts';
import type { SourceFileTable } from './source-file.ts';

/**
 * Which rows are rejected, and since when that could be known: a value that becomes known only after some time must not
 * reject its row before, and one that is never known never.
 */

/** A contract's rule with SQL over `judged`. */
export interface JudgedRule extends ContractRule {
  /** Whether the row breaks it. */
  flagSql: string;
  /** When that was known; 'infinity' = never. */
  knownSql: string;
}

/** Creates the table `judged`: `timed` with `__repeats` and `__bad_known_at`. @returns the rules, `x-unique` included */
export async function judge(table: SourceFileTable): Promise<JudgedRule[]> {
  const { contract, columns, rules, read } = table;
  const { unique } = contract;
  const own = rules.map((rule, i) => ({ ...rule, flagSql: ruleSql(i), knownSql: brokenKnownAt(rule, table) }));
  await read(async (db) => {
    // No sort: on one thread the rows stay in the file's order. Nor does an update move them.
    await db.run(
      `CREATE TEMP TABLE judged AS SELECT *, false AS __repeats, 'infinity'::TIMESTAMP AS __bad_known_at FROM timed`,
    );
    await db.run(`UPDATE judged SET __noticed = ${NOTICED} WHERE __broken`);
    await db.run(`UPDATE judged SET __bad_known_at = ${badKnownAt(own)} WHERE __broken`);
  });
  if (!unique) return own;
  const known = knownAtSql(columns, unique);
  await read((db) =>
    db.run(`UPDATE judged SET __repeats = true, __bad_known_at = least(__bad_known_at, ${known})
      WHERE __row IN (${repeatsSql(unique, known)})`),
  );
  const repeated = { rule: uniqueRuleText(unique), column: null, columns: unique, brokenSql: '', schema: {} };
  return [...own, { ...repeated, flagSql: '__repeats', knownSql: known }];
}

export function uniqueRuleText(unique: string[]): string {
  return `unique (${unique.join(', ')})`;
}

/**
 * Rows whose key another row of the file had first, judged when the key was known: neither of the two was known to be broken
 * by then. What is found out later about either must not say who came first. A row with a NULL in the key repeats none.
 */
function repeatsSql(unique: string[], known: string): string {
  const key = unique.map(identifier);
  const present = key.map((column) => `${column} IS NOT NULL`).join(' AND ');
  return `SELECT __row FROM (
      SELECT __row, known, bad, max(bad) OVER (PARTITION BY ${key.map((_, i) => `key_${i}`).join(', ')}
        ORDER BY known, __row ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS first
      FROM (SELECT __row, ${key.map((column, i) => `${column} AS key_${i}`).join(', ')},
        ${known} AS known, __bad_known_at AS bad FROM judged WHERE ${present}))
    WHERE bad > known AND first > known`;
}

/**
 * When a broken row is noticed whose broken value has no known-at (it is missing, say): when the row is known and its event
 * is past, since a value still to come must not reject a row beforehand. A row without even that: when it was recorded,
 * else when the newest row of its file was known.
 */
const NOTICED = `CASE WHEN __known_0 < 'infinity' THEN greatest(__known_0, nullif(__event_at, 'infinity'))
  ELSE coalesce(nullif(__noticed, 'infinity'),
    (SELECT max(__known_0) FROM judged WHERE __known_0 < 'infinity'), '-infinity'::TIMESTAMP) END`;

/** Earliest time at which a broken value of the row was known. */
function badKnownAt(rules: JudgedRule[]): string {
  const times = rules.map(({ flagSql, knownSql }) => `CASE WHEN ${flagSql} THEN ${knownSql} END`);
  return `coalesce(least(${['NULL::TIMESTAMP', ...times].join(', ')}), 'infinity'::TIMESTAMP)`;
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
