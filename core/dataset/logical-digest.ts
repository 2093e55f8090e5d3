import { createHash } from 'node:crypto';
import { type DuckDb, identifier } from './duckdb.ts';

/**
 * Identity of a table by its rows and values in order, whatever the bytes, threads or file layout it came from: SHA-256 over
 * the columns' names and types, then one line a row. A value is its length and its text (`3:abc`), NULL is `~`, so that no
 * two rows write the same line; floats are written as the shortest text that reads back the same. Rows that are equal in
 * `orderBy` are ordered by their text. Sorting may spill; nothing else is held in memory.
 */
export async function logicalDigest(
  db: DuckDb,
  relationSql: string,
  orderBy: readonly string[],
  columns: readonly string[],
): Promise<string> {
  const chosen = columns.map(identifier).join(', ');
  const described = await db.rows<{ column_name: string; column_type: string }>(
    `DESCRIBE SELECT ${chosen} FROM ${relationSql}`,
  );
  const hash = createHash('sha256');
  hash.update(`${JSON.stringify(described.map((column) => [column.column_name, column.column_type]))}\n`);
  const line = columns.map((column) => valueText(identifier(column))).join(` || `);
  const order = [...orderBy.map((column) => `${identifier(column)} NULLS FIRST`), '__line'].join(', ');
  const keys = orderBy.map(identifier).join(', ');
  const lines = db.chunks(
    `SELECT __line FROM (SELECT ${keys === '' ? '' : `${keys}, `}${line} AS __line FROM ${relationSql}) ORDER BY ${order}`,
  );
  for await (const chunk of lines) hash.update(`${chunk.getColumnValues(0).join('\n')}\n`);
  return hash.digest('hex');
}

function valueText(column: string): string {
  const text = `${column}::VARCHAR`;
  return `coalesce(strlen(${text}) || ':' || ${text}, '~')`;
}
