/** Opens a table nobody has described yet: all of it as the view `raw`, some of it as the table `sample`. */
import { open, symlink } from 'node:fs/promises';
import path from 'node:path';
import type { RawColumn } from '../../dataset/column-types.ts';
import { type DuckDb, literal } from '../../dataset/duckdb.ts';
import { typeJsonLines } from '../../dataset/json-lines.ts';
import { listPartitions } from '../../dataset/partitions.ts';
import { compressionOf, type FileFormat, openRaw, type Place, unreadable } from '../../dataset/raw-table.ts';
import { RefitError } from '../../spec/errors.ts';

export interface OpenTable {
  db: DuckDb;
  format: FileFormat;
  rows: number;
  columns: RawColumn[];
  /** SQL condition over `__row` that picks the rows looked at closely; `true` where that is all of them. */
  sampled: string;
}

/** Rows that types, categories and leaks are judged by; counts, times and labels are always of all rows. */
export const SAMPLE_ROWS = 50_000;

/** The format by a file's name. @throws RefitError REFIT_USAGE for another kind of file */
export function formatOf(file: string): FileFormat {
  const name = file.toLowerCase();
  if (/\.(parquet|pq)$/.test(name)) return 'parquet';
  if (/\.(csv|tsv|txt)(\.gz|\.zst)?$/.test(name)) return 'csv';
  if (/\.(jsonl|ndjson)(\.gz|\.zst)?$/.test(name)) return 'jsonl';
  throw new RefitError(
    'REFIT_USAGE',
    `--from ${file} is neither Parquet nor CSV nor JSON lines (.jsonl) by its name; convert it to one of them.`,
  );
}

/**
 * Opens the files that `source` (a path or a glob) names. @param scratch an empty folder
 * @throws RefitError REFIT_USAGE (no rows), REFIT_SOURCE_MISSING, REFIT_SOURCE_UNREADABLE
 */
export async function openTable(db: DuckDb, root: string, source: string, scratch: string): Promise<OpenTable> {
  const format = formatOf(source);
  const files = await listPartitions(root, 'init', { path: source });
  // By links, as the extraction does by a copy: what DuckDB takes for a wildcard may stand in a file's name.
  for (const [index, file] of files.entries()) await symlink(file.path, path.join(scratch, `input-${index}`));
  if (format !== 'parquet') for (const file of files) await requireUtf8(file.path, file.name);
  const place = { source: path.basename(source), file: files[0]?.name ?? source };
  const input = path.join(scratch, 'input-*');
  const columns =
    format === 'jsonl' ? await openObjects(db, input, place, scratch) : await openRaw(db, input, { format, place });
  if (format === 'csv') await parseOnce(db, scratch);
  const [count] = await db.rows<{ n: number }>('SELECT count(*)::DOUBLE AS n FROM raw');
  const rows = count?.n ?? 0;
  if (rows === 0) throw new RefitError('REFIT_USAGE', `${source} has no rows; init needs data to look at.`);
  const every = Math.ceil(rows / SAMPLE_ROWS);
  const sampled = every === 1 ? 'true' : `hash(__row) % ${every} = 0`;
  await db.run(`CREATE TEMP TABLE sample AS SELECT * FROM raw WHERE ${sampled}`);
  return { db, format, rows, columns, sampled };
}

/** What a file begins with tells its encoding. @throws RefitError REFIT_USAGE for text that is not UTF-8 */
async function requireUtf8(file: string, name: string): Promise<void> {
  if (/\.(gz|zst)$/i.test(name)) return;
  const handle = await open(file);
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(1 << 20), 0, 1 << 20, 0);
    // As a stream: the last character may be cut in two.
    new TextDecoder('utf-8', { fatal: true }).decode(buffer.subarray(0, bytesRead), { stream: true });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new RefitError(
      'REFIT_USAGE',
      `${name} is not UTF-8 text; convert it, e.g. iconv -f latin1 -t utf-8 ${name} > utf8.csv.`,
    );
  } finally {
    await handle.close();
  }
}

async function openObjects(db: DuckDb, input: string, place: Place, scratch: string): Promise<RawColumn[]> {
  const parquet = path.join(scratch, 'table.parquet');
  const options = { compression: compressionOf(place.file), parquet };
  const columns = await typeJsonLines(db, input, options).catch((error: unknown) =>
    Promise.reject(unreadable(error, place)),
  );
  if (columns.length > 0) return columns;
  throw new RefitError('REFIT_USAGE', `${place.file} holds no JSON object, or only empty ones.`);
}

/** Text is parsed once, into a file that is quick to read again. */
async function parseOnce(db: DuckDb, scratch: string): Promise<void> {
  const file = literal(path.join(scratch, 'table.parquet'));
  await db.run(`COPY (SELECT * FROM raw) TO ${file} (FORMAT parquet)`);
  await db.run(`CREATE OR REPLACE TEMP VIEW raw AS SELECT * FROM read_parquet(${file})`);
}
