import { RefitError } from '../spec/errors.ts';
import { nearest } from '../spec/nearest.ts';
import { convert, keep, type RawColumn } from './column-types.ts';
import type { Contract, ContractColumn, ContractRule, ContractType } from './contract.ts';
import { type DuckDb, identifier, literal } from './duckdb.ts';

import { BAD_LINE, openJsonLines } from './json-lines.ts';
import { pathColumns } from './path-columns.ts';
import { treatedSql } from './pii-sql.ts';

/**
 * A file as it is (view `raw`) and as its contract types it (view `checked`), with one BOOLEAN `__rule_<i>` a rule and
 * `__broken`, their disjunction. `__row` counts the file's rows from 1, in its order.
 */

/** Names the extraction uses itself. */
const RESERVED =
  /^__(raw_\d+(_aside)?|row|line|gone_at|type_\d+|rule_\d+|broken|known_\d+|event_at|noticed|bad_known_at|rules|rule_known_at)$/;

/** Where we are, for messages: source and file as the user knows them. */
export interface Place {
  source: string;
  file: string;
  /** The source holds personal data: DuckDB's words about a value must not be repeated. */
  discreet?: boolean;
}

export interface CheckedTable {
  /** Columns of the table, the contract's types applied: the file's in its order, then optional ones it does not have. */
  columns: string[];
  rules: ContractRule[];
  /** Columns of personal data as `checked` holds them raw besides, for expressions that may see them: column → `__raw_<i>`. */
  rawPii: Map<string, string>;
}

/** First line of DuckDB's words, without what is about our scratch files. */
export function reason(error: unknown, discreet = false): string {
  const text = error instanceof Error ? error.message : String(error);
  if (discreet)
    return `${/^[A-Z][A-Za-z ]* Error/.exec(text)?.[0] ?? 'an error'} (its words are withheld: the source holds personal data)`;
  const line = text.split('\n').find((part) => part.trim() !== '') ?? text;
  return line
    .replace(/'[^']*\/([^/']+)'/g, "'$1'")
    .replace(/[.\s]+$/, '')
    .slice(0, 300);
}

/** How a file's bytes are to be read. */
export type FileFormat = 'parquet' | 'csv' | 'jsonl';

interface RawFile {
  format: FileFormat;
  place: Place;
  /** Columns to take from JSON lines. */
  fields?: string[];
  /** Path whose folders name columns (`year=2013/`). */
  folders?: string;
}

/**
 * @returns the file's columns, then those that its path names; view `raw` holds them and `__row`.
 * @throws RefitError REFIT_SOURCE_UNREADABLE
 */
export async function openRaw(db: DuckDb, path: string, file: RawFile): Promise<RawColumn[]> {
  const { format, place, fields = [], folders = '' } = file;
  const packed = compressionOf(place.file);
  try {
    if (format === 'jsonl') return await openJsonLines(db, path, { columns: fields, compression: packed });
    const reader =
      format === 'parquet'
        ? `read_parquet(${literal(path)}, hive_partitioning = false)`
        : // Text only: guessed types would differ from file to file; the contract says what they are.
          `read_csv(${literal(path)}, header = true, all_varchar = true, hive_partitioning = false, compression = ${literal(packed)})`;
    return await openTable(db, reader, { folders, numbered: format === 'parquet' });
  } catch (error) {
    throw unreadable(error, place);
  }
}

async function openTable(
  db: DuckDb,
  reader: string,
  { folders, numbered }: { folders: string; numbered: boolean },
): Promise<RawColumn[]> {
  const described = await db.rows<{ column_name: string; column_type: string }>(`DESCRIBE SELECT * FROM ${reader}`);
  const own = described.map(({ column_name, column_type }) => ({ name: column_name, type: column_type }));
  const taken = own.find(({ name }) => RESERVED.test(name));
  if (taken) throw new Error(`its column "${taken.name}" has a name that is reserved`);
  const has = (name: string) => own.some((column) => column.name.toLowerCase() === name.toLowerCase());
  const inPath = pathColumns(folders).filter(({ name }) => !has(name));
  const items = inPath.map(
    ({ name, value }) => `, ${value === null ? 'NULL::VARCHAR' : literal(value)} AS ${identifier(name)}`,
  );
  // Parquet knows its rows' numbers, which costs less than counting them, and nothing where they are not asked for.
  const known = numbered && !has('file_row_number');
  const from = known ? reader.replace(/\)$/, ', file_row_number = true)') : reader;
  const star = known ? '* EXCLUDE (file_row_number)' : '*';
  const number = known ? 'file_row_number + 1' : 'row_number() OVER ()';
  await db.run(`CREATE TEMP VIEW raw AS SELECT ${star}${items.join('')}, ${number} AS __row FROM ${from}`);
  return [...own, ...inPath.map(({ name }) => ({ name, type: 'VARCHAR', text: true }))];
}

export function unreadable(error: unknown, { source, file, discreet }: Place): RefitError {
  const why = reason(error, discreet);
  return new RefitError(
    'REFIT_SOURCE_UNREADABLE',
    `${file} of source "${source}" cannot be read: ${why}.`,
    { source, file },
    discreet ? {} : { cause: error },
  );
}

/** By a file's name, in the words of DuckDB's readers. */
export function compressionOf(file: string): string {
  return file.endsWith('.gz') ? 'gzip' : file.endsWith('.zst') ? 'zstd' : 'none';
}

/**
 * Creates the view `checked`.
 * @throws RefitError REFIT_CONTRACT_MISSING_COLUMN, REFIT_CONTRACT_UNKNOWN_COLUMN, REFIT_CONTRACT_TYPE, REFIT_CONTRACT_INVALID
 * (a pattern RE2 refuses)
 */
export async function checkContract(
  db: DuckDb,
  raw: RawColumn[],
  contract: Contract,
  options: { zone: string; text: boolean; jsonLines?: boolean; place: Place },
): Promise<CheckedTable> {
  const values: string[] = [];
  const flags = new Map<string, string>();
  const rules: ContractRule[] = [];
  refuseUnknown(raw, contract, options.place);
  if (options.jsonLines) {
    values.push(`${BAD_LINE} IS NOT NULL AS __type_line`);
    const columns = contract.columns.map(({ name }) => name);
    rules.push({ rule: 'line: JSON object', column: null, columns, brokenSql: '__type_line', schema: {} });
  }
  for (const column of raw) {
    const wanted = contract.columns.find(({ name }) => name === column.name);
    if (!wanted) {
      values.push(`${keep(column, options.zone)} AS ${identifier(column.name)}`);
      continue;
    }
    const { valueSql, brokenSql } = await conversion(db, column, wanted, options);
    values.push(`${valueSql} AS ${identifier(column.name)}`);
    if (brokenSql === undefined) continue;
    const flag = `__type_${flags.size}`;
    flags.set(column.name, flag);
    values.push(`${brokenSql} AS ${flag}`);
    rules.push(typeRule(column.name, wanted.type, flag));
  }
  // A value of the wrong type is NULL by now: it breaks that one rule, not `required` besides, nor any other it takes part in.
  // So does a line that could not be read.
  const lines = options.jsonLines ? ['__type_line'] : [];
  for (const rule of contract.rules) {
    const wrong = [...lines, ...rule.columns.flatMap((name) => flags.get(name) ?? [])];
    rules.push(
      wrong.length === 0 ? rule : { ...rule, brokenSql: `NOT (${wrong.join(' OR ')}) AND (${rule.brokenSql})` },
    );
  }
  const order = new Map(raw.map(({ name }, i) => [name, i]));
  const place = ({ column }: ContractRule) => order.get(column ?? '') ?? raw.length;
  // By column, as the file has them.
  rules.sort((a, b) => place(a) - place(b));
  const missing = missingColumns(raw, contract, options.place);
  values.push(...missing.map(({ name, sqlType }) => `NULL::${sqlType} AS ${identifier(name)}`));
  const names = [...raw.map(({ name }) => name), ...missing.map(({ name }) => name)];
  const { columns, rawPii, treat } = treatment(contract, names);
  const ruled = rules.map(({ brokenSql }, i) => `(${brokenSql}) AS __rule_${i}`);
  const broken = rules.length === 0 ? 'false' : rules.map((_, i) => `__rule_${i}`).join(' OR ');
  const typed = `SELECT ${[...values, '__row'].join(', ')} FROM raw`;
  const hidden = [...lines, ...flags.values()];
  const star = hidden.length > 0 ? `* EXCLUDE (${hidden.join(', ')})` : '*';
  try {
    await db.run(
      `CREATE TEMP VIEW checked AS ${treat(`
      SELECT *, (${broken}) AS __broken FROM (SELECT ${[star, ...ruled].join(', ')} FROM (${typed}))`)}`,
    );
  } catch (error) {
    const { source } = options.place;
    throw new RefitError(
      'REFIT_CONTRACT_INVALID',
      `The contract of source "${source}" cannot be checked: ${reason(error, options.place.discreet)}.`,
      { source },
    );
  }
  return { columns, rules, rawPii };
}

function typeRule(name: string, type: ContractType, flag: string): ContractRule {
  const text = `${name}: ${type.startsWith('date') ? 'format' : 'type'} ${type}`;
  return { rule: text, column: name, columns: [name], brokenSql: flag, schema: {}, wrongType: true };
}

/** Rules were judged on what was read; from here on, personal data is hashed or gone. */
function treatment(
  { pii }: Contract,
  names: string[],
): Omit<CheckedTable, 'rules'> & { treat: (sql: string) => string } {
  const own = pii.filter(({ column }) => names.includes(column));
  const dropped = own.filter(({ treatment }) => treatment === 'drop').map(({ column }) => column);
  const kept = own.filter(({ column }) => !dropped.includes(column));
  // A dropped one is still asked whether it is missing.
  const seen = own.filter(({ derive, treatment }) => derive.length > 0 || treatment === 'drop');
  const rawPii = new Map(seen.map(({ column }, i) => [column, `__raw_${i}`]));
  const star = [
    '*',
    dropped.length === 0 ? '' : `EXCLUDE (${dropped.map(identifier).join(', ')})`,
    kept.length === 0
      ? ''
      : `REPLACE (${kept.map((one) => `${treatedSql(one, identifier(one.column))} AS ${identifier(one.column)}`).join(', ')})`,
  ].join(' ');
  const raws = [...rawPii].map(([column, name]) => `, ${identifier(column)} AS ${name}`).join('');
  return {
    columns: names.filter((name) => !dropped.includes(name)),
    rawPii,
    treat: (sql) => (own.length === 0 ? sql : `SELECT ${star}${raws} FROM (${sql})`),
  };
}

/** @throws RefitError REFIT_CONTRACT_UNKNOWN_COLUMN where the contract says `"additionalProperties": false` */
function refuseUnknown(raw: RawColumn[], { open, columns }: Contract, { source, file }: Place): void {
  const names = columns.map(({ name }) => name);
  const other = open ? undefined : raw.find(({ name }) => !names.includes(name));
  if (!other) return;
  const message = `${file} of source "${source}" has a column "${other.name}" that its contract does not know${nearest(other.name, names)}.`;
  throw new RefitError('REFIT_CONTRACT_UNKNOWN_COLUMN', message, { source, file, column: other.name });
}

async function conversion(
  db: DuckDb,
  column: RawColumn,
  wanted: ContractColumn,
  { zone, text, place }: { zone: string; text: boolean; place: Place },
): Promise<{ valueSql: string; brokenSql?: string }> {
  const found = convert(column, wanted.type, zone, text);
  if (found) return found;
  // Writers give a column without a single value whatever type they like.
  const [row] = await db.rows<{ n: number }>(`SELECT count(${identifier(column.name)})::DOUBLE AS n FROM raw`);
  if (row?.n === 0) return { valueSql: `NULL::${wanted.sqlType}` };
  throw new RefitError(
    'REFIT_CONTRACT_TYPE',
    `Column "${column.name}" of ${place.file} (source "${place.source}") is ${column.type}; its contract wants ${wanted.type}.`,
    { ...place, column: column.name, found: column.type, wanted: wanted.type },
  );
}

/** Optional columns the file does not have. @throws RefitError REFIT_CONTRACT_MISSING_COLUMN for a required one */
function missingColumns(raw: RawColumn[], contract: Contract, { source, file }: Place): ContractColumn[] {
  const names = raw.map(({ name }) => name);
  const missing = contract.columns.filter(({ name }) => !names.includes(name));
  for (const { name, required } of missing) {
    // SQL does not tell `Origin` from `origin`: beside it, no column of that name could be added.
    const otherCase = names.some((other) => other.toLowerCase() === name.toLowerCase());
    if (!required && !otherCase) continue;
    const message = `${file} of source "${source}" has no column "${name}"${nearest(name, names)}.`;
    throw new RefitError('REFIT_CONTRACT_MISSING_COLUMN', message, { source, file, column: name });
  }
  return missing;
}
