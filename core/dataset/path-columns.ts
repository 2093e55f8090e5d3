import { literal } from './duckdb.ts';

/** Columns that the folders of a partition's path name, as Hive and Spark write them: `year=2013/month=01/part.parquet`. */

const FOLDER = /^([A-Za-z][A-Za-z0-9_]*)=(.*)$/s;

export interface PathColumn {
  name: string;
  value: string | null;
}

/** Its text as SQL. */
export function pathValueSql({ value }: PathColumn): string {
  return value === null ? 'NULL::VARCHAR' : literal(value);
}

/** Name and text of each, outermost first; null is `__HIVE_DEFAULT_PARTITION__`. */
export function pathColumns(file: string): PathColumn[] {
  const columns = new Map<string, string | null>();
  for (const folder of file.split('/').slice(0, -1)) {
    const [, name, text] = FOLDER.exec(folder) ?? [];
    if (name === undefined || text === undefined) continue;
    columns.set(name, text === '__HIVE_DEFAULT_PARTITION__' ? null : decoded(text));
  }
  return [...columns].map(([name, value]) => ({ name, value }));
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
