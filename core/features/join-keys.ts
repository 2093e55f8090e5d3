/** How a spine finds rows of a source: equal keys, compared in one type that both sides take. */
import { identifier } from '../dataset/duckdb.ts';
import { RefitError } from '../spec/errors.ts';
import type { Expression, SourceTable } from './source-table.ts';

/** One pair of columns. Both SQL sides have the same type, and are as text the key of the online store; `spineSql` is over `s`. */
export interface KeyPair {
  spineColumn: string;
  /** Of that column. */
  spineType: string;
  source: Expression;
  sourceSql: string;
  spineSql: string;
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
    if (type === undefined) {
      const message = `features.${view}.by holds "${spineColumn}" (${spineType}) against "${sourceColumn}" (${column.type}) of the source: no value is ever both.`;
      const types = [spineType, column.type];
      throw new RefitError('REFIT_PIPELINE_INVALID', message, { view, column: spineColumn, types });
    }
    const spineSql = cast(`s.${identifier(spineColumn)}`, spineType, column.type, type);
    const sourceSql = cast(column.sql, column.type, spineType, type);
    return { spineColumn, spineType, source: column, sourceSql, spineSql };
  });
}

/** The spine's columns of a key in the one order that it has, however `by` is written down: stored as JSON, it is sorted. */
export const keyColumns = (by: Record<string, string>): string[] => Object.keys(by).sort();

const WHOLE = /^(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|BOOLEAN)$/;
const FRACTION = /^(FLOAT|DOUBLE|DECIMAL\(.*\))$/;
const TIME = /^(TIMESTAMP.*|DATE)$/;
const DECIMALS = String.raw`'^(-?(?:0|[1-9]\d*))(?:(\.\d*?[1-9])0*|\.0+)$'`;
const isNumber = (type: string) => WHOLE.test(type) || FRACTION.test(type);

/**
 * Whole numbers compare as HUGEINT, other numbers as DOUBLE, times as TIMESTAMP in UTC, everything else as text: 7 = 7.0, '07' ≠ 7.
 * @returns undefined for a time and a number, which are never equal
 */
function commonType(a: string, b: string): string | undefined {
  if (a === b) return a;
  if (WHOLE.test(a) && WHOLE.test(b)) return 'HUGEINT';
  if (isNumber(a) && isNumber(b)) return 'DOUBLE';
  const [isTime, other] = [TIME.test(a) || TIME.test(b), TIME.test(a) ? b : a];
  if (isTime && isNumber(other)) return undefined;
  return isTime && (TIME.test(other) || other === 'VARCHAR') ? 'TIMESTAMP' : 'VARCHAR';
}

/** One side of a key in the type that it has in common with the other. */
function cast(sql: string, from: string, other: string, type: string): string {
  if (from === type && from === other) return sql;
  // A text without an offset is in UTC.
  if (type === 'TIMESTAMP' && from === 'VARCHAR') return `try_cast(${sql} AS TIMESTAMPTZ)::TIMESTAMP`;
  if (type !== 'VARCHAR') return `${sql}::${type}`;
  // Older writers of Parquet do not say that bytes are text.
  const text = from === 'BLOB' ? `try(decode(${sql}))` : `${sql}::VARCHAR`;
  // CSV files have True for true, and 7.0 or 7.00 for 7.
  if (from === 'BOOLEAN' || other === 'BOOLEAN') return `lower(${text})`;
  if (!FRACTION.test(from) && !isNumber(other)) return text;
  return WHOLE.test(from) ? text : `regexp_replace(${text}, ${DECIMALS}, '\\1\\2')`;
}
