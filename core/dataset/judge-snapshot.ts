import type { ColumnInfo, Partition, RuleCount, RuleResult, SnapshotChecks } from '../spec/artifacts.ts';
import type { StepContext } from '../store/step.ts';
import { checkTable, type ReferredSource } from './check-table.ts';
import { type Contract, compileContract } from './contract.ts';
import { type DuckDb, identifier, withDuckDb } from './duckdb.ts';
import { uniqueRuleText } from './judgement.ts';
import { numberedData, type SampledRule, sampleRows, samplesOf } from './rule-samples.ts';
import { byName, unionColumns } from './snapshot-columns.ts';
import { aliveSql, knownAtSql } from './snapshot-sql.ts';
import { isoSql, timestampLiteral } from './time-sql.ts';

/** A source held against its contract as of a date: its rows, every rule, its newest event. Publishes and refuses nothing. */

export interface JudgementInput {
  source: string;
  /** ISO UTC. */
  asOf: string;
  /** In the order of their names. */
  partitions: Partition[];
  contract: Record<string, unknown>;
  /** Partitions of the sources that the contract refers to. */
  references?: Record<string, Partition[]>;
}

/** What the data is as of the date. `rows` and `rejected` do not overlap. */
export interface Judgement {
  rows: number;
  rejected: number;
  /** Broken rules of rows, the most broken first. */
  rules: RuleCount[];
  newestEvent: string | null;
  checks: SnapshotChecks;
}

export const ACROSS = 'across files: ';

type Context = Pick<StepContext, 'blobs' | 'scratch' | 'signal'>;

/** `columns`: those of the partitions together. @throws RefitError REFIT_CONTRACT_INVALID, REFIT_STORE_CORRUPT */
export async function judgeSnapshot(
  input: JudgementInput,
  columns: ColumnInfo[],
  context: Context,
): Promise<Judgement> {
  const { source, partitions } = input;
  const { blobs, scratch, signal } = context;
  const contract = compileContract(input.contract);
  const paths = await Promise.all(partitions.map((partition) => blobs.path(partition.data)));
  const files = await Promise.all(
    partitions.flatMap((partition) =>
      partition.quarantine ? [blobs.path(partition.quarantine).then((file) => ({ partition, file }))] : [],
    ),
  );
  const others = await openOthers(input.references ?? {}, context);
  const asOf = timestampLiteral(input.asOf);
  return withDuckDb({ scratch, signal }, async (db) => {
    const data = aliveSql(paths, ends(partitions), asOf);
    const numbered = numberedData(partitions, paths, asOf);
    const [row = {}] = await db.rows(`SELECT
        count(*) FILTER (WHERE good AND __known_0 <= ${asOf})::DOUBLE AS rows,
        count(*) FILTER (WHERE NOT good)::DOUBLE AS rejected,
        ${isoSql(`max(__event_at) FILTER (WHERE good AND __known_0 <= ${asOf} AND __event_at <= ${asOf})`)} AS newest
      FROM (SELECT *, __bad_known_at > ${asOf} AS good FROM ${data})`);
    const newestEvent = row.newest ? String(row.newest) : null;
    const quarantine = aliveSql(
      files.map(({ file }) => file),
      ends(files.map(({ partition }) => partition)),
      asOf,
    );
    const broken = files.length === 0 ? [] : await rulesAsOf(db, quarantine, asOf, partitions);
    const of = { contract, data, columns, asOf, key: contract.unique ?? [] };
    const repeats = await repeatsAcross(db, of, numbered);
    const sampled = broken.map((one): SampledRule => ({ rule: one.rule, columns: columnsOf(contract, one) }));
    const samples = await sampleRows(db, { files, rules: sampled, key: of.key, asOf });
    const table = await checkTable(db, {
      ...{ source, asOf: input.asOf, data: numbered, columns, rules: contract.tableRules },
      ...{ key: of.key.filter((name) => columns.some((column) => column.name === name)), newestEvent, others },
    });
    const rows = Number(row.rows);
    const rejected = Number(row.rejected);
    const rules = mergeRules([...broken, ...repeats.map(({ rule, count }) => ({ rule, column: null, count }))]);
    const ofRows = rowResults(contract, broken).map((one) => ({ ...one, samples: samples.get(one.rule) ?? [] }));
    const checks = { source, asOf: input.asOf, rows, rejected, rules: [...ofRows, ...repeats, ...table] };
    return { rows, rejected, rules, newestEvent, checks };
  });
}

async function openOthers(
  references: Record<string, Partition[]>,
  { blobs }: Context,
): Promise<Map<string, ReferredSource>> {
  const opened = Object.entries(references).map(async ([name, partitions]) => {
    const paths = await Promise.all(partitions.map(({ data }) => blobs.path(data)));
    return [name, { columns: unionColumns(name, byName(partitions)), ends: ends(partitions), paths }] as const;
  });
  return new Map(await Promise.all(opened));
}

const ends = (partitions: readonly Partition[]): boolean => partitions.some((partition) => partition.ends);

/** Every rule of the contract about rows, the broken ones with their counts; types are rules only where they were broken. */
function rowResults({ rules, unique }: Contract, broken: RuleCount[]): RuleResult[] {
  const named = [
    ...rules.map(({ rule, column }) => ({ rule, column })),
    ...(unique ? [{ rule: uniqueRuleText(unique), column: null }] : []),
  ];
  const other = broken.filter(({ rule }) => !named.some((one) => one.rule === rule));
  return [...named, ...other].map(({ rule, column }) => {
    const count = broken.find((one) => one.rule === rule)?.count ?? 0;
    return { rule, column, kind: 'row', severity: 'fail', passed: count === 0, count, samples: [] };
  });
}

function columnsOf({ rules, unique }: Contract, { rule, column }: RuleCount): string[] {
  if (unique && rule === uniqueRuleText(unique)) return unique;
  return rules.find((one) => one.rule === rule)?.columns ?? (column === null ? [] : [column]);
}

/** Counts of rules whose broken value was known by asOf. */
async function rulesAsOf(db: DuckDb, quarantine: string, asOf: string, partitions: Partition[]): Promise<RuleCount[]> {
  const columnOf = new Map(partitions.flatMap(({ rules }) => rules.map(({ rule, column }) => [rule, column])));
  const rows = await db.rows<{ rule: string; n: number }>(`SELECT rule, count(*)::DOUBLE AS n
    FROM (SELECT unnest(__rules) AS rule, unnest(__rule_known_at) AS known FROM ${quarantine})
    WHERE known <= ${asOf} GROUP BY rule`);
  return rows.map(({ rule, n }) => ({ rule, column: columnOf.get(rule) ?? null, count: n }));
}

interface Across {
  contract: Contract;
  data: string;
  columns: ColumnInfo[];
  asOf: string;
  key: string[];
}

/**
 * Rows that repeat an `x-unique` key of another partition (within one, extraction rejects them). They count as broken, but
 * stay in the data: which of two files is right, only a person can say.
 */
async function repeatsAcross(
  db: DuckDb,
  { contract: { unique }, data, columns, asOf, key }: Across,
  numbered: ReturnType<typeof numberedData>,
): Promise<RuleResult[]> {
  if (!unique || numbered.names.length < 2) return [];
  const names = unique.map(identifier).join(', ');
  const counted = (from: string) => `FROM ${from}
    WHERE __bad_known_at > ${asOf} AND ${knownAtSql(columns, unique)} <= ${asOf}
      AND ${unique.map((column) => `${identifier(column)} IS NOT NULL`).join(' AND ')}`;
  const [row] = await db.rows<{ n: number }>(
    `SELECT coalesce(sum(n - 1), 0)::DOUBLE AS n FROM (SELECT count(*) AS n ${counted(data)} GROUP BY ${names} HAVING count(*) > 1)`,
  );
  const count = row?.n ?? 0;
  const again = `SELECT * ${counted(numbered.sql)} QUALIFY row_number() OVER (PARTITION BY ${names} ORDER BY __file, __place) > 1`;
  const samples = count === 0 ? [] : await samplesOf(db, numbered, again, unique, key);
  const rule = ACROSS + uniqueRuleText(unique);
  return [{ rule, column: null, kind: 'row', severity: 'fail', passed: count === 0, count, samples }];
}

/** Most broken first; what nobody broke is left out. */
function mergeRules(rules: RuleCount[]): RuleCount[] {
  return rules.filter(({ count }) => count > 0).sort((a, b) => b.count - a.count || (a.rule < b.rule ? -1 : 1));
}
