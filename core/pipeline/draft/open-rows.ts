/** Opens a table's rows as a run would: by a contract, with derived columns and times. From then on SQL sees what a run sees. */

import { checkContract } from '../../dataset/checked-table.ts';
import { compileContract } from '../../dataset/contract.ts';
import type { DuckDb } from '../../dataset/duckdb.ts';
import { reason } from '../../dataset/raw-table.ts';
import { addTimes } from '../../dataset/row-times.ts';
import { RefitError } from '../../spec/errors.ts';
import { type Grain, grainOf } from './choose-split.ts';
import { contractOf } from './contract-of.ts';
import type { LabelReading } from './label.ts';
import type { ColumnSql } from './names.ts';
import type { OpenTable } from './open-table.ts';
import type { ColumnProfile } from './profile.ts';
import type { NamedTime } from './read-times.ts';

export interface DraftRequest {
  name: string;
  /** Project root, which `path` is relative to unless it is absolute. */
  root: string;
  /** Path or glob of the table. */
  path: string;
  label: string;
  time: string;
  key?: string | undefined;
  labelKnownAt?: string | undefined;
  /** IANA zone of times written without one. */
  zone: string;
}

/** A column that the pipeline makes, and why. */
export interface Derived {
  sql: string;
  why: string;
}

/** What is found out along the way. */
export interface Ground {
  db: DuckDb;
  table: OpenTable;
  source: string;
  sql: ColumnSql;
  name: (wanted: string) => string;
  request: DraftRequest;
  columns: ColumnProfile[];
  label: LabelReading;
  time: NamedTime;
  known: NamedTime | undefined;
  derive: Record<string, Derived>;
  /** Columns that the contract types. */
  needed: Set<string>;
}

/**
 * When a row is complete: a row of a day when that day is over, for its label is not known before. So a run as of the end of the
 * data sees the last day, too. Adds to `derive`.
 */
export async function completeTimes(ground: Ground): Promise<{ over: string; grain: Grain; knownAt: string }> {
  const { db, columns, source, label, needed, table, request, time, known, derive, name } = ground;
  const contract = compileContract(contractOf(source, columns, needed, label));
  const place = { source, file: request.path };
  await checkContract(db, table.columns, contract, { zone: request.zone, text: table.format === 'csv', place });
  const at = `(${time.derived?.sql ?? time.at})::TIMESTAMP`;
  const grain = await told('--time', () => grainOf(db, '(SELECT * FROM checked WHERE NOT __broken)', at));
  if (grain === 'none') return { over: time.at, grain, knownAt: known?.at ?? time.at };
  const over = name(`${grain}_over`);
  derive[over] = {
    sql: `${time.at} + INTERVAL 1 ${grain.toUpperCase()}`,
    why: `A row is complete when its ${grain} is over${known ? '' : '; only then is its label known'}.`,
  };
  return { over, grain, knownAt: known?.at ?? over };
}

/** DuckDB's own failure of an expression that the user gave, as theirs. */
export async function told<T>(option: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RefitError) throw error;
    throw new RefitError('REFIT_USAGE', `${option}: ${reason(error)}.`, {}, { cause: error });
  }
}

/** Opens the rows as a run would, as the view `timed`; then `looked`: rows to look at closely, with `__label`. */
export async function openTimed(ground: Ground, over: string, guarded: Record<string, string>): Promise<void> {
  const { db, source, table, columns, derive, time, label } = ground;
  const sqls = Object.fromEntries(Object.entries(derive).map(([name, { sql }]) => [name, sql]));
  const spec = { derive: sqls, eventTime: over, knownAt: { '*': time.at, ...guarded } };
  await told('--time', () =>
    addTimes(
      db,
      source,
      columns.map(({ name }) => name),
      spec,
    ),
  );
  const [described] = await told('--label', () =>
    db.rows<{ column_type: string }>(`DESCRIBE SELECT (${label.sql}) AS y FROM timed`),
  );
  if (!/^(BOOLEAN|U?(TINY|SMALL|BIG)?INT(EGER)?)$/.test(described?.column_type ?? '')) {
    throw new RefitError(
      'REFIT_USAGE',
      `--label ${label.sql} gives ${described?.column_type}; it must be true or false, e.g. --label "amount > 100".`,
    );
  }
  await told('--label', () =>
    db.run(
      `CREATE TEMP TABLE looked AS SELECT *, (${label.sql})::BOOLEAN AS __label FROM timed WHERE NOT __broken AND (${table.sampled})`,
    ),
  );
}
