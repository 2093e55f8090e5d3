/** How a spine finds rows of a source: equal keys, compared in one type that both sides take. */
import { identifier } from '../dataset/duckdb.ts';
import { RefitError } from '../spec/errors.ts';
import type { Expression, SourceTable } from './source-table.ts';

/** One pair of columns. Both SQL sides have the same type; `spineSql` is over `s`. */
export interface KeyPair {
  spineColumn: string;
  source: Expression;
  sourceSql: string;
  spineSql: string;
  /** The type both are compared in; as text it is the key of the online store. */
  type: string;
}

/**
 * Resolves `by` (spine column → source column) against the types of both sides.
 * @throws RefitError REFIT_PIPELINE_INVALID when either column is missing
 */
export function joinKeys(
  by: Record<string, string>,
  spine: ReadonlyMap<string, string>,
  source: SourceTable,
  view: string,
): KeyPair[] {
  return keyColumns(by).map((spineColumn) => {
    const sourceColumn = by[spineColumn] as string;
    const column = source.column(sourceColumn, `features.${view}.by`);
    const spineType = spine.get(spineColumn);
    if (spineType === undefined) {
      throw new RefitError(
        'REFIT_PIPELINE_INVALID',
        `features.${view}.by names "${spineColumn}", which the spine does not have.`,
        {
          view,
          column: spineColumn,
          columns: [...spine.keys()],
        },
      );
    }
    const type = commonType(spineType, column.type);
    const cast = (sql: string, from: string) => (from === type ? sql : `${sql}::${type}`);
    return {
      spineColumn,
      source: column,
      sourceSql: cast(column.sql, column.type),
      spineSql: cast(`s.${identifier(spineColumn)}`, spineType),
      type,
    };
  });
}

/** The spine's columns of a key in the one order that it has, however `by` is written down: stored as JSON, it is sorted. */
export const keyColumns = (by: Record<string, string>): string[] => Object.keys(by).sort();

const WHOLE = /^(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER)$/;
const NUMBER = /^(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(.*\))$/;

/** Whole numbers compare as HUGEINT, other numbers as DOUBLE, everything else as text: 7 = 7.0, '07' ≠ 7. */
export function commonType(a: string, b: string): string {
  if (a === b) return a;
  if (WHOLE.test(a) && WHOLE.test(b)) return 'HUGEINT';
  return NUMBER.test(a) && NUMBER.test(b) ? 'DOUBLE' : 'VARCHAR';
}
