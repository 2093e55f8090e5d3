/** `--time` and `--label-known-at`: a column or an SQL expression becomes the name of a column that holds the time. */
import type { DuckDb } from '../../dataset/duckdb.ts';
import { columnsOf, findColumn } from './arguments.ts';
import type { ColumnProfile } from './profile.ts';
import { readTime } from './time-column.ts';

export interface NamedTime {
  /** SQL of the time: a column of the table, or one that is derived. */
  at: string;
  /** The derived column's SQL; absent where the table's own column is the time. */
  derived?: { name: string; sql: string };
  /** Columns of the table that it is made of. */
  columns: string[];
  /** As the user knows it, and how it is read. */
  column: string;
  how: string;
}

/**
 * Finds the time. @param name what a derived column is called
 * @throws RefitError REFIT_USAGE when there is no such column, or it holds no times
 */
export async function nameTime(
  db: DuckDb,
  { option, value, zone, name }: { option: string; value: string; zone: string; name: (wanted: string) => string },
  columns: readonly ColumnProfile[],
  wanted: string,
): Promise<NamedTime> {
  const column = findColumn(columns, value);
  if (column) {
    const { sql, how, plain } = await readTime(db, column, option, zone);
    const base = { columns: [column.name], column: column.name, how };
    // What begins with two underscores is Refit's own, and not seen by the pipeline's expressions.
    if (plain && !column.name.startsWith('__')) return { ...base, at: sql };
    const derived = { name: name(wanted), sql };
    return { ...base, at: derived.name, derived };
  }
  const names = columns.map((one) => one.name);
  const used = await columnsOf(db, option, value, names);
  const derived = { name: name(wanted), sql: value };
  return { columns: used, column: value, how: 'your expression', at: derived.name, derived };
}
