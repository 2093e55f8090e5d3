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
  return WIDER[than]?.includes(type) || isWiderDecimal(type, than);
}

/** Digits before the point that hold all values of an integer type. */
const DIGITS: Record<string, number> = {
  ...{ TINYINT: 3, SMALLINT: 5, INTEGER: 10, BIGINT: 19 },
  ...{ UTINYINT: 3, USMALLINT: 5, UINTEGER: 10, UBIGINT: 20 },
};

/** `DECIMAL(12,2)` holds all of `DECIMAL(10,2)` and of `INTEGER`: no fewer digits before the point, nor behind it. */
function isWiderDecimal(type: string, than: string): boolean {
  const [a, b] = [digitsOf(type), digitsOf(than)];
  return (
    type.startsWith('DECIMAL') && type !== than && a !== undefined && b !== undefined && a[0] >= b[0] && a[1] >= b[1]
  );
}

/** Before and behind the point. */
function digitsOf(type: string): [before: number, behind: number] | undefined {
  const whole = DIGITS[type];
  if (whole !== undefined) return [whole, 0];
  const [, precision, scale] = /^DECIMAL\((\d+),\s*(\d+)\)$/.exec(type) ?? [];
  return precision === undefined ? undefined : [Number(precision) - Number(scale), Number(scale)];
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
