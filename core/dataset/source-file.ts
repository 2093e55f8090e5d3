import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import path from 'node:path';
import { Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { RefitError } from '../spec/errors.ts';
import type { SourceSpec } from '../spec/pipeline.ts';
import type { StepContext } from '../store/step.ts';
import { type Contract, type ContractRule, compileContract } from './contract.ts';
import { type DuckDb, literal, withDuckDb } from './duckdb.ts';
import { fileError } from './partitions.ts';
import { checkContract, openRaw, type Place, unreadable } from './raw-table.ts';
import { addTimes, failingExpression, type TimedColumns } from './row-times.ts';
import type { SourceFiles } from './source-files.ts';

/** One file of a source opened in DuckDB: its rows as read, checked and timed, by exactly the bytes that were asked for. */

/** What of a source shapes its partitions; the rest (share of bad rows, freshness) is judged when they are published. */
const SLICE = ['format', 'contract', 'zone', 'derive', 'eventTime', 'knownAt', 'recordedAt'] as const;
export type ExtractSlice = Pick<SourceSpec, (typeof SLICE)[number]>;

export function extractSlice(spec: SourceSpec): ExtractSlice {
  return Object.fromEntries(
    SLICE.filter((key) => spec[key] !== undefined).map((key) => [key, spec[key]]),
  ) as unknown as ExtractSlice;
}

export interface ExtractInput {
  source: string;
  spec: ExtractSlice;
  /** Name relative to the project's root, and the digest of the bytes to read. */
  file: { name: string; sha256: string };
}

/** The file as views `raw`, `checked` and `timed` (see raw-table.ts, row-times.ts). */
export interface SourceFileTable extends TimedColumns {
  db: DuckDb;
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
  files: SourceFiles,
  { source, spec, file }: ExtractInput,
  { scratch, signal }: StepContext,
  use: (table: SourceFileTable) => Promise<T>,
): Promise<T> {
  const place: Place = { source, file: file.name };
  const contract = compileContract(spec.contract);
  const copy = path.join(scratch, 'input');
  const sha256 = await copyHashed(await files.path(file.name, file.sha256, signal), copy, signal);
  if (sha256 !== file.sha256) {
    const details = { ...place, expected: file.sha256, found: sha256 };
    throw new RefitError('REFIT_SOURCE_CHANGED', `${file.name} changed after it was looked at.`, details);
  }
  // One thread each: partitions run side by side, and one thread keeps the file's order and gives the same bytes.
  return withDuckDb({ scratch, signal, threads: 1 }, async (db) => {
    await checkZone(db, source, spec.zone);
    const fields = contract.columns.map(({ name }) => name);
    const raw = await openRaw(db, copy, { format: spec.format, place, fields, folders: file.name });
    const kind = { text: spec.format === 'csv', jsonLines: spec.format === 'jsonl' };
    const table = await checkContract(db, raw, contract, { zone: spec.zone, ...kind, place });
    const timed = await addTimes(db, source, table.columns, spec);
    const read = <R>(query: (db: DuckDb) => Promise<R>) =>
      query(db).catch((error: unknown) => explain(db, spec, place, error));
    return use({ db, place, contract, ...timed, rules: table.rules, read });
  });
}

async function explain(db: DuckDb, spec: ExtractSlice, place: Place, error: unknown): Promise<never> {
  if (/No space left|ENOSPC|Out of Memory|INTERRUPT/i.test(String(error))) throw error;
  throw (await failingExpression(db, place.source, spec)) ?? unreadable(error, place);
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
