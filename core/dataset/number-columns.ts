/** Columns of numbers and times between DuckDB and typed arrays, a chunk at a time: a hundred times the speed of rows as objects. */
import type { DuckDb } from './duckdb.ts';

/** Of BIGINT and TIMESTAMP (microseconds), UINTEGER, FLOAT, DOUBLE. */
export type NumberColumn = BigInt64Array | Uint32Array | Float32Array | Float64Array;

/** Reads what a query gives; none of it may be NULL. The event loop goes on between the chunks. */
export async function streamNumbers(
  db: DuckDb,
  sql: string,
  read: (columns: NumberColumn[], length: number) => void,
): Promise<void> {
  for await (const chunk of db.chunks(sql)) {
    const columns = [];
    for (let i = 0; i < chunk.columnCount; i++) {
      columns.push((chunk.getColumnVector(i) as unknown as { items: NumberColumn }).items);
    }
    read(columns, chunk.rowCount);
  }
}

const CHUNK = 2048;

/** Adds blocks of rows, columns of one length, to a temporary table whose columns have the types of these. */
export async function appendNumbers(db: DuckDb, table: string, blocks: Iterable<NumberColumn[]>): Promise<void> {
  const { DuckDBDataChunk } = await import('@duckdb/node-api');
  const appender = await db.connection.createAppender(table, 'main', 'temp');
  try {
    const types = Array.from({ length: appender.columnCount }, (_type, i) => appender.columnType(i));
    for (const columns of blocks) {
      const length = columns[0]?.length ?? 0;
      for (let from = 0; from < length; from += CHUNK) {
        const chunk = DuckDBDataChunk.create(types, Math.min(CHUNK, length - from));
        for (const [i, column] of columns.entries()) {
          const vector = chunk.getColumnVector(i);
          const items = (vector as unknown as { items: Float64Array }).items;
          items.set(column.subarray(from, from + chunk.rowCount) as Float64Array);
          vector.flush();
        }
        appender.appendDataChunk(chunk);
      }
    }
  } finally {
    appender.closeSync();
  }
}
