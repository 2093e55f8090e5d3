import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import path from 'node:path';
import { Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { RefitError } from '../spec/errors.ts';
import type { SourceSpec } from '../spec/pipeline.ts';
import type { StepContext } from '../store/step.ts';
import { contractOfChanges } from './change-rows.ts';
import { checkContract, ruleSql } from './checked-table.ts';
import type { RawColumn } from './column-types.ts';
import { type Contract, type ContractRule, compileContract } from './contract.ts';
import { withoutTableRules } from './contract-table.ts';
import { type DuckDb, isOfMachine, literal, withDuckDb } from './duckdb.ts';
import { BAD_LINE } from './json-lines.ts';
import { fileError } from './partitions.ts';
import { requireKey, treatedColumns, useKey } from './pii-sql.ts';
import { type FileFormat, openRaw, type Place, unreadable } from './raw-table.ts';
import { addTimes, failingExpression, type TimedColumns } from './row-times.ts';
import { filesOf, type SourceOrigin } from './source-files.ts';

/** One file of a source opened in DuckDB: its rows as read, checked and timed, by exactly the bytes that were asked for. */

/** What of a source shapes its partitions; the rest (share of bad rows, freshness) is judged when they are published. */
const SLICE = ['format', 'contract', 'zone', 'derive', 'eventTime', 'knownAt', 'recordedAt', 'changes'] as const;
export type ExtractSlice = Pick<SourceSpec, (typeof SLICE)[number]>;

export function extractSlice(spec: SourceSpec): ExtractSlice {
  const slice = Object.fromEntries(
    SLICE.filter((key) => spec[key] !== undefined).map((key) => [key, spec[key]]),
  ) as unknown as ExtractSlice;
  return { ...slice, contract: withoutTableRules(spec.contract) };
}

/** The input of a step that reads one file. @throws RefitError REFIT_PII_KEY_MISSING, REFIT_CONTRACT_INVALID */
export function extractInput(
  place: Pick<SourceOrigin, 'piiKey'>,
  source: string,
  spec: SourceSpec,
  { name, sha256 }: ExtractInput['file'],
): ExtractInput {
  const key = requireKey(compileContract(spec.contract).pii, source, place.piiKey);
  return { source, spec: extractSlice(spec), file: { name, sha256 }, ...(key ? { pii: key.digest } : {}) };
}

export interface ExtractInput {
  source: string;
  spec: ExtractSlice;
  /** Name relative to the project's root, and the digest of the bytes to read. */
  file: { name: string; sha256: string };
  /** Digest of the key that personal data is hashed with; absent where none is. */
  pii?: string;
}

/** The file as views `raw`, `checked` and `timed` (see raw-table.ts, checked-table.ts, row-times.ts). */
export interface SourceFileTable extends TimedColumns {
  db: DuckDb;
  /** The file's columns as the quarantine shows them: a list for SELECT FROM raw, personal data treated. */
  quarantined: string;
  rawPii: ReadonlyMap<string, string>;
  place: Place;
  contract: Contract;
  rules: ContractRule[];
  /** Runs SQL that reads the rows; a failure is told as the file's or the expression's. */
  read<T>(query: (db: DuckDb) => Promise<T>): Promise<T>;
}

/**
 * Opens a copy of the file, so that what is hashed is what is read, whatever happens to the original.
 * @throws RefitError REFIT_SOURCE_CHANGED (since it was listed), REFIT_SOURCE_MISSING, REFIT_SOURCE_UNREADABLE,
 * REFIT_CONTRACT_…, REFIT_EXPRESSION_INVALID, REFIT_PIPELINE_INVALID (zone)
 */
export async function withSourceFile<T>(
  origin: SourceOrigin,
  { source, spec, file }: ExtractInput,
  { scratch, signal }: StepContext,
  use: (table: SourceFileTable) => Promise<T>,
): Promise<T> {
  const declared = compileContract(spec.contract);
  const contract = spec.changes ? contractOfChanges(declared, spec.changes) : declared;
  const { pii } = contract;
  const key = requireKey(pii, source, origin.piiKey);
  const place: Place = { source, file: file.name, ...(pii.length > 0 ? { discreet: true } : {}) };
  const copy = path.join(scratch, 'input');
  const sha256 = await copyHashed(await filesOf(origin).path(file.name, file.sha256, signal), copy, signal);
  if (sha256 !== file.sha256) {
    const details = { ...place, expected: file.sha256, found: sha256 };
    throw new RefitError('REFIT_SOURCE_CHANGED', `${file.name} changed after it was looked at.`, details);
  }
  // One thread each: partitions run side by side, and one thread keeps the file's order and gives the same bytes.
  return withDuckDb({ scratch, signal, threads: 1 }, async (db) => {
    await checkZone(db, source, spec.zone);
    if (key) await useKey(db, key);
    const fields = contract.columns.map(({ name }) => name);
    const raw = await openRaw(db, copy, { format: fileFormat(spec.format), place, fields, folders: file.name });
    const kind = { text: spec.format === 'csv', jsonLines: spec.format === 'jsonl' };
    const table = await checkContract(db, raw, contract, { zone: spec.zone, ...kind, place });
    const timed = await addTimes(db, source, table.columns, timesOf(spec), { pii, rawPii: table.rawPii });
    const quarantined = quarantineColumns(raw, contract, table.rules, kind.jsonLines);
    const read = <R>(query: (db: DuckDb) => Promise<R>) =>
      query(db).catch((error: unknown) => explain(db, spec, place, error));
    return use({ db, place, contract, quarantined, rawPii: table.rawPii, ...timed, rules: table.rules, read });
  });
}

/** Rows of a database are copied into Parquet. */
function fileFormat(format: ExtractSlice['format']): FileFormat {
  return format === 'duckdb' || format === 'postgres' ? 'parquet' : format;
}

/** A change is recorded when it says it was made. */
function timesOf({ changes, ...spec }: ExtractSlice): ExtractSlice {
  return spec.recordedAt === undefined && changes?.time !== undefined ? { ...spec, recordedAt: changes.time } : spec;
}

async function explain(db: DuckDb, spec: ExtractSlice, place: Place, error: unknown): Promise<never> {
  if (isOfMachine(error)) throw error;
  throw (await failingExpression(db, place.source, spec, place.discreet)) ?? unreadable(error, place);
}

/** In a source with personal data a text of the wrong type is not shown: a shifted line may put anything there. */
function quarantineColumns(raw: RawColumn[], { pii }: Contract, rules: ContractRule[], jsonLines: boolean): string {
  if (pii.length === 0) return 'raw.* EXCLUDE (__row)';
  const texts = raw.filter(({ type }) => /^(VARCHAR|JSON)/.test(type)).map(({ name }) => name);
  const wrong = rules.flatMap(({ wrongType, column }, i): [string, string][] =>
    wrongType && column !== null && texts.includes(column) ? [[column, ruleSql(i, 'bad.__flags')]] : [],
  );
  const columns = treatedColumns(pii, raw, new Map(wrong));
  return jsonLines ? [columns, `raw.${BAD_LINE}`].filter((item) => item !== '').join(', ') : columns;
}
/** Copies and hashes in one reading. @returns SHA-256, hex */
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
    throw new RefitError(
      'REFIT_PIPELINE_INVALID',
      `sources.${source}.zone: "${zone}" is no time zone; write e.g. America/New_York.`,
      { source, zone },
    );
  }
}
