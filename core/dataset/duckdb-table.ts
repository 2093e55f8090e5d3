import { stat } from 'node:fs/promises';
import path from 'node:path';
import { RefitError } from '../spec/errors.ts';
import { type DuckDb, identifier, isOfMachine, literal, withDuckDb } from './duckdb.ts';
import { fileError } from './partitions.ts';
import { reason } from './raw-table.ts';
import { type OpenTable, qualified, type TableContext, type TablePeriod, UNITS } from './table-port.ts';

/**
 * A table or query of a DuckDB file, read in one transaction. The file is open as long: DuckDB lets no other process write to it
 * meanwhile, and a file that is put in its place is another one, read the next time.
 * @throws RefitError REFIT_SOURCE_MISSING, REFIT_SOURCE_UNREADABLE (no such table or column, another process writes)
 */
export async function withDuckDbTable<T>(context: TableContext, use: (table: OpenTable) => Promise<T>): Promise<T> {
  const { root, source, scratch, signal } = context;
  const file = path.resolve(root, context.path);
  await stat(file).catch((error: unknown) => Promise.reject(fileError(error, context.path)));
  return withDuckDb({ scratch, signal, threads: 1 }, async (db) => {
    const asked = <R>(work: Promise<R>): Promise<R> =>
      work.catch((error: unknown) => Promise.reject(unusable(error, context.path, source)));
    await asked(db.run(`ATTACH ${literal(file)} AS source (READ_ONLY)`));
    await asked(db.run('USE source'));
    await db.run('BEGIN TRANSACTION');
    return use(tableOf(db, context, asked));
  });
}

function tableOf(db: DuckDb, { table }: TableContext, asked: <R>(work: Promise<R>) => Promise<R>): OpenTable {
  const from = table.name === undefined ? `(${table.query}\n) AS q` : `${qualified(table.name)} AS q`;
  const by = table.by === undefined ? undefined : `${identifier(table.by)}::TIMESTAMP`;
  const start = by === undefined ? undefined : `date_trunc('${UNITS[table.every ?? '1mo']}', ${by})::TIMESTAMP`;
  return {
    async periods() {
      const version = table.version === undefined ? 'NULL' : `max(${identifier(table.version)})`;
      const counted = `count(*)::DOUBLE AS rows, ${version}::VARCHAR AS version FROM ${from}`;
      if (start === undefined) {
        const rows = await asked(db.rows<{ rows: number; version: string | null }>(`SELECT ${counted}`));
        return rows.map((row) => ({ ...row, start: undefined }));
      }
      const text = `strftime(${start}, '%Y-%m-%dT%H:%M:%S')`;
      const sql = `SELECT ${text} AS start, ${counted} GROUP BY 1 ORDER BY 1`;
      return asked(db.rows<TablePeriod & Record<string, unknown>>(sql));
    },
    async copy(period, to) {
      const where =
        period.start === undefined
          ? 'true'
          : period.start === null
            ? `${by} IS NULL`
            : `${start} = TIMESTAMP ${literal(period.start)}`;
      const rows = `SELECT * FROM ${from} WHERE ${where} ORDER BY ALL`;
      await asked(db.run(`COPY (${rows}) TO ${literal(to)} (FORMAT parquet, COMPRESSION zstd)`));
    },
  };
}

function unusable(error: unknown, file: string, source: string): unknown {
  if (isOfMachine(error)) return error;
  // Whose words are about the file or the query; those of a conversion repeat the value.
  const told = /^(Binder|Catalog|Parser|IO|Permission|Not implemented) Error/.test((error as Error).message);
  const locked = told && /lock/i.test(String(error)) ? ' (another process writes to it)' : '';
  const text = `${file} of source "${source}" cannot be read${locked}: ${reason(error, !told)}.`;
  return new RefitError('REFIT_SOURCE_UNREADABLE', text, { source, file }, told ? { cause: error } : {});
}
