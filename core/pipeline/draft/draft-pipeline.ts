/**
 * Drafts a first pipeline for a table nobody has described: looks at the values, decides what each column is for, and says why.
 * It writes no files (render-…) and runs nothing.
 */
import { compileContract } from '../../dataset/contract.ts';
import { type DuckDb, identifier, withDuckDb } from '../../dataset/duckdb.ts';
import { checkContract, reason } from '../../dataset/raw-table.ts';
import { addTimes } from '../../dataset/row-times.ts';
import { newestEventOf } from '../../dataset/snapshot-sql.ts';
import { isoSql } from '../../dataset/time-sql.ts';
import { RefitError } from '../../spec/errors.ts';
import { findColumn, unknownColumn } from './arguments.ts';
import { type Candidate, chooseColumns, findLeaks, type LeftOut, rowNumbers } from './choose-features.ts';
import { type ChosenModel, chooseModel } from './choose-model.ts';
import { type ChosenSplit, chooseSplit, type Grain, grainOf, onlineFor } from './choose-split.ts';
import { contractOf } from './contract-of.ts';
import { findKey, type KeyReading } from './entity-key.ts';
import { type LabelReading, readLabel } from './label.ts';
import { type ColumnSql, columnSql, listed, nameGiver, sourceName } from './names.ts';
import { type OpenTable, openTable } from './open-table.ts';
import { type ColumnProfile, profileColumns } from './profile.ts';
import { type NamedTime, nameTime } from './read-times.ts';

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

export interface DraftFeature {
  name: string;
  /** SQL over the source's columns; the name itself where it is the column. */
  sql: string;
  kind: 'number' | 'category';
  column: string;
}

/** A column that the pipeline makes, and why. */
export interface Derived {
  sql: string;
  why: string;
}

export interface Draft {
  request: DraftRequest;
  source: string;
  format: 'parquet' | 'csv';
  rows: number;
  contract: Record<string, unknown>;
  derive: Record<string, Derived>;
  /** SQL of the prediction time, and of the time at which the row is complete. */
  at: string;
  over: string;
  grain: Grain;
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
  const table = await openTable(db, request.root, request.path, scratch);
  const sql = await columnSql(db);
  const columns = await profileColumns(table, sql);
  const source = sourceName(request.path);
  const name = nameGiver(columns.map((column) => column.name));
  const label = await readLabel(table, request.label, columns, { sql, model: request.name });
  const time = await nameTime(
    db,
    { option: '--time', value: request.time, zone: request.zone, name },
    columns,
    'event_time',
  );
  const known = await labelKnown(db, request, columns, name);
  const used = new Set([...label.columns, ...time.columns, ...(known?.columns ?? [])]);
  const free = columns.filter((one) => !used.has(one.name));
  const key = await findKey(db, free, table.rows, wantedKey(request, columns));
  const { candidates, leftOut } = chooseColumns(
    free.filter((one) => one !== key.column),
    time.at,
  );

  const needed = new Set([...used, ...(key.column ? [key.column.name] : []), ...candidates.map((one) => one.name)]);
  const derive: Record<string, Derived> = {};
  for (const { derived, column, how } of [time, ...(known ? [known] : [])]) {
    if (derived) derive[derived.name] = { sql: derived.sql, why: `${column} as a time: ${how}.` };
  }
  const ground = { db, table, source, sql, name, request, columns, label, time, known, derive, needed };
  const { over, grain, knownAt } = await completeTimes(ground);
  const keyName = nameKey(ground, key, candidates);
  const guarded = label.columns.filter(
    (one) => ![...time.columns, ...(known?.columns ?? []), key.column?.name].includes(one),
  );
  await openTimed(ground, over, Object.fromEntries(guarded.map((column) => [column, knownAt])));

  const { split, notes } = await splitRows(ground, over, knownAt, grain);
  const kept = await keepFeatures(ground, candidates, leftOut, notes);
  const features = nameFeatures(kept, keyName, sql);
  const rows = await sampleRow(ground, features, keyName);
  for (const candidate of candidates) if (!kept.includes(candidate)) needed.delete(candidate.name);
  return {
    ...{ request, source, format: table.format, rows: table.rows, derive, at: time.at, over, grain },
    contract: contractOf(source, columns, needed, label),
    time: { column: time.column, how: time.how },
    label: { ...label, knownAt, guarded },
    key: { name: keyName, column: key.column?.name, because: key.because },
    features,
    leftOut,
    notes,
    split,
    model: chooseModel(split),
    online: await onlineFor(db, split.asOf, grain),
    ...rows,
  };
}

/** What is found out along the way. */
interface Ground {
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

async function labelKnown(
  db: DuckDb,
  { labelKnownAt: value, zone }: DraftRequest,
  columns: ColumnProfile[],
  name: (wanted: string) => string,
): Promise<NamedTime | undefined> {
  if (value === undefined) return undefined;
  return nameTime(db, { option: '--label-known-at', value, zone, name }, columns, 'label_known_at');
}

function wantedKey({ key }: DraftRequest, columns: ColumnProfile[]): ColumnProfile | undefined {
  if (key === undefined) return undefined;
  const column = findColumn(columns, key);
  if (!column)
    throw unknownColumn(
      '--key',
      key,
      columns.map(({ name }) => name),
    );
  return column;
}

/**
 * When a row is complete: a row of a day when that day is over, for its label is not known before. So a run as of the end of the
 * data sees the last day, too. Adds to `derive`.
 */
async function completeTimes(ground: Ground): Promise<{ over: string; grain: Grain; knownAt: string }> {
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
async function told<T>(option: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RefitError) throw error;
    throw new RefitError('REFIT_USAGE', `${option}: ${reason(error)}.`, {}, { cause: error });
  }
}

/** The key's column, or one that is made: from a column with an awkward name, or from all that stands in the row. */
function nameKey({ derive, name, sql, time }: Ground, { column }: KeyReading, candidates: Candidate[]): string {
  if (column && /^(?!__)[A-Za-z_][A-Za-z0-9_]*$/.test(column.name)) return column.name;
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

/** Opens the rows as a run would, as the view `timed`; then `looked`: rows to look at closely, with `__label`. */
async function openTimed(ground: Ground, over: string, guarded: Record<string, string>): Promise<void> {
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

async function splitRows({ db, table, time, label }: Ground, over: string, knownAt: string, grain: Grain) {
  const when = (sql: string) => `(${sql})::TIMESTAMP`;
  await told('--label', () =>
    db.run(`CREATE TEMP TABLE asked AS SELECT ${when(time.at)} AS asked_at, greatest(coalesce(${when(knownAt)}, 'infinity'), ${when(time.at)}) AS known,
      ${when(over)} AS "over", (${label.sql})::BOOLEAN AS y FROM timed WHERE NOT __broken AND isfinite(${when(time.at)})`),
  );
  const [newest] = await db.rows<{ at: string | null }>(`SELECT ${isoSql('max("over")')} AS at FROM asked`);
  const asOf = newestEventOf(newest?.at ? [{ eventRange: { oldest: newest.at, newest: newest.at } }] : []);
  if (asOf === null) throw new RefitError('REFIT_USAGE', `--time ${time.column} is empty in every row.`);
  const split = await chooseSplit(db, asOf, grain, time.column);
  const [counts] = await db.rows<{ timed: number; unlabelled: number; late: number }>(`SELECT count(*)::DOUBLE AS timed,
    count(*) FILTER (WHERE y IS NULL)::DOUBLE AS unlabelled, count(*) FILTER (WHERE y IS NOT NULL AND NOT known <= ${`TIMESTAMP '${asOf.slice(0, -1)}'`})::DOUBLE AS late FROM asked`);
  const notes: string[] = [];
  const count = (rows: number) => rows.toLocaleString('en-US');
  const lost = table.rows - (counts?.timed ?? 0);
  if (lost > 0)
    notes.push(`${count(lost)} of ${count(table.rows)} rows have no time in ${time.column} and are not used.`);
  if (counts && counts.unlabelled > 0)
    notes.push(`${count(counts.unlabelled)} rows have no label; they are counted and left out of training.`);
  if (counts && counts.late > 0)
    notes.push(`The label of ${count(counts.late)} rows is known only after the end of the data.`);
  const { train, validate, test } = split;
  const few = Math.min(...[train, validate, test].map(({ rows, positives }) => Math.min(positives, rows - positives)));
  if (few < 30)
    notes.push(
      `There are few rows of the rarer outcome (${few} in one of the periods): take the figures with a grain of salt.`,
    );
  return { split, notes };
}

/** Candidates less what gives the label away or only counts rows; tells of both. */
async function keepFeatures(
  { db, columns }: Ground,
  candidates: Candidate[],
  leftOut: LeftOut[],
  notes: string[],
): Promise<Candidate[]> {
  const dense = await rowNumbers(db, candidates);
  const usable = candidates.filter(({ name }) => !dense.has(name));
  const { leaks, suspects } = await findLeaks(db, 'looked', usable);
  const honest = usable.filter(({ name }) => !leaks.has(name));
  const kept = honest.length > 0 ? honest : usable;
  if (kept.length === 0) {
    const why = leftOut.map(({ column, why }) => `${column}: ${why}`);
    const known = why.length === 0 ? 'there is none besides the label, the time and the key' : listed(why);
    throw new RefitError('REFIT_USAGE', `No column is left to learn from: ${known}.`, { leftOut });
  }
  for (const name of dense) leftOut.push({ column: name, why: 'it only counts the rows', sql: identifier(name) });
  if (honest.length > 0) {
    for (const [name, auc] of leaks) {
      const { sql } = usable.find((one) => one.name === name) as Candidate;
      leftOut.push({
        column: name,
        why: `it alone tells the label (AUC ${auc.toFixed(3)}): known only afterwards?`,
        sql,
      });
    }
  } else {
    notes.push(
      `${listed([...leaks.keys()])} alone tells the label and is all there is to learn from: is it known only afterwards?`,
    );
  }
  for (const [name, auc] of suspects) {
    notes.push(
      `${name} alone ${auc >= 0.999 ? 'tells' : 'nearly tells'} the label (AUC ${auc.toFixed(3)}): take it out if it is known only afterwards.`,
    );
  }
  const place = new Map(columns.map((column) => [column.name, column.place]));
  leftOut.sort((a, b) => (place.get(a.column) ?? 0) - (place.get(b.column) ?? 0));
  return kept;
}

/** Features by their columns' names where those are names; the others give way. */
function nameFeatures(kept: Candidate[], key: string, sql: ColumnSql): DraftFeature[] {
  const give = nameGiver([key, 'predict_at']);
  const names = new Map<string, string>();
  const plain = ({ name }: Candidate) => /^(?!__)[A-Za-z_][A-Za-z0-9_]*$/.test(name);
  for (const one of [...kept.filter(plain), ...kept.filter((one) => !plain(one))])
    names.set(one.name, give(one.name, one.place));
  return kept.map((one) => ({
    name: names.get(one.name) ?? sql(one.name),
    sql: one.sql,
    kind: one.kind,
    column: one.name,
  }));
}

/** The newest row, as a request would hold it. */
async function sampleRow(
  { db, time }: Ground,
  features: DraftFeature[],
  key: string,
): Promise<Pick<Draft, 'sample' | 'sampleKey'>> {
  const value = ({ sql, kind }: DraftFeature) => (kind === 'category' ? `(${sql})::VARCHAR` : `(${sql})::DOUBLE`);
  const items = features.map((feature, i) => `${value(feature)} AS f${i}`);
  const [row = {}] = await db.rows(`SELECT ${[`${identifier(key)} AS __key`, ...items].join(', ')} FROM looked
    WHERE isfinite((${time.at})::TIMESTAMP) ORDER BY (${time.at})::TIMESTAMP DESC, __row DESC LIMIT 1`);
  const plain = (found: unknown) =>
    typeof found === 'bigint' ? Number(found) : Number.isNaN(found) ? null : (found ?? null);
  return {
    sample: Object.fromEntries(features.map(({ name }, i) => [name, plain(row[`f${i}`])])),
    sampleKey: plain(row.__key),
  };
}
