import type { ContractType } from './contract.ts';
import { identifier, literal } from './duckdb.ts';

/**
 * From the physical type of a column in a file to the type its contract names, without loss: a value that does not fit
 * becomes NULL and is reported, a type that cannot fit is refused. All times come out as TIMESTAMP in UTC.
 */

export interface RawColumn {
  name: string;
  /** DuckDB's name of the type in the file. */
  type: string;
  /** Its values are text to be read, as in CSV: it comes from the file's path. */
  text?: boolean;
}

export interface Conversion {
  valueSql: string;
  /** True where the raw value has no equal of the wanted type; undefined where that cannot happen. */
  brokenSql?: string;
  /** Cheaper than `valueSql`, and equal where nothing is broken. */
  uncheckedSql?: string;
}

const INTEGER = /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT))$/;
const FLOATING = /^(FLOAT|DOUBLE)$/;
const DECIMAL = /^DECIMAL\(/;
const NAIVE_TIME = /^TIMESTAMP(_S|_MS|_NS)?$/;
const ZONED_TIME = 'TIMESTAMP WITH TIME ZONE';

/** ISO 8601 as JSON Schema's date-time means it; a space for the T, a missing zone and seconds missing with it are let through. */
export const DATE_TIME = String.raw`^\d{4}-\d\d-\d\d[Tt ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?([Zz]|[+-](0\d|1[0-4])(:?[0-5]\d)?)?)?$`;
export const DATE = String.raw`^\d{4}-\d\d-\d\d$`;
const OFFSET = String.raw`(Z|[+-]\d\d(:?\d\d)?)$`;

/** Type by the contract; undefined when the file's type cannot become it. `text`: the file holds text only (CSV). */
export function convert(raw: RawColumn, wanted: ContractType, zone: string, text: boolean): Conversion | undefined {
  const column = identifier(raw.name);
  if (text || raw.text) return fromText(column, wanted, zone);
  if (raw.type === 'JSON') return fromJson(column, wanted, zone);
  switch (wanted) {
    case 'integer':
      return toInteger(column, raw.type);
    case 'number':
      return toNumber(column, raw.type);
    case 'boolean':
      return raw.type === 'BOOLEAN' ? { valueSql: column } : undefined;
    case 'string':
      return /^(VARCHAR|UUID|ENUM\()/.test(raw.type) ? { valueSql: `${column}::VARCHAR` } : undefined;
    case 'date':
      if (raw.type === 'VARCHAR') return fromText(column, wanted, zone);
      return raw.type === 'DATE' ? { valueSql: column } : undefined;
    case 'date-time':
      if (raw.type === 'VARCHAR') return fromText(column, wanted, zone);
      // A day is its first moment, as where a column has grown from one to the other.
      if (raw.type === 'DATE') return { valueSql: utc(column, 'TIMESTAMP', zone) };
      return isTime(raw.type) ? { valueSql: utc(column, raw.type, zone) } : undefined;
  }
}

/** A column the contract does not speak of: as it is, but times in UTC. */
export function keep(raw: RawColumn, zone: string): string {
  return isTime(raw.type) ? utc(identifier(raw.name), raw.type, zone) : identifier(raw.name);
}

export function isTime(type: string): boolean {
  return NAIVE_TIME.test(type) || type === ZONED_TIME;
}

/** An expression of a time type as TIMESTAMP in UTC; what finer than a microsecond is cut off. */
export function utc(sql: string, type: string, zone: string): string {
  if (type === ZONED_TIME) return `timezone('UTC', ${sql})`;
  const naive = `(${sql})::TIMESTAMP`;
  return zone === 'UTC' ? naive : `timezone('UTC', timezone(${literal(zone)}, ${naive}))`;
}

function toInteger(column: string, type: string): Conversion | undefined {
  if (!INTEGER.test(type) && !FLOATING.test(type) && !DECIMAL.test(type)) return undefined;
  const cast = `try_cast(${column} AS BIGINT)`;
  if (/^U?(TINYINT|SMALLINT|INTEGER)$|^BIGINT$/.test(type)) return { valueSql: `${column}::BIGINT` };
  // A cast rounds: only a value that comes back unchanged was whole and in range.
  const whole = `coalesce(try_cast(${cast} AS ${type}) = ${column}, false)`;
  return {
    valueSql: `CASE WHEN ${whole} THEN ${cast} END`,
    brokenSql: `${column} IS NOT NULL AND NOT ${whole}`,
    uncheckedSql: cast,
  };
}

function toNumber(column: string, type: string): Conversion | undefined {
  if (FLOATING.test(type)) {
    const brokenSql = `coalesce(NOT isfinite(${column}), false)`;
    return { valueSql: finite(column), brokenSql, uncheckedSql: `${column}::DOUBLE` };
  }
  if (DECIMAL.test(type)) return { valueSql: `${column}::DOUBLE` };
  if (!INTEGER.test(type)) return undefined;
  if (/^U?(TINYINT|SMALLINT|INTEGER)$/.test(type)) return { valueSql: `${column}::DOUBLE` };
  const exact = `coalesce(try_cast(${column}::DOUBLE AS ${type}) = ${column}, false)`;
  return {
    valueSql: `CASE WHEN ${exact} THEN ${column}::DOUBLE END`,
    brokenSql: `${column} IS NOT NULL AND NOT ${exact}`,
  };
}

/** NaN and infinities are no JSON numbers: they are reported, not carried on. */
function finite(sql: string): string {
  return `CASE WHEN isfinite(${sql}) THEN ${sql}::DOUBLE END`;
}

/** Any JSON value a cell, as JSON lines are read: its own type is held against the wanted one, nothing is guessed. */
function fromJson(column: string, wanted: ContractType, zone: string): Conversion {
  const kind = `json_type(${column})`;
  const text = `(${column}->>'$')`;
  const when = (kinds: string, value: string) => `CASE WHEN ${kind} IN (${kinds}) THEN ${value} END`;
  const numbers = `'BIGINT', 'UBIGINT', 'HUGEINT', 'UHUGEINT', 'DOUBLE'`;
  const values: Record<ContractType, string> = {
    integer: `coalesce(${when(`'BIGINT', 'UBIGINT', 'HUGEINT', 'UHUGEINT'`, `try_cast(${text} AS BIGINT)`)}, ${when(`'DOUBLE'`, wholeSql(`try_cast(${text} AS DOUBLE)`, 'DOUBLE'))})`,
    number: when(numbers, finite(`try_cast(${text} AS DOUBLE)`)),
    boolean: when(`'BOOLEAN'`, `${text}::BOOLEAN`),
    string: when(`'VARCHAR'`, text),
    date: when(`'VARCHAR'`, textValue(text, 'date', zone)),
    'date-time': when(`'VARCHAR'`, textValue(text, 'date-time', zone)),
  };
  const value = values[wanted];
  return { valueSql: value, brokenSql: `coalesce(${kind}, 'NULL') <> 'NULL' AND ${value} IS NULL` };
}

/** The value as BIGINT where it is one, else NULL. A cast rounds: only a value that comes back unchanged was whole and in range. */
function wholeSql(sql: string, type: string): string {
  const cast = `try_cast(${sql} AS BIGINT)`;
  return `CASE WHEN try_cast(${cast} AS ${type}) = ${sql} THEN ${cast} END`;
}

function fromText(column: string, wanted: ContractType, zone: string): Conversion {
  const value = textValue(column, wanted, zone);
  if (wanted === 'string') return { valueSql: value };
  return { valueSql: value, brokenSql: `${column} IS NOT NULL AND ${value} IS NULL` };
}

function textValue(column: string, wanted: ContractType, zone: string): string {
  const matching = (pattern: string, value: string) =>
    `CASE WHEN regexp_matches(${column}, ${literal(pattern)}) THEN ${value} END`;
  switch (wanted) {
    case 'string':
      return column;
    case 'integer':
      // DuckDB would round '1.5' to 2.
      return matching(String.raw`^\s*[+-]?\d+(\.0*)?\s*$`, `try_cast(${column} AS BIGINT)`);
    case 'number':
      return finite(`try_cast(${column} AS DOUBLE)`);
    case 'boolean':
      return `try_cast(${column} AS BOOLEAN)`;
    case 'date':
      return matching(DATE, `try_cast(${column} AS DATE)`);
    case 'date-time': {
      const text = `upper(${column})`;
      const zoned = `timezone('UTC', try_cast(${text} AS TIMESTAMPTZ))`;
      const naive = utc(`try_cast(${text} AS TIMESTAMP)`, 'TIMESTAMP', zone);
      return matching(
        DATE_TIME,
        `CASE WHEN regexp_matches(${text}, ${literal(OFFSET)}) THEN ${zoned} ELSE ${naive} END`,
      );
    }
  }
}
