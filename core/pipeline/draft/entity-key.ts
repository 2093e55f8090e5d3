/** Which column names the thing that is asked about; where none does, a row is named by what stands in it. */
import { type DuckDb, identifier } from '../../dataset/duckdb.ts';
import { RefitError } from '../../spec/errors.ts';
import type { ColumnProfile } from './profile.ts';

export interface KeyReading {
  /** The table's column; undefined: none names a row. */
  column: ColumnProfile | undefined;
  /** Why, in words. */
  because: string;
}

const THING =
  'account|case|client|contract|customer|cust|device|employee|event|invoice|item|loan|member|order|patient|person|policy|product|record|row|session|subscriber|ticket|transaction|user';
/** `customer_id`, `orderKey`, `userid`; not `paid` or `valid`. */
const ID = new RegExp(`(^|[^a-z])(id|uid|uuid|guid|key)$|^(${THING})(id|key)$`);
const CODE = new RegExp(`(^|[^a-z])(code|number|no|nr|ref|reference|index|row)$|^(${THING})(no|nr|number)$`);
const ROW_NUMBER = /^(unnamed(: ?\d+)?|index|row(_?(id|nr|no|number|num))?|column0+|__index_level_\d+__|rownum)$/i;

/** `customerId` → `customer_id`, `CustomerID` → `customer_id` */
const snake = (name: string): string => name.replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase();

/** Whether a column is called as identifiers are: `customer_id`, `orderKey`, `Unnamed: 0`, `invoice no`. */
export function isNamedAsId(name: string): boolean {
  return ID.test(snake(name)) || CODE.test(snake(name)) || ROW_NUMBER.test(name);
}

/** Columns that are asked whether they are unique, which takes all rows. */
const MOST_ASKED = 4;
/** A column with fewer values is a category, whatever it is called. */
const FEWEST = 20;
const FEWEST_REPEATED = 50;

/**
 * Finds the entity's key among columns that are neither time nor label; `wanted` is `--key`.
 * @throws RefitError REFIT_USAGE for a `wanted` column that cannot be a key
 */
export async function findKey(
  db: DuckDb,
  columns: readonly ColumnProfile[],
  rows: number,
  wanted: ColumnProfile | undefined,
): Promise<KeyReading> {
  if (wanted) {
    refuse(wanted, rows);
    return { column: wanted, because: 'you gave it' };
  }
  const able = columns.filter((column) => unusable(column) === undefined && column.nulls === 0);
  const named = able
    .filter(({ name, distinct, filled }) => isNamedAsId(name) && (distinct >= FEWEST || distinct === filled))
    .sort(
      (a, b) =>
        b.distinct - a.distinct ||
        Number(ROW_NUMBER.test(a.name)) - Number(ROW_NUMBER.test(b.name)) ||
        a.place - b.place,
    )
    .slice(0, MOST_ASKED);
  for (const column of named.filter(({ distinct, filled }) => distinct === filled)) {
    if (await isUnique(db, column.name, rows)) return { column, because: 'it is called like a key and names each row' };
  }
  const [repeated] = named.filter(
    ({ name, distinct, filled }) => ID.test(snake(name)) && distinct >= Math.max(FEWEST_REPEATED, filled * 0.01),
  );
  if (repeated) return { column: repeated, because: 'it is called like a key; the newest row of each answers' };
  const unnamed = able.filter((column) => looksLikeKey(column)).slice(0, MOST_ASKED);
  for (const column of unnamed) {
    if (await isUnique(db, column.name, rows)) return { column, because: 'it is different in every row' };
  }
  return { column: undefined, because: 'no column names a row, so that what stands in it does' };
}

/** Short texts that all differ, or a first column of whole numbers. */
function looksLikeKey({ holds, distinct, filled, spaces, length, place }: ColumnProfile): boolean {
  if (distinct !== filled || filled < FEWEST) return false;
  return holds === 'text' ? spaces === 0 && length <= 40 : holds === 'integer' && place === 1;
}

function unusable({ holds, contract, name }: ColumnProfile): string | undefined {
  if (contract === undefined || name.startsWith('__'))
    return 'its values are no text and no whole numbers a key can be';
  return holds === 'text' || holds === 'integer' ? undefined : `it holds ${holds} values, not text or whole numbers`;
}

function refuse(column: ColumnProfile, rows: number): void {
  const why = unusable(column);
  if (why) throw new RefitError('REFIT_USAGE', `--key ${column.name} cannot name a row: ${why}.`);
  if (column.nulls === 0) return;
  throw new RefitError(
    'REFIT_USAGE',
    `--key ${column.name} cannot name a row: it is empty in ${column.nulls} of ${rows} rows.`,
  );
}

async function isUnique(db: DuckDb, name: string, rows: number): Promise<boolean> {
  const [row] = await db.rows<{ n: number }>(`SELECT count(DISTINCT ${identifier(name)})::DOUBLE AS n FROM raw`);
  return row?.n === rows;
}
