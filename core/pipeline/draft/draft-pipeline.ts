/**
 * Drafts a first pipeline for a table nobody has described: looks at the values, decides what each column is for, and says why.
 * It writes no files (render-…) and runs nothing.
 */

import { type DuckDb, literal, withDuckDb } from '../../dataset/duckdb.ts';
import type { FileFormat } from '../../dataset/raw-table.ts';
import { findColumn, unknownColumn } from './arguments.ts';
import { type Candidate, chooseColumns, type LeftOut } from './choose-features.ts';
import { type ChosenModel, chooseModel } from './choose-model.ts';
import { type ChosenSplit, onlineFor } from './choose-split.ts';
import { contractOf } from './contract-of.ts';
import { findKey, type KeyReading } from './entity-key.ts';
import { type DraftFeature, keepFeatures, nameFeatures, sampleRow } from './keep-features.ts';
import { type LabelReading, readLabel } from './label.ts';
import { columnSql, isPlainName, nameGiver, sourceName } from './names.ts';
import { completeTimes, type Derived, type DraftRequest, type Ground, openTimed, told } from './open-rows.ts';
import { openTable } from './open-table.ts';
import { type ColumnProfile, profileColumns } from './profile.ts';
import { type NamedTime, nameTime } from './read-times.ts';
import { splitRows } from './split-rows.ts';

export interface Draft {
  request: DraftRequest;
  source: string;
  format: FileFormat;
  rows: number;
  contract: Record<string, unknown>;
  derive: Record<string, Derived>;
  /** SQL of the prediction time, and of the time at which the row is complete. */
  at: string;
  over: string;
  time: { column: string; how: string };
  label: LabelReading & { knownAt: string; guarded: string[] };
  key: { name: string; column: string | undefined; because: string };
  features: DraftFeature[];
  leftOut: LeftOut[];
  /** What the user should know; sentences. */
  notes: string[];
  split: ChosenSplit;
  model: ChosenModel;
  /** How long after its prediction time a row can be asked for by key. */
  online: string;
  /** The newest row as a request, feature → value, and its key. */
  sample: Record<string, unknown>;
  sampleKey: unknown;
}

/**
 * @param scratch an empty folder for DuckDB and links
 * @throws RefitError REFIT_USAGE and REFIT_LABEL_ONE_CLASS with what to do; REFIT_SOURCE_… for a file that cannot be read
 */
export function draftPipeline(request: DraftRequest, scratch: string): Promise<Draft> {
  return withDuckDb({ scratch }, (db) => draft(db, request, scratch));
}

async function draft(db: DuckDb, request: DraftRequest, scratch: string): Promise<Draft> {
  await told('--zone', () => db.run(`SELECT timezone(${literal(request.zone)}, TIMESTAMP '2000-01-01')`));
  const table = await openTable(db, request.root, request.path, scratch);
  const sql = await columnSql(db);
  const columns = await profileColumns(table, sql);
  const source = sourceName(request.path);
  const name = nameGiver(columns.map((column) => column.name));
  const label = await readLabel(table, request.label, columns, { sql, model: request.name });
  const wanted = { option: '--time', value: request.time, zone: request.zone, name };
  const time = await nameTime(db, wanted, columns, 'event_time');
  const known = await labelKnown(db, request, columns, name);
  const used = new Set([...label.columns, ...time.columns, ...(known?.columns ?? [])]);
  const free = columns.filter((one) => !used.has(one.name));
  const key = await findKey(db, free, table.rows, wantedKey(request, free));
  const others = free.filter((one) => one !== key.column);
  const { candidates, leftOut } = chooseColumns(others, time.at);

  const needed = new Set([...used, ...(key.column ? [key.column.name] : []), ...candidates.map((one) => one.name)]);
  const derive: Record<string, Derived> = {};
  for (const { derived, column, how } of [time, ...(known ? [known] : [])]) {
    if (derived) derive[derived.name] = { sql: derived.sql, why: `${column} as a time: ${how}.` };
  }
  const ground = { db, table, source, sql, name, request, columns, label, time, known, derive, needed };
  const times = await completeTimes(ground);
  const keyName = nameKey(ground, key, candidates);
  const guarded = label.columns.filter(
    (one) => ![...time.columns, ...(known?.columns ?? []), key.column?.name].includes(one),
  );
  await openTimed(ground, times.over, Object.fromEntries(guarded.map((column) => [column, times.knownAt])));

  const { split, notes } = await splitRows(ground, times);
  const kept = await keepFeatures(ground, candidates, leftOut, notes);
  const features = nameFeatures(kept, keyName);
  const rows = await sampleRow(ground, features, keyName);
  for (const candidate of candidates) if (!kept.includes(candidate)) needed.delete(candidate.name);
  return {
    ...{ request, source, format: table.format, rows: table.rows, derive, at: time.at, over: times.over },
    contract: contractOf(source, columns, needed, label),
    time: { column: time.column, how: time.how },
    label: { ...label, knownAt: times.knownAt, guarded },
    key: { name: keyName, column: key.column?.name, because: key.because },
    features,
    leftOut,
    notes,
    split,
    model: chooseModel(split),
    online: await onlineFor(db, split.asOf, times.grain),
    ...rows,
  };
}

async function labelKnown(
  db: DuckDb,
  { labelKnownAt: value, zone }: DraftRequest,
  columns: ColumnProfile[],
  name: (wanted: string) => string,
): Promise<NamedTime | undefined> {
  if (value === undefined) return undefined;
  return nameTime(db, { option: '--label-known-at', value, zone, name }, columns, 'label_known_at');
}

/** @param columns those that are neither time nor label */
function wantedKey({ key }: DraftRequest, columns: ColumnProfile[]): ColumnProfile | undefined {
  if (key === undefined) return undefined;
  const column = findColumn(columns, key);
  if (column) return column;
  const names = columns.map(({ name }) => name);
  throw unknownColumn('--key', key, names);
}

/** The key's column, or one that is made: from a column with an awkward name, or from all that stands in the row. */
function nameKey({ derive, name, sql, time }: Ground, { column }: KeyReading, candidates: Candidate[]): string {
  if (column && isPlainName(column.name)) return column.name;
  const made = name(column?.name ?? 'row_id');
  const parts = [time.at, ...candidates.slice(0, 12).map((one) => sql(one.name))];
  derive[made] = column
    ? { sql: sql(column.name), why: 'The key, by a name that can stand in a request.' }
    : {
        sql: `md5(concat_ws('|', ${parts.join(', ')}))`,
        why: 'No column names a row: what stands in it does. Put your own key here if you have one.',
      };
  return made;
}
