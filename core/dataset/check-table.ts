import type { ColumnInfo, RuleResult } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import { shift } from '../spec/time.ts';
import { invalid } from './contract-schema.ts';
import type { TableRule } from './contract-table.ts';
import { type DuckDb, identifier } from './duckdb.ts';
import { type NumberedData, samplesOf } from './rule-samples.ts';
import { aliveSql, knownAtSql } from './snapshot-sql.ts';
import { isoSql, timestampLiteral } from './time-sql.ts';

/**
 * Holds a snapshot against the rules about its table, as of a date: over the rows that keep their contract, and of these over
 * the values that were known. What has not happened yet is neither missing nor out of order.
 */

/** Another source that rules refer to. */
export interface ReferredSource {
  columns: ColumnInfo[];
  /** Rows of it end. */
  ends: boolean;
  /** Local files of its data; there is one at least (`nothingKnown`). */
  paths: string[];
}

export interface TableCheckRequest {
  source: string;
  /** ISO UTC. */
  asOf: string;
  data: NumberedData;
  columns: ColumnInfo[];
  rules: TableRule[];
  /** Columns that name a row. */
  key: string[];
  /** Newest event known by asOf, for freshness of the source as such. */
  newestEvent: string | null;
  others: ReadonlyMap<string, ReferredSource>;
}

/** @throws RefitError REFIT_CONTRACT_INVALID for a reference to a column that is not there */
export async function checkTable(db: DuckDb, request: TableCheckRequest): Promise<RuleResult[]> {
  const results: RuleResult[] = [];
  for (const rule of request.rules) results.push(await checkOne(db, rule, request));
  return results;
}

type Finding = Pick<RuleResult, 'passed' | 'count' | 'samples'> & { value: RuleResult['value'] };

async function checkOne(db: DuckDb, rule: TableRule, request: TableCheckRequest): Promise<RuleResult> {
  const { passed, count, value = null, samples } = await findingOf(db, rule, request);
  return {
    rule: rule.rule,
    column: rule.column,
    kind: 'table',
    severity: rule.severity,
    passed,
    count,
    value,
    samples,
  };
}

function findingOf(db: DuckDb, rule: TableRule, request: TableCheckRequest): Promise<Finding> {
  switch (rule.kind) {
    case 'nulls':
      return checkNulls(db, rule, request);
    case 'freshness':
      return checkFreshness(db, rule, request);
    case 'monotone':
      return checkMonotone(db, rule, request);
    case 'quantile':
      return checkQuantile(db, rule, request);
    case 'references':
      return checkReferences(db, rule, request);
  }
}

/**
 * Good rows whose values in these columns were known. A value that is missing and never becomes known counts when its row is
 * known and its event is past.
 */
function known({ asOf, columns, data }: Pick<TableCheckRequest, 'asOf' | 'columns' | 'data'>, names: string[]): string {
  const at = timestampLiteral(asOf);
  const own = knownAtSql(columns, names);
  const missing = names.map((name) => `${identifier(name)} IS NULL`).join(' OR ');
  const noticed = `greatest(__known_0, coalesce(nullif(__event_at, 'infinity'), __known_0))`;
  return `(SELECT * FROM ${data.sql} WHERE __bad_known_at > ${at} AND __known_0 <= ${at}
    AND CASE WHEN ${own} = 'infinity' AND (${missing}) THEN ${noticed} ELSE ${own} END <= ${at})`;
}

type Of<Kind extends TableRule['kind']> = Extract<TableRule, { kind: Kind }>;

async function checkNulls(db: DuckDb, { column, limit }: Of<'nulls'>, request: TableCheckRequest): Promise<Finding> {
  const rows = known(request, [column]);
  const [found] = await db.rows<{ n: number; nulls: number }>(
    `SELECT count(*)::DOUBLE AS n, (count(*) - count(${identifier(column)}))::DOUBLE AS nulls FROM ${rows}`,
  );
  const { n = 0, nulls = 0 } = found ?? {};
  const share = n === 0 ? null : nulls / n;
  const passed = share === null || share <= limit;
  const broken = `SELECT * FROM ${rows} WHERE ${identifier(column)} IS NULL`;
  const samples = passed ? [] : await samplesOf(db, request.data, broken, [column], request.key);
  return { passed, count: nulls, value: share, samples };
}

async function checkFreshness(
  db: DuckDb,
  { column, limit }: Of<'freshness'>,
  request: TableCheckRequest,
): Promise<Finding> {
  let newest = request.newestEvent;
  if (column !== null) {
    const time = `${identifier(column)}::TIMESTAMP`;
    const [row] = await db.rows<{ newest: string | null }>(
      `SELECT ${isoSql(`max(${time}) FILTER (WHERE ${time} <= ${timestampLiteral(request.asOf)})`)} AS newest FROM ${known(request, [column])}`,
    );
    newest = row?.newest ?? null;
  }
  const oldest = shift(new Date(request.asOf), limit, -1).getTime();
  return { passed: newest !== null && Date.parse(newest) >= oldest, count: 0, value: newest, samples: [] };
}

async function checkMonotone(
  db: DuckDb,
  { column, strict, by }: Of<'monotone'>,
  request: TableCheckRequest,
): Promise<Finding> {
  const value = identifier(column);
  const within = by.length === 0 ? '' : `PARTITION BY ${by.map(identifier).join(', ')} `;
  const broken = `SELECT * FROM (SELECT *, lag(${value}) OVER (${within}ORDER BY __file, __place) AS __before
      FROM ${known(request, [column, ...by])} WHERE ${value} IS NOT NULL)
    WHERE ${value} ${strict ? '<=' : '<'} __before`;
  const [found] = await db.rows<{ n: number }>(`SELECT count(*)::DOUBLE AS n FROM (${broken})`);
  const count = found?.n ?? 0;
  const samples = count === 0 ? [] : await samplesOf(db, request.data, broken, [column, ...by], request.key);
  return { passed: count === 0, count, value: count, samples };
}

/** The smallest value with at least that share of the values at or below it: exact, one of the values. */
async function checkQuantile(
  db: DuckDb,
  { column, p, low, high }: Of<'quantile'>,
  request: TableCheckRequest,
): Promise<Finding> {
  const [row] = await db.rows<{ value: number | null }>(
    `SELECT quantile_disc(${identifier(column)}, ${p}::DOUBLE)::DOUBLE AS value FROM ${known(request, [column])}`,
  );
  const value = row?.value ?? null;
  const passed = value === null || ((low === null || value >= low) && (high === null || value <= high));
  return { passed, count: 0, value, samples: [] };
}

async function checkReferences(db: DuckDb, rule: Of<'references'>, request: TableCheckRequest): Promise<Finding> {
  const { columns, source, to, limit } = rule;
  const other = request.others.get(source);
  if (!other) throw new RefitError('REFIT_INTERNAL', `Rule "${rule.rule}" was judged without source "${source}".`);
  const theirs = other.columns;
  for (const name of to) {
    if (!theirs.some((column) => column.name === name))
      invalid(`rule "${rule.rule}"`, `source "${source}" has no column "${name}"`);
  }
  const at = timestampLiteral(request.asOf);
  const type = (of: ColumnInfo[], name: string) => of.find((column) => column.name === name)?.type ?? '';
  const cast = columns.map((name, i) => castFor(type(request.columns, name), type(theirs, to[i] ?? '')));
  const there = `SELECT ${to.map((name, i) => `${identifier(name)}${cast[i]} AS key_${i}`).join(', ')} FROM ${aliveSql(
    other.paths,
    other.ends,
    at,
  )}
    WHERE __bad_known_at > ${at} AND __known_0 <= ${at} AND ${knownAtSql(theirs, to)} <= ${at}`;
  const keys = columns.map((name, i) => `${identifier(name)}${cast[i]} AS key_${i}`).join(', ');
  const present = columns.map((name) => `${identifier(name)} IS NOT NULL`).join(' AND ');
  const asked = `SELECT *, ${keys} FROM ${known(request, columns)} WHERE ${present}`;
  const broken = `SELECT * FROM (${asked}) ANTI JOIN (${there}) USING (${columns.map((_, i) => `key_${i}`).join(', ')})`;
  const [found] = await db.rows<{ n: number; broken: number }>(
    `SELECT (SELECT count(*) FROM (${asked}))::DOUBLE AS n, (SELECT count(*) FROM (${broken}))::DOUBLE AS broken`,
  );
  const { n = 0, broken: count = 0 } = found ?? {};
  const share = n === 0 ? null : count / n;
  const passed = share === null || share <= limit;
  const samples = passed ? [] : await samplesOf(db, request.data, broken, columns, request.key);
  return { passed, count, value: share, samples };
}

/** How two keys are brought to one type. */
function castFor(a: string, b: string): string {
  const both = (type: RegExp) => type.test(a) && type.test(b);
  // SQL compares whole numbers of any size exactly; as floating point, those beyond 2^53 would run together.
  if (a === b || both(/^U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$/)) return '';
  if (both(/^(DATE|TIMESTAMP)$/)) return '::TIMESTAMP';
  return both(/INT|DOUBLE|FLOAT|DECIMAL/) ? '::DOUBLE' : '::VARCHAR';
}
