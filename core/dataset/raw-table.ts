import { RefitError } from '../spec/errors.ts';
import { nearest } from '../spec/nearest.ts';
import { convert, keep, type RawColumn } from './column-types.ts';
import type { Contract, ContractColumn, ContractRule } from './contract.ts';
import { type DuckDb, identifier, literal } from './duckdb.ts';
import { BAD_LINE, openJsonLines } from './json-lines.ts';
import { pathColumns } from './path-columns.ts';

/**
 * A file as it is (view `raw`) and as its contract types it (view `checked`), with one BOOLEAN `__rule_<i>` a rule and
 * `__broken`, their disjunction. `__row` counts the file's rows from 1, in its order.
 */

/** Names the extraction uses itself. */
const RESERVED =
  /^__(row|line|gone_at|type_\d+|rule_\d+|broken|known_\d+|event_at|noticed|bad_known_at|rules|rule_known_at)$/;

/** Where we are, for messages: source and file as the user knows them. */
export interface Place {
  source: string;
  file: string;
}

export interface CheckedTable {
  /** Columns of the table, the contract's types applied: the file's in its order, then optional ones it does not have. */
  columns: string[];
  rules: ContractRule[];
}

/** First line of DuckDB's words, without what is about our scratch files. */
export function reason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
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
    return await openTable(db, reader, folders);
  } catch (error) {
    throw unreadable(error, place);
  }
}

async function openTable(db: DuckDb, reader: string, folders: string): Promise<RawColumn[]> {
  const described = await db.rows<{ column_name: string; column_type: string }>(`DESCRIBE SELECT * FROM ${reader}`);
  const own = described.map(({ column_name, column_type }) => ({ name: column_name, type: column_type }));
  const taken = own.find(({ name }) => RESERVED.test(name));
  if (taken) throw new Error(`its column "${taken.name}" has a name that is reserved`);
  const has = (name: string) => own.some((column) => column.name.toLowerCase() === name.toLowerCase());
  const inPath = pathColumns(folders).filter(({ name }) => !has(name));
  const items = inPath.map(
    ({ name, value }) => `, ${value === null ? 'NULL::VARCHAR' : literal(value)} AS ${identifier(name)}`,
  );
  await db.run(`CREATE TEMP VIEW raw AS SELECT *${items.join('')}, row_number() OVER () AS __row FROM ${reader}`);
  return [...own, ...inPath.map(({ name }) => ({ name, type: 'VARCHAR', text: true }))];
}

export function unreadable(error: unknown, { source, file }: Place): RefitError {
  const why = reason(error);
  return new RefitError(
    'REFIT_SOURCE_UNREADABLE',
    `${file} of source "${source}" cannot be read: ${why}.`,
    { source, file },
    { cause: error },
  );
}

/** By a file's name, in the words of DuckDB's readers. */
export function compressionOf(file: string): string {
  return file.endsWith('.gz') ? 'gzip' : file.endsWith('.zst') ? 'zstd' : 'none';
}

/**
 * Creates the view `checked`.
 * @throws RefitError REFIT_CONTRACT_MISSING_COLUMN, REFIT_CONTRACT_TYPE, REFIT_CONTRACT_INVALID (a pattern RE2 refuses)
 */
export async function checkContract(
  db: DuckDb,
  raw: RawColumn[],
  contract: Contract,
  options: { zone: string; text: boolean; jsonLines?: boolean; place: Place },
): Promise<CheckedTable> {
  const values: string[] = [];
  const flags: string[] = [];
  const rules: ContractRule[] = [];
  if (options.jsonLines) {
    flags.push(`${BAD_LINE} IS NOT NULL AS __type_0`);
    const columns = contract.columns.map(({ name }) => name);
    rules.push({ rule: 'line: JSON object', column: null, columns, brokenSql: '__type_0' });
  }
  // A line that could not be read breaks that one rule, not those of its columns besides.
  const readable = options.jsonLines ? 'NOT __type_0 AND ' : '';
  for (const column of raw) {
    const wanted = contract.columns.find(({ name }) => name === column.name);
    const own = contract.rules.filter((rule) => rule.column === column.name);
    if (!wanted) {
      values.push(`${keep(column, options.zone)} AS ${identifier(column.name)}`);
      continue;
    }
    const { valueSql, brokenSql } = await conversion(db, column, wanted, options);
    values.push(`${valueSql} AS ${identifier(column.name)}`);
    if (brokenSql === undefined) {
      rules.push(...own);
      continue;
    }
    const flag = `__type_${flags.length}`;
    flags.push(`${brokenSql} AS ${flag}`);
    const text = `${column.name}: ${wanted.type.startsWith('date') ? 'format' : 'type'} ${wanted.type}`;
    rules.push({ rule: text, column: column.name, columns: [column.name], brokenSql: flag, wrongType: true });
    // A value of the wrong type is NULL by now: it breaks that one rule, not `required` besides.
    rules.push(...own.map((rule) => ({ ...rule, brokenSql: `${readable}NOT ${flag} AND (${rule.brokenSql})` })));
  }
  const missing = missingColumns(raw, contract, options.place);
  values.push(...missing.map(({ name, sqlType }) => `NULL::${sqlType} AS ${identifier(name)}`));
  const ruled = rules.map(({ brokenSql }, i) => `(${brokenSql}) AS __rule_${i}`);
  const broken = rules.length === 0 ? 'false' : rules.map((_, i) => `__rule_${i}`).join(' OR ');
  const typed = `SELECT ${[...values, ...flags, '__row'].join(', ')} FROM raw`;
  const star = flags.length > 0 ? `* EXCLUDE (${flags.map((_, i) => `__type_${i}`).join(', ')})` : '*';
  try {
    await db.run(`CREATE TEMP VIEW checked AS
      SELECT *, (${broken}) AS __broken FROM (SELECT ${[star, ...ruled].join(', ')} FROM (${typed}))`);
  } catch (error) {
    const { source } = options.place;
    throw new RefitError(
      'REFIT_CONTRACT_INVALID',
      `The contract of source "${source}" cannot be checked: ${reason(error)}.`,
      { source },
    );
  }
  return { columns: [...raw.map(({ name }) => name), ...missing.map(({ name }) => name)], rules };
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
