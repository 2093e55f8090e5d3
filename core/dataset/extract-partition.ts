import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import path from 'node:path';
import { Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ColumnInfo, Partition, RuleCount } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { SourceSpec } from '../spec/pipeline.ts';
import { defineStep, type Step, type StepContext } from '../store/step.ts';
import { compileContract, type Contract, type ContractRule } from './contract.ts';
import { type DuckDb, identifier, literal, withDuckDb } from './duckdb.ts';
import { fileError } from './partitions.ts';
import { type CheckedTable, checkContract, openRaw, type Place, unreadable } from './raw-table.ts';
import { addTimes, failingExpression } from './row-times.ts';

/** What of a source shapes its partitions; the rest (share of bad rows, freshness) is judged when they are published. */
const SLICE = ['format', 'contract', 'zone', 'derive', 'eventTime', 'knownAt', 'recordedAt'] as const;
export type ExtractSlice = Pick<SourceSpec, (typeof SLICE)[number]>;

export function extractSlice(spec: SourceSpec): ExtractSlice {
  return Object.fromEntries(SLICE.filter((key) => spec[key] !== undefined).map((key) => [key, spec[key]])) as unknown as ExtractSlice;
}

export interface ExtractInput {
  source: string;
  spec: ExtractSlice;
  /** Name relative to the project's root, and the digest of the bytes to read. */
  file: { name: string; sha256: string };
}

/**
 * Reads one file, checks every row against the contract, derives columns and known-at times; independent of any asOf.
 * All rows are kept, in the file's order; the rejected ones lie in `quarantine` besides, as they were read.
 */
export function createExtractPartition({ root }: { root: string }): Step<ExtractInput, Partition> {
  return defineStep<ExtractInput, Partition>({
    name: 'extract-partition',
    version: 1,
    natives: ['duckdb'],
    source: import.meta.url,
    run: (input, context) => extract(root, input, context),
  });
}

async function extract(root: string, { source, spec, file }: ExtractInput, context: StepContext): Promise<Partition> {
  const place: Place = { source, file: file.name };
  const contract = compileContract(spec.contract);
  const copy = path.join(context.scratch, 'input');
  const sha256 = await copyHashed(path.resolve(root, file.name), copy, context.signal);
  if (sha256 !== file.sha256) {
    throw new RefitError('REFIT_CONFLICT', `${file.name} changed after it was looked at.`, { ...place, expected: file.sha256, found: sha256 });
  }
  // One thread each: partitions run side by side, and one thread keeps the file's order and gives the same bytes.
  const partition = await withDuckDb({ scratch: context.scratch, signal: context.signal, threads: 1 }, async (db) => {
    await checkZone(db, source, spec.zone);
    const raw = await openRaw(db, copy, spec.format, place);
    const table = await checkContract(db, raw, contract, { zone: spec.zone, text: spec.format === 'csv', place });
    const columns = await addTimes(db, source, table.columns, spec);
    const rules = uniqueRule(table, contract);
    await materialise(db, spec, rules, contract, columns, place);
    return write(db, columns, rules, context, file.name);
  });
  context.progress({ source, file: file.name, rows: partition.rows, badRows: partition.badRows });
  return partition;
}

/** Copies while hashing, so that what is hashed is what is read, whatever happens to the original. @returns SHA-256, hex */
async function copyHashed(from: string, to: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  const tee = new Transform({
    transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  try {
    await pipeline(createReadStream(from, { highWaterMark: 1 << 20 }), tee, createWriteStream(to), { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw fileError(error, from);
  }
  return hash.digest('hex');
}

async function checkZone(db: DuckDb, source: string, zone: string): Promise<void> {
  try {
    await db.run(`SELECT timezone(${literal(zone)}, TIMESTAMP '2000-01-01')`);
  } catch {
    throw new RefitError('REFIT_PIPELINE_INVALID', `sources.${source}.zone: "${zone}" is no time zone; write e.g. America/New_York.`, { source, zone });
  }
}

function uniqueRule({ rules }: CheckedTable, { unique }: Contract): ContractRule[] {
  if (!unique) return rules;
  return [...rules, { rule: uniqueRuleText(unique), column: null, columns: unique, brokenSql: '' }];
}

export function uniqueRuleText(unique: string[]): string {
  return `unique (${unique.join(', ')})`;
}

/** Table `judged`: all columns, one flag a rule, `__bad_known_at`. @throws RefitError naming the file or the expression */
async function materialise(
  db: DuckDb,
  spec: ExtractSlice,
  rules: ContractRule[],
  { unique }: Contract,
  columns: ColumnInfo[],
  place: Place,
): Promise<void> {
  const repeats = unique ? `, ${repeatsSql(unique, columns)} AS __rule_${rules.length - 1}` : '';
  try {
    await db.run(`CREATE TEMP TABLE times AS SELECT *${repeats} FROM timed ORDER BY __row`);
  } catch (error) {
    if (/No space left|ENOSPC|Out of Memory|INTERRUPT/i.test(String(error))) throw error;
    const failed = await failingExpression(db, place.source, spec);
    throw failed ?? unreadable(error, place);
  }
  await db.run(`CREATE TEMP VIEW judged AS SELECT *, ${badKnownAt(rules, columns)} AS __bad_known_at FROM (
    SELECT * REPLACE (${noticed} AS __noticed) FROM times)`);
}

/** True for a good row whose key an earlier-known good row of the file has; rows with a NULL in the key have none. */
function repeatsSql(unique: string[], columns: ColumnInfo[]): string {
  const key = unique.map(identifier);
  const present = key.map((column) => `${column} IS NOT NULL`).join(' AND ');
  return `(NOT __broken AND ${present} AND
    row_number() OVER (PARTITION BY __broken, ${key.join(', ')} ORDER BY ${knownSql(unique, columns)}, __row) > 1)`;
}

/** When all of the named columns are known. */
function knownSql(names: string[], columns: ColumnInfo[]): string {
  const known = new Set(columns.filter(({ name }) => names.includes(name)).flatMap((column) => column.known));
  return known.size > 1 ? `greatest(${[...known].join(', ')})` : ([...known][0] ?? '__known_0');
}

/**
 * When a broken row is noticed whose broken value has no known-at (it is missing, say): when the row is known and its event
 * is past, since a value still to come must not reject a row beforehand. A row without even that: when it was recorded,
 * else when the newest row of its file was known.
 */
const noticed = `CASE WHEN __known_0 < 'infinity' THEN greatest(__known_0, nullif(__event_at, 'infinity'))
  ELSE coalesce(nullif(__noticed, 'infinity'),
    (SELECT max(__known_0) FROM times WHERE __known_0 < 'infinity'), '-infinity'::TIMESTAMP) END`;

/** Earliest time at which a broken value of the row was known; 'infinity' for a good row. */
function badKnownAt(rules: ContractRule[], columns: ColumnInfo[]): string {
  const times = rules.map((rule, i) => `CASE WHEN __rule_${i} THEN ${brokenKnownAt(rule, columns)} END`);
  return `coalesce(${times.length > 0 ? `least(${times.join(', ')})` : 'NULL'}, 'infinity'::TIMESTAMP)`;
}

function brokenKnownAt(rule: ContractRule, columns: ColumnInfo[]): string {
  const known = knownSql(rule.columns, columns);
  return `CASE WHEN ${known} < 'infinity' THEN ${known} ELSE __noticed END`;
}

async function write(db: DuckDb, columns: ColumnInfo[], rules: ContractRule[], context: StepContext, name: string): Promise<Partition> {
  const known = [...new Set(['__known_0', ...columns.flatMap((column) => column.known)])].sort();
  const all = [...columns.map((column) => identifier(column.name)), ...known, '__event_at', '__bad_known_at'];
  const data = path.join(context.scratch, 'data.parquet');
  await copyOut(db, `SELECT ${all.join(', ')} FROM judged`, data);
  const counts = await statistics(db, rules, known);
  const partition: Partition = { name, data: await context.blobs.putFile(data), columns, ...counts };
  if (partition.badRows === 0) return partition;
  const quarantine = path.join(context.scratch, 'quarantine.parquet');
  await copyOut(db, quarantineSql(rules, columns), quarantine);
  return { ...partition, quarantine: await context.blobs.putFile(quarantine) };
}

async function copyOut(db: DuckDb, sql: string, file: string): Promise<void> {
  await db.run(`COPY (${sql}) TO ${literal(file)} (FORMAT parquet, COMPRESSION zstd)`);
}

/** Rejected rows as read, with the rules each broke and, in the same order, when that was known. */
function quarantineSql(rules: ContractRule[], columns: ColumnInfo[]): string {
  const texts = rules.map(({ rule }, i) => `CASE WHEN __rule_${i} THEN ${literal(rule)} END`);
  const times = rules.map((rule, i) => `CASE WHEN __rule_${i} THEN ${brokenKnownAt(rule, columns)} END`);
  const present = (items: string[]) => `list_filter([${items.join(', ')}], lambda item: item IS NOT NULL)`;
  return `SELECT raw.* EXCLUDE (__row), bad.* EXCLUDE (__row) FROM raw JOIN (
    SELECT __row, ${present(texts)} AS __rules, ${present(times)} AS __rule_known_at, __bad_known_at
    FROM judged WHERE __bad_known_at < 'infinity') bad ON raw.__row = bad.__row ORDER BY raw.__row`;
}

type Statistics = Pick<Partition, 'rows' | 'badRows' | 'rules' | 'eventRange' | 'knownFrom'>;

async function statistics(db: DuckDb, rules: ContractRule[], known: string[]): Promise<Statistics> {
  const counts = rules.map((_, i) => `count(*) FILTER (WHERE __rule_${i})::DOUBLE AS rule_${i}`);
  const good = `FILTER (WHERE __bad_known_at = 'infinity')`;
  const [row = {}] = await db.rows(`SELECT ${[
    'count(*)::DOUBLE AS rows',
    `count(*) FILTER (WHERE __bad_known_at < 'infinity')::DOUBLE AS bad`,
    `${isoSql(`min(__event_at) ${good}`)} AS oldest`,
    `${isoSql(`max(__event_at) ${good}`)} AS newest`,
    `${isoSql(`min(least(${known.join(', ')})) ${good}`)} AS known_from`,
    ...counts,
  ].join(', ')} FROM judged`);
  const broken: RuleCount[] = rules.map(({ rule, column }, i) => ({ rule, column, count: Number(row[`rule_${i}`]) }));
  return {
    rows: Number(row.rows),
    badRows: Number(row.bad),
    rules: broken.filter(({ count }) => count > 0),
    ...(row.oldest && row.newest ? { eventRange: { oldest: String(row.oldest), newest: String(row.newest) } } : {}),
    ...(row.known_from ? { knownFrom: String(row.known_from) } : {}),
  };
}

/** ISO UTC, fractions only where there are any; NULL for an infinity. */
export function isoSql(time: string): string {
  return `regexp_replace(strftime(CASE WHEN isfinite(${time}) THEN ${time} END, '%Y-%m-%dT%H:%M:%S.%fZ'), '\\.0+Z$', 'Z')`;
}
