import { toRe2 } from './contract-pattern.ts';
import { type ContractType, invalid, type Schema, typeName } from './contract-schema.ts';
import { identifier, literal } from './duckdb.ts';

/**
 * The keywords that say something of one value, each as a SQL predicate over a column of the contract's type. Their
 * counterparts for single records are in check-record.ts; a property test holds the two to one verdict.
 */

const NUMBERS: ContractType[] = ['integer', 'number'];
/** Keyword → the column types it applies to; JSON Schema would ignore it on others, we refuse. */
const APPLIES: Record<string, ContractType[]> = {
  minimum: NUMBERS,
  maximum: NUMBERS,
  exclusiveMinimum: NUMBERS,
  exclusiveMaximum: NUMBERS,
  multipleOf: NUMBERS,
  minLength: ['string'],
  maxLength: ['string'],
  pattern: ['string'],
  format: ['string'],
  enum: ['string', 'boolean', ...NUMBERS],
  const: ['string', 'boolean', ...NUMBERS],
};
export const VALUE_KEYWORDS = Object.keys(APPLIES);

/** Formats of texts, each as a pattern that JavaScript and SQL read alike; what is no pattern (iri, duration) is refused. */
export const FORMATS: Record<string, string> = {
  uuid: '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$',
  // As a browser's e-mail field checks it (the WHATWG's HTML standard).
  email:
    "^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~\\-]+@[a-zA-Z0-9](?:[a-zA-Z0-9\\-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9\\-]{0,61}[a-zA-Z0-9])?)*$",
  hostname: '^[a-zA-Z0-9](?:[a-zA-Z0-9\\-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9\\-]{0,61}[a-zA-Z0-9])?)*$',
  ipv4: '^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])$',
  uri: '^[a-zA-Z][a-zA-Z0-9+.\\-]*:[^\\u0000-\\u0020<>"{}|\\\\^`\\u007f]*$',
  time: '^(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]+)?(?:[Zz]|[+\\-](?:[01][0-9]|2[0-3]):[0-5][0-9])$',
};

/** A keyword of one column: its text in reports, and the SQL that is true for a value that breaks it; NULL for NULL. */
export interface ValueRule {
  keyword: string;
  text: string;
  brokenSql: string;
}

/** @throws RefitError REFIT_CONTRACT_INVALID for a keyword or a value that does not fit the column's type */
export function valueRules(name: string, type: ContractType, property: Schema, place: string): ValueRule[] {
  return Object.entries(property).flatMap(([keyword, value]) => {
    const types = APPLIES[keyword];
    if (!types || (keyword === 'format' && value === type)) return [];
    const at = `${place}.${keyword}`;
    if (!types.includes(type)) invalid(at, `${keyword} does not apply to a column of type ${type}`);
    const shown = typeof value === 'string' ? value : JSON.stringify(value);
    const text = keyword === 'enum' ? 'enum' : `${keyword} ${shown}`;
    const broken = brokenSql(identifier(name), type, keyword, value, at);
    return [{ keyword, text, brokenSql: broken }];
  });
}

function brokenSql(column: string, type: ContractType, keyword: string, value: unknown, at: string): string {
  switch (keyword) {
    case 'minimum':
    case 'maximum':
    case 'exclusiveMinimum':
    case 'exclusiveMaximum':
      return Number.isFinite(value)
        ? boundSql(column, type, keyword, value as number)
        : invalid(at, 'must be a number');
    case 'multipleOf':
      return multipleSql(column, value, at);
    case 'minLength':
    case 'maxLength':
      if (!Number.isInteger(value) || (value as number) < 0) return invalid(at, 'must be a whole number, zero or more');
      return `length(${column}) ${keyword === 'minLength' ? '<' : '>'} ${value as number}`;
    case 'pattern':
      return unlike(column, value, at);
    case 'format': {
      const pattern = FORMATS[String(value)];
      const known = `date-time, date, ${Object.keys(FORMATS).join(', ')}`;
      return pattern === undefined
        ? invalid(at, `only ${known} are supported, for strings`)
        : unlike(column, pattern, at);
    }
    default:
      return notAmong(column, type, keyword === 'const' ? [value] : (value as unknown[]), at);
  }
}

function unlike(column: string, pattern: unknown, at: string): string {
  if (typeof pattern !== 'string') return invalid(at, 'must be a text');
  try {
    return `NOT ${matchSql(column, toRe2(pattern))}`;
  } catch (error) {
    return invalid(at, (error as Error).message);
  }
}

/**
 * DuckDB asks `regexp_full_match`, other than `regexp_matches`, but once for each text of a Parquet dictionary (11 ms instead of
 * 111 for three million rows), and plain texts, which it looks for without RE2, in either case.
 */
function matchSql(column: string, re2: string): string {
  if (/^[\w ]*$/.test(re2)) return `regexp_matches(${column}, ${literal(re2)})`;
  const anchored = re2.startsWith('^') && /[^\\]\$$/.test(re2) && !re2.includes('|');
  return `regexp_full_match(${column}, ${literal(anchored ? re2 : `(?s:.*)(?:${re2})(?s:.*)`)})`;
}

const COMPARE: Record<string, string> = { minimum: '<', maximum: '>', exclusiveMinimum: '<=', exclusiveMaximum: '>=' };

/** Whole numbers are held against whole numbers: as floating point, those beyond 2^53 would run together. */
function boundSql(column: string, type: ContractType, keyword: string, value: number): string {
  if (type !== 'integer' || Math.abs(value) >= 2 ** 64) return `${column} ${COMPARE[keyword]} ${value}::DOUBLE`;
  if (Number.isInteger(value)) return `${column} ${COMPARE[keyword]} ${BigInt(value)}`;
  const below = keyword.endsWith('inimum');
  return below ? `${column} < ${BigInt(Math.ceil(value))}` : `${column} > ${BigInt(Math.floor(value))}`;
}

/**
 * A decimal step p / 10^k: x is a multiple where it is the number nearest to some n · p / 10^k. 0.07 is one of 0.01, although
 * 0.07 / 0.01 is 7.000000000000001.
 */
export function decimalStep(step: number): { p: number; scale: number } | undefined {
  const match = /^(\d+)(?:\.(\d+))?(?:e-(\d+))?$/.exec(String(step));
  if (!match) return undefined;
  const [, whole = '', fraction = '', exponent = '0'] = match;
  const p = Number(whole + fraction);
  const scale = 10 ** (fraction.length + Number(exponent));
  return p > 0 && Number.isSafeInteger(p) && scale <= 1e15 ? { p, scale } : undefined;
}

function multipleSql(column: string, value: unknown, at: string): string {
  const step = typeof value === 'number' && value > 0 && value < 2 ** 53 ? decimalStep(value) : undefined;
  if (!step) return invalid(at, 'must be a positive number with at most 15 decimals');
  const { p, scale } = step;
  if (scale === 1) return `${column} % ${p} <> 0`;
  return `round(${column}::DOUBLE * ${scale}::DOUBLE / ${p}::DOUBLE) * ${p}::DOUBLE / ${scale}::DOUBLE <> ${column}`;
}

function notAmong(column: string, type: ContractType, values: unknown[], at: string): string {
  const allowed = values.filter((one) => one !== null).flatMap((one) => valueSql(one, type, at));
  return allowed.length === 0 ? `${column} IS NOT NULL` : `${column} NOT IN (${allowed.join(', ')})`;
}

function valueSql(value: unknown, type: ContractType, at: string): string[] {
  const kind = typeName(value);
  if (kind !== type && !(type === 'number' && kind === 'integer')) {
    invalid(at, `${JSON.stringify(value)} is not of the column's type ${type}`);
  }
  if (typeof value === 'string') return [literal(value)];
  if (typeof value !== 'number') return [String(value)];
  if (type === 'number') return [`${value}::DOUBLE`];
  // No column of whole numbers reaches further.
  return Math.abs(value) < 2 ** 64 ? [String(BigInt(value))] : [];
}
