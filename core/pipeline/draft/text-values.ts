/**
 * What the values of a text column are: numbers as people write them in different countries, truth values, dates, or text.
 * Judged on counts over a sample; SQL does the counting.
 */
import { convert, type RawColumn } from '../../dataset/column-types.ts';
import type { ContractType } from '../../dataset/contract.ts';
import { type DuckDb, identifier, literal } from '../../dataset/duckdb.ts';

/** How missing values are often written in tables of numbers. */
const MISSING = ['', 'na', 'n/a', '#n/a', 'nan', 'null', 'none', 'nil', '-', '--', '?', '.', '\\n'];
/** What else must be of the kind, so that a few odd values do not make a column of numbers a text. */
const MOST = 0.995;

const SIGN = '[+-]?';
const PATTERNS = {
  integer: `^${SIGN}\\d+$`,
  /** 01234: a code, not a number. */
  code: '^0\\d+$',
  decimalComma: `^${SIGN}(\\d{1,3}(\\.\\d{3})+|\\d+)(,\\d+)?$`,
  /** Cannot be read as 1,234 = one thousand and so on. */
  surelyComma: '(,(\\d{1,2}|\\d{4,})|\\.\\d{3},\\d+)$',
  thousands: `^${SIGN}(\\d{1,3}(,\\d{3})+|\\d+)(\\.\\d+)?$`,
  surelyThousands: ',\\d{3}(,|\\.)',
  marked: `^[$€£¥]?\\s*${SIGN}(\\d{1,3}(,\\d{3})+|\\d+)(\\.\\d+)?\\s*[%$€£¥]?$`,
  space: '\\s',
} as const;
type Pattern = keyof typeof PATTERNS;

type Counts = Record<Pattern | 'filled' | 'number' | 'truth' | 'date' | 'dateTime' | 'length', number>;

export interface TextReading {
  holds: 'integer' | 'number' | 'boolean' | 'date' | 'date-time' | 'text';
  /** Type by the contract; a text that an expression reads stays a string there. */
  contract: ContractType;
  /** SQL of the value, given the column's SQL; absent: the column as the contract types it. */
  read?: (column: string) => string;
  /** Share of values with a space in them, and mean number of characters. */
  spaces: number;
  length: number;
  /** Why it is text although it looks like something else. */
  unsure?: string;
}

/** Reads text columns of a relation. `text`: the file holds text only (CSV), which a contract can type. */
export async function readTexts(
  db: DuckDb,
  relation: string,
  columns: readonly RawColumn[],
  text: boolean,
): Promise<Map<string, TextReading>> {
  const readings = new Map<string, TextReading>();
  for (let from = 0; from < columns.length; from += BATCH) {
    const batch = columns.slice(from, from + BATCH);
    const values = batch.map(({ name }, i) => {
      const trimmed = `trim(${identifier(name)})`;
      return `CASE WHEN lower(${trimmed}) NOT IN (${MISSING.map(literal).join(', ')}) THEN ${trimmed} END AS v${i}`;
    });
    const [row = {}] = await db.rows(`SELECT ${batch.flatMap((_, i) => countsSql(`v${i}`, i)).join(', ')}
      FROM (SELECT ${values.join(', ')} FROM ${relation})`);
    for (const [i, { name }] of batch.entries()) {
      const counts = Object.fromEntries(
        Object.entries(row).flatMap(([key, value]) =>
          key.endsWith(`_${i}`) ? [[key.split('_')[0], Number(value)]] : [],
        ),
      ) as Counts;
      readings.set(name, readingOf(counts, text));
    }
  }
  return readings;
}

/** Columns in one query. */
const BATCH = 40;

function countsSql(value: string, i: number): string[] {
  const count = (condition: string, name: string) => `count(*) FILTER (WHERE ${condition})::DOUBLE AS "${name}_${i}"`;
  const iso = (wanted: ContractType) =>
    convert({ name: value, type: 'VARCHAR' }, wanted, 'UTC', true)?.valueSql ?? 'NULL';
  return [
    `count(${value})::DOUBLE AS "filled_${i}"`,
    `coalesce(avg(length(${value})), 0)::DOUBLE AS "length_${i}"`,
    count(`isfinite(try_cast(${value} AS DOUBLE))`, 'number'),
    count(`lower(${value}) IN ('true', 'false')`, 'truth'),
    count(`${iso('date')} IS NOT NULL`, 'date'),
    count(`${iso('date-time')} IS NOT NULL`, 'dateTime'),
    ...Object.entries(PATTERNS).map(([name, pattern]) => count(`regexp_matches(${value}, ${literal(pattern)})`, name)),
  ];
}

function readingOf(counts: Counts, text: boolean): TextReading {
  const { filled, length } = counts;
  const shape = { spaces: filled === 0 ? 0 : counts.space / filled, length };
  const most = (count: number) => filled > 0 && count >= filled * MOST;
  const all = (count: number) => filled > 0 && count === filled;
  if (all(counts.truth)) {
    // Parquet that says 'true' in text: the contract cannot type it, an expression can.
    return text
      ? { ...shape, holds: 'boolean', contract: 'boolean' }
      : { ...shape, holds: 'boolean', contract: 'string', read: (column) => `try_cast(${column} AS BOOLEAN)` };
  }
  if (most(counts.number) && counts.code === 0) return { ...shape, ...numeric(counts, text) };
  // Dates before other numbers: 2024-01-01 is none, but 01.01.2024 looks like one with points.
  if (most(counts.date)) return { ...shape, holds: 'date', contract: 'date' };
  if (most(counts.dateTime)) return { ...shape, holds: 'date-time', contract: 'date-time' };
  return { ...shape, ...written(counts, most) };
}

type Reading = Omit<TextReading, 'spaces' | 'length'>;

function numeric(counts: Counts, text: boolean): Reading {
  const whole = counts.integer === counts.filled;
  const holds = whole ? 'integer' : 'number';
  const read = (column: string) => `try_cast(${column} AS DOUBLE)`;
  return text ? { holds, contract: holds, read } : { holds, contract: 'string', read };
}

/** Numbers with marks that SQL does not read. */
function written(counts: Counts, most: (count: number) => boolean): Reading {
  const number = (read: (column: string) => string): Reading => ({ holds: 'number', contract: 'string', read });
  const text: Reading = { holds: 'text', contract: 'string' };
  if (counts.code > 0) return text;
  if (most(counts.decimalComma) && counts.surelyComma > 0) {
    return number((column) => `try_cast(replace(replace(${column}, '.', ''), ',', '.') AS DOUBLE)`);
  }
  if (most(counts.thousands) && counts.surelyThousands > 0) {
    return number((column) => `try_cast(replace(${column}, ',', '') AS DOUBLE)`);
  }
  if (most(counts.thousands) || most(counts.decimalComma)) {
    return {
      ...text,
      unsure: 'its numbers can be read in two ways (is 1,234 more than a thousand, or a little over one?)',
    };
  }
  if (most(counts.marked)) {
    return number((column) => `try_cast(regexp_replace(${column}, '[^0-9.+-]', '', 'g') AS DOUBLE)`);
  }
  return text;
}
