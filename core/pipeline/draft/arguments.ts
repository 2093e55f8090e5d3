/** What a user gives as `--label`, `--time` or `--key`: a column's name, or an SQL expression over columns. */
import type { DuckDb } from '../../dataset/duckdb.ts';
import { expressionColumns } from '../../dataset/expression.ts';
import { RefitError } from '../../spec/errors.ts';
import { nearest } from '../../spec/nearest.ts';
import { quoted } from './names.ts';
import type { ColumnProfile } from './profile.ts';

/** A column by its name, in whatever case it is written. */
export function findColumn(columns: readonly ColumnProfile[], name: string): ColumnProfile | undefined {
  const alike = columns.filter((column) => column.name.toLowerCase() === name.toLowerCase());
  return columns.find((column) => column.name === name) ?? (alike.length === 1 ? alike[0] : undefined);
}

/** Columns of an SQL expression. @throws RefitError REFIT_USAGE for one that uses none, or cannot be used */
export async function columnsOf(db: DuckDb, option: string, sql: string, names: readonly string[]): Promise<string[]> {
  if (/^[\p{L}\p{N}_. -]+$/u.test(sql)) throw unknownColumn(option, sql, names);
  try {
    const used = await expressionColumns(db, sql, option, names);
    if (used.length > 0) return used;
  } catch (error) {
    if (error instanceof RefitError && error.code === 'REFIT_EXPRESSION_INVALID') {
      throw new RefitError('REFIT_USAGE', error.message, error.details);
    }
    throw error;
  }
  throw unknownColumn(option, sql, names);
}

export function unknownColumn(option: string, name: string, names: readonly string[]): RefitError {
  const hint = nearest(name, [...names]);
  return new RefitError('REFIT_USAGE', `${option} ${quoted(name)}: the table has no such column${hint}.`, {
    columns: names,
  });
}
