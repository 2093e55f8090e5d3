import { stat } from 'node:fs/promises';
import path from 'node:path';
import { RefitError } from '../spec/errors.ts';
import { type DuckDb, identifier, literal, withDuckDb } from './duckdb.ts';
import { fileError } from './partitions.ts';
import { reason } from './raw-table.ts';
import { type OpenTable, qualified, type TableContext, type TablePeriod, UNITS } from './table-port.ts';

/**
 * A table or query of a DuckDB file, opened for reading only. @throws RefitError REFIT_SOURCE_MISSING, REFIT_SOURCE_UNREADABLE (no
 * such table or column, another process writes)
 */
export async function openDuckDbTable(context: TableContext): Promise<OpenTable> {
  const { root, source, table, scratch, signal } = context;
  const file = path.resolve(root, context.path);
  await stat(file).catch((error: unknown) => Promise.reject(fileError(error, context.path)));
  const from = table.name === undefined ? `(${table.query}) AS q` : `${qualified(table.name)} AS q`;
  const by = table.by === undefined ? undefined : `${identifier(table.by)}::TIMESTAMP`;
  const start = by === undefined ? undefined : `date_trunc('${UNITS[table.every ?? '1mo']}', ${by})::TIMESTAMP`;
  const query = <T>(work: (db: DuckDb) => Promise<T>): Promise<T> =>
    withDuckDb({ scratch, signal, threads: 1 }, async (db) => {
      await db.run(`ATTACH ${literal(file)} AS source (READ_ONLY)`);
      await db.run('USE source');
      return work(db);
    }).catch((error: unknown) => Promise.reject(unusable(error, context.path, source)));
  return {
    async periods() {
      const version = table.version === undefined ? 'NULL' : `max(${identifier(table.version)})`;
      const counted = `count(*)::DOUBLE AS rows, ${version}::VARCHAR AS version FROM ${from}`;
      if (start === undefined) {
        const rows = await query((db) => db.rows<{ rows: number; version: string | null }>(`SELECT ${counted}`));
        return rows.map((row) => ({ ...row, start: undefined }));
      }
      const text = `strftime(${start}, '%Y-%m-%dT%H:%M:%S')`;
      return query((db) =>
        db.rows<TablePeriod & Record<string, unknown>>(`SELECT ${text} AS start, ${counted} GROUP BY 1 ORDER BY 1`),
      );
    },
    async copy(period, to) {
      const where =
        period.start === undefined
          ? 'true'
          : period.start === null
            ? `${by} IS NULL`
            : `${start} = TIMESTAMP ${literal(period.start)}`;
      await query((db) =>
        db.run(
          `COPY (SELECT * FROM ${from} WHERE ${where} ORDER BY ALL) TO ${literal(to)} (FORMAT parquet, COMPRESSION zstd)`,
        ),
      );
    },
    close: async () => undefined,
  };
}

function unusable(error: unknown, file: string, source: string): unknown {
  if (error instanceof RefitError || /INTERRUPT/i.test(String(error))) return error;
  const locked = /lock/i.test(String(error)) ? ' (another process writes to it)' : '';
  const text = `${file} of source "${source}" cannot be read${locked}: ${reason(error)}.`;
  return new RefitError('REFIT_SOURCE_UNREADABLE', text, { source, file }, { cause: error });
}
