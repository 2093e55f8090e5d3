import { stat } from 'node:fs/promises';
import { RefitError } from '../spec/errors.ts';
import type { RawColumn } from './column-types.ts';
import { type DuckDb, identifier, literal } from './duckdb.ts';
import { openJsonLines } from './json-lines.ts';
import { pathColumns, pathValueSql } from './path-columns.ts';

/** A file as it is, as the view `raw`. `__row` counts the file's rows from 1, in its order. */

/** Names the extraction uses itself. */
const RESERVED =
  /^__(raw_\d+(_aside)?|row|line|gone_at|type_\d+|flags|broken|repeats|known_\d+|event_at|noticed|bad_known_at|rules|rule_known_at)$/;

/** Where we are, for messages: source and file as the user knows them. */
export interface Place {
  source: string;
  file: string;
  /** The source holds personal data: DuckDB's words about a value must not be repeated. */
  discreet?: boolean;
}

/** First line of DuckDB's words, without what is about our scratch files. `discreet`: only their kind. */
export function reason(error: unknown, discreet = false): string {
  const text = error instanceof Error ? error.message : String(error);
  if (discreet)
    return `${/^[A-Z][A-Za-z ]* Error/.exec(text)?.[0] ?? 'an error'} (its words are withheld: they may repeat personal data)`;
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
export async function openRaw(db: DuckDb, path: string, of: RawFile): Promise<RawColumn[]> {
  const { format, place, fields = [], folders = '' } = of;
  const packed = compressionOf(place.file);
  try {
    // DuckDB would give it a column of its own making. `path` may be a pattern.
    const file = format === 'csv' ? await stat(path).catch(() => undefined) : undefined;
    if (file?.size === 0) throw new Error('it is empty, and has no header');
    if (format === 'jsonl') return await openJsonLines(db, path, { columns: fields, compression: packed, folders });
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
  const items = inPath.map((one) => `, ${pathValueSql(one)} AS ${identifier(one.name)}`);
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
