import type { ColumnInfo, Partition } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';

/**
 * Which of two types of a column holds the values of both. Types are a contract's (`integer`) or, for columns it does not
 * name, DuckDB's (`INTEGER`).
 */

/** Each type with those that hold all its values. */
const WIDER: Record<string, string[]> = {
  integer: ['number'],
  date: ['date-time'],
  TINYINT: ['SMALLINT', 'INTEGER', 'BIGINT', 'HUGEINT', 'FLOAT', 'DOUBLE'],
  SMALLINT: ['INTEGER', 'BIGINT', 'HUGEINT', 'FLOAT', 'DOUBLE'],
  INTEGER: ['BIGINT', 'HUGEINT', 'DOUBLE'],
  BIGINT: ['HUGEINT', 'DOUBLE'],
  UTINYINT: ['USMALLINT', 'UINTEGER', 'UBIGINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'HUGEINT', 'FLOAT', 'DOUBLE'],
  USMALLINT: ['UINTEGER', 'UBIGINT', 'INTEGER', 'BIGINT', 'HUGEINT', 'FLOAT', 'DOUBLE'],
  UINTEGER: ['UBIGINT', 'BIGINT', 'HUGEINT', 'DOUBLE'],
  UBIGINT: ['HUGEINT', 'DOUBLE'],
  FLOAT: ['DOUBLE'],
  DATE: ['TIMESTAMP'],
};

/** The order of a snapshot's partitions. */
export function byName(partitions: readonly Partition[]): Partition[] {
  return [...partitions].sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function isWider(type: string, than: string): boolean {
  return WIDER[than]?.includes(type) ?? false;
}

/**
 * The columns of partitions together, in the order of the first that has each. A column may come later (it is NULL before) and
 * may become wider; `partitions` are in the order of their names.
 * @throws RefitError REFIT_CONTRACT_TYPE for one that goes away or changes its type
 */
export function unionColumns(source: string, partitions: readonly Partition[]): ColumnInfo[] {
  const found = new Map<string, ColumnInfo & { file: string }>();
  for (const { name: file, columns } of partitions) {
    for (const column of columns) {
      const known = found.get(column.name);
      if (!known || isWider(column.type, known.type)) found.set(column.name, { ...column, file });
      else if (known.type !== column.type && !isWider(known.type, column.type))
        throw differs(source, column.name, [known.file, known.type], [file, column.type]);
    }
    for (const known of found.values()) {
      if (!columns.some(({ name }) => name === known.name))
        throw differs(source, known.name, [known.file, known.type], [file, 'missing']);
    }
  }
  return [...found.values()].map(({ file: _, ...column }) => column);
}

type InFile = [file: string, type: string];

function differs(source: string, column: string, a: InFile, b: InFile): RefitError {
  const message = `Source "${source}": column "${column}" is ${a[1]} in ${a[0]} and ${b[1]} in ${b[0]}; name it in the contract.`;
  return new RefitError('REFIT_CONTRACT_TYPE', message, { source, column, files: [a[0], b[0]] });
}
