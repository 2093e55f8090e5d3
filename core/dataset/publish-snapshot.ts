import type { BlobRef, ColumnInfo, Partition, RuleCount, Snapshot } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import { shift } from '../spec/time.ts';
import { digestOf } from '../store/digest.ts';
import type { BlobStore } from '../store/ports.ts';
import { defineStep, type StepContext } from '../store/step.ts';
import { compileContract } from './contract.ts';
import { type DuckDb, identifier, withDuckDb } from './duckdb.ts';
import { uniqueRuleText } from './judgement.ts';
import { aliveSql, knownAtSql } from './snapshot-sql.ts';
import { isoSql, timestampLiteral } from './time-sql.ts';

export interface SnapshotInput {
  source: string;
  /** ISO UTC. */
  asOf: string;
  partitions: Partition[];
  contract: Record<string, unknown>;
  maxBadShare: number;
  freshness?: string;
}

/** What the data is as of the run's date. `rows` and `rejected` do not overlap. */
interface Judgement {
  rows: number;
  rejected: number;
  rules: RuleCount[];
  newestEvent: string | null;
}

/**
 * Judges a source as of the run's date and publishes its manifest; the data is one snapshot whatever the date.
 * @throws RefitError REFIT_CONTRACT_TYPE (partitions differ), REFIT_CONTRACT_BAD_ROWS, REFIT_WINDOW_EMPTY (nothing known
 * yet), REFIT_DATA_STALE; then nothing is published
 */
export const publishSnapshot = defineStep<SnapshotInput, Snapshot>({
  name: 'publish-snapshot',
  version: 1,
  natives: ['duckdb'],
  source: import.meta.url,
  async run(input, context) {
    const partitions = [...input.partitions].sort((a, b) => (a.name < b.name ? -1 : 1));
    if (partitions.length === 0) throw nothingKnown(input.source, input.asOf, null);
    const columns = sameColumns(input.source, partitions);
    const found = await judgeAsOf({ ...input, partitions }, columns, context);
    refuseBadRows(input, partitions, found);
    refuseEmpty(input, found);
    refuseStale(input, found);
    const data = partitions.map(({ name, data, quarantine }) => ({
      name,
      data,
      ...(quarantine ? { quarantine } : {}),
    }));
    const id = digestOf({
      columns,
      partitions: data.map((one) => [one.name, one.data.sha256, one.quarantine?.sha256 ?? null]),
    });
    const manifest = await publishManifests(context.blobs, input.source, id, columns, partitions);
    context.progress({ source: input.source, rows: found.rows, quarantined: found.rejected });
    return {
      source: input.source,
      id,
      partitions: partitions.map(({ name, data }) => ({ name, data })),
      columns,
      rows: found.rows,
      quarantined: found.rejected,
      rules: found.rules,
      newestEvent: found.newestEvent,
      ...(partitions.some(({ ends }) => ends) ? { ends: true } : {}),
      manifest,
    };
  },
});

/** The columns all partitions share; their order may differ. */
function sameColumns(source: string, partitions: Partition[]): ColumnInfo[] {
  const [first, ...rest] = partitions as [Partition, ...Partition[]];
  for (const other of rest) {
    for (const name of new Set([...first.columns, ...other.columns].map((column) => column.name))) {
      const [a, b] = [first, other].map(
        ({ columns }) => columns.find((column) => column.name === name)?.type ?? 'missing',
      );
      if (a === b) continue;
      const message = `Source "${source}": column "${name}" is ${a} in ${first.name} and ${b} in ${other.name}; name it in the contract.`;
      throw new RefitError('REFIT_CONTRACT_TYPE', message, { source, column: name, files: [first.name, other.name] });
    }
  }
  return first.columns;
}

async function judgeAsOf(input: SnapshotInput, columns: ColumnInfo[], context: StepContext): Promise<Judgement> {
  const { blobs, scratch, signal } = context;
  const asOf = timestampLiteral(input.asOf);
  const ends = input.partitions.some((partition) => partition.ends);
  const paths = await Promise.all(input.partitions.map((partition) => blobs.path(partition.data)));
  const data = aliveSql(paths, ends, asOf);
  const rejected = input.partitions.filter(({ quarantine }) => quarantine);
  const files = await Promise.all(rejected.map(({ quarantine }) => blobs.path(quarantine as BlobRef)));
  const quarantine = aliveSql(
    files,
    rejected.some((partition) => partition.ends),
    asOf,
  );
  return withDuckDb({ scratch, signal }, async (db) => {
    const [row = {}] = await db.rows(`SELECT
        count(*) FILTER (WHERE good AND __known_0 <= ${asOf})::DOUBLE AS rows,
        count(*) FILTER (WHERE NOT good)::DOUBLE AS rejected,
        ${isoSql(`max(__event_at) FILTER (WHERE good AND __known_0 <= ${asOf} AND __event_at <= ${asOf})`)} AS newest
      FROM (SELECT *, __bad_known_at > ${asOf} AS good FROM ${data})`);
    const rules = files.length === 0 ? [] : await rulesAsOf(db, quarantine, asOf, input);
    const repeats = await repeatsAcross(db, data, columns, asOf, input);
    return {
      rows: Number(row.rows),
      rejected: Number(row.rejected),
      rules: mergeRules([...rules, ...repeats]),
      newestEvent: row.newest ? String(row.newest) : null,
    };
  });
}

/** Counts of rules whose broken value was known by asOf. */
async function rulesAsOf(
  db: DuckDb,
  quarantine: string,
  asOf: string,
  { partitions }: SnapshotInput,
): Promise<RuleCount[]> {
  const columnOf = new Map(partitions.flatMap(({ rules }) => rules.map(({ rule, column }) => [rule, column])));
  const rows = await db.rows<{ rule: string; n: number }>(`SELECT rule, count(*)::DOUBLE AS n
    FROM (SELECT unnest(__rules) AS rule, unnest(__rule_known_at) AS known FROM ${quarantine})
    WHERE known <= ${asOf} GROUP BY rule`);
  return rows.map(({ rule, n }) => ({ rule, column: columnOf.get(rule) ?? null, count: n }));
}

/**
 * Rows that repeat an `x-unique` key of another partition (within one, extraction rejects them). They count as broken, but
 * stay in the data: which of two files is right, only a person can say.
 */
async function repeatsAcross(
  db: DuckDb,
  data: string,
  columns: ColumnInfo[],
  asOf: string,
  { partitions, contract }: SnapshotInput,
): Promise<RuleCount[]> {
  const { unique } = compileContract(contract);
  if (!unique || partitions.length < 2) return [];
  const key = unique.map(identifier);
  const [row] = await db.rows<{
    n: number;
  }>(`SELECT coalesce(sum(n - 1), 0)::DOUBLE AS n FROM (SELECT count(*) AS n FROM ${data}
    WHERE __bad_known_at > ${asOf} AND ${knownAtSql(columns, unique)} <= ${asOf}
      AND ${key.map((column) => `${column} IS NOT NULL`).join(' AND ')}
    GROUP BY ${key.join(', ')} HAVING count(*) > 1)`);
  return row && row.n > 0 ? [{ rule: ACROSS + uniqueRuleText(unique), column: null, count: row.n }] : [];
}

const ACROSS = 'across files: ';

/** Most broken first. */
function mergeRules(rules: RuleCount[]): RuleCount[] {
  return [...rules].sort((a, b) => b.count - a.count || (a.rule < b.rule ? -1 : 1));
}

function refuseBadRows({ source, asOf, maxBadShare }: SnapshotInput, partitions: Partition[], found: Judgement): void {
  const repeated = found.rules.filter(({ rule }) => rule.startsWith(ACROSS)).reduce((sum, { count }) => sum + count, 0);
  const bad = found.rejected + repeated;
  const all = found.rows + found.rejected;
  const share = all === 0 ? 0 : bad / all;
  if (share <= maxBadShare) return;
  const most = found.rules.slice(0, 3).map(({ rule, count }) => `${rule} (${count})`);
  const message = `Source "${source}": ${bad} of ${all} rows (${percent(share)}) break the contract, more than the ${percent(maxBadShare)} allowed; most often ${most.join(', ')}.`;
  const worst = partitions.filter(({ quarantine }) => quarantine).sort((a, b) => b.badRows - a.badRows);
  throw new RefitError('REFIT_CONTRACT_BAD_ROWS', message, {
    ...{ source, asOf, bad, rows: all, share, maxBadShare, rules: found.rules },
    /** Where the rejected rows lie, the worst files first. */
    quarantine: worst.slice(0, 20).map(({ name, quarantine }) => ({ name, uri: quarantine?.uri })),
  });
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`;
}

/**
 * A run as of a date before all data of a source. `startsAt`: when anything of it was first known, or happened (ISO UTC); null
 * where nothing tells.
 */
export function nothingKnown(source: string, asOf: string, startsAt: string | null): RefitError {
  const start = startsAt === null ? '' : `: it starts at ${startsAt}`;
  const message = `Source "${source}" has no data as of ${asOf}${start}.`;
  return new RefitError('REFIT_WINDOW_EMPTY', message, { source, asOf, startsAt });
}

/**
 * There is data, but nothing of it was known yet; or what was known had not happened yet, where freshness asks for events and
 * would call data old that is too new.
 */
function refuseEmpty({ source, asOf, partitions, freshness }: SnapshotInput, found: Judgement): void {
  const first = (times: (string | undefined)[]) => times.flatMap((time) => time ?? []).sort()[0];
  const data = partitions.some(({ rows }) => rows > 0);
  if (data && found.rows + found.rejected === 0) {
    throw nothingKnown(source, asOf, first(partitions.map(({ knownFrom }) => knownFrom)) ?? null);
  }
  const oldest = first(partitions.map(({ eventRange }) => eventRange?.oldest));
  if (freshness && found.newestEvent === null && oldest !== undefined && Date.parse(oldest) > Date.parse(asOf)) {
    throw nothingKnown(source, asOf, oldest);
  }
}

function refuseStale({ source, asOf, freshness }: SnapshotInput, { newestEvent }: Judgement): void {
  if (freshness === undefined) return;
  const oldest = shift(new Date(asOf), freshness, -1);
  if (newestEvent !== null && Date.parse(newestEvent) >= oldest.getTime()) return;
  const newest = newestEvent === null ? 'no event known' : `its newest event known at ${newestEvent}`;
  const message = `Source "${source}" as of ${asOf} has ${newest}, older than its freshness of ${freshness} allows.`;
  throw new RefitError('REFIT_DATA_STALE', message, { source, asOf, freshness, newestEvent });
}

/** Manifests say nothing of asOf: one snapshot serves every date. @returns the key of the data's manifest */
async function publishManifests(
  blobs: BlobStore,
  source: string,
  id: string,
  columns: ColumnInfo[],
  partitions: Partition[],
): Promise<string> {
  const put = (key: string, value: unknown) =>
    blobs.objects.put(key, new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`), { create: true });
  const rejected = partitions.filter(({ quarantine }) => quarantine);
  if (rejected.length > 0) {
    const files = rejected.map(({ name, quarantine, badRows, rules }) => ({ name, quarantine, badRows, rules }));
    await put(`quarantine/${source}/${id}/manifest.json`, { source, snapshot: id, partitions: files });
  }
  const key = `datasets/${source}/${id}/manifest.json`;
  const files = partitions.map(({ columns: _, ...partition }) => partition);
  await put(key, { source, id, columns, partitions: files });
  return key;
}
