import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import { DATE, DATE_TIME } from './column-types.ts';
import type { Contract, ContractType } from './contract.ts';
import { decimalStep, FORMATS } from './contract-keywords.ts';
import type { Schema } from './contract-schema.ts';

/**
 * A contract held against single records with ajv, where a table would be held against it in SQL: the same rules by the same
 * names, and the same verdict. As in a table, null and missing are one thing. A whole number beyond 2^53 may come as a bigint.
 * It does not convert: "1" is no integer, as in Parquet and JSON (a CSV file holds nothing but texts and is read leniently).
 */

export interface BrokenRule {
  /** As in a batch, e.g. `dep_delay: minimum -60`. */
  rule: string;
  column: string | null;
}

export type RecordCheck = (record: Readonly<Record<string, unknown>>) => BrokenRule[];

const LEAST_INTEGER = -(2 ** 63);

/** @returns a check that tells the rules a record breaks, none for a good one */
export function createRecordCheck({ columns, rules, open }: Contract): RecordCheck {
  const typed = columns.map(({ name, type }) => ({
    rule: `${name}: ${type.startsWith('date') ? 'format' : 'type'} ${type}`,
    ...{ column: name, columns: [name], schema: { properties: { [name]: { 'refit-type': type } } } },
  }));
  const all = [...typed, ...rules];
  const validate = exactAjv().compile({ allOf: all.map(({ schema }) => schema) });
  const known = new Set(columns.map(({ name }) => name));

  /** Places in `all` of the rules that are broken. */
  const broken = (record: Schema): number[] => {
    if (validate(record)) return [];
    return [...new Set((validate.errors ?? []).map(ruleIndex))].sort((a, b) => a - b);
  };
  return (record) => {
    const present = Object.fromEntries(
      Object.entries(record).filter(([, value]) => value !== null && value !== undefined),
    );
    const first = broken(present);
    const wrong = new Set(first.flatMap((i) => (i < typed.length ? (typed[i]?.columns ?? []) : [])));
    // A value of the wrong type breaks that one rule; the others are judged as if it were missing, and not over it.
    const rest =
      wrong.size === 0
        ? first
        : broken(Object.fromEntries(Object.entries(present).filter(([name]) => !wrong.has(name))));
    const others = rest.filter((i) => !all[i]?.columns.some((name) => wrong.has(name)));
    const found = [...first.filter((i) => i < typed.length), ...others.filter((i) => i >= typed.length)];
    const unknown = open ? [] : Object.keys(record).filter((name) => !known.has(name));
    return [
      ...unknown.map((name) => ({ rule: `${name}: additionalProperties false`, column: name })),
      ...found.map((i) => ({ rule: all[i]?.rule ?? '', column: all[i]?.column ?? null })),
    ];
  };
}

/** `#/allOf/12/properties/x/minimum` → 12 */
function ruleIndex({ schemaPath }: ErrorObject): number {
  return Number(/^#\/allOf\/(\d+)\//.exec(schemaPath)?.[1]);
}

const isNumber = (value: unknown): value is number | bigint => typeof value === 'number' || typeof value === 'bigint';

/** What a keyword of numbers says of a value; comparing a number with a bigint is exact in JavaScript. */
const NUMERIC: Record<string, (limit: number, value: number | bigint) => boolean> = {
  minimum: (limit, value) => value >= limit,
  maximum: (limit, value) => value <= limit,
  exclusiveMinimum: (limit, value) => value > limit,
  exclusiveMaximum: (limit, value) => value < limit,
  multipleOf: isMultiple,
};

const exact = (value: number | bigint) => (Number.isInteger(value) ? BigInt(value) : value);

/** An ajv whose numbers may be bigints, with our formats and types. */
function exactAjv(): Ajv2020 {
  const ajv = new Ajv2020({
    allErrors: true,
    strict: false,
    ownProperties: true,
    unicodeRegExp: true,
    validateSchema: false,
  });
  for (const [keyword, keeps] of Object.entries(NUMERIC)) {
    ajv.removeKeyword(keyword);
    ajv.addKeyword({ keyword, validate: (limit: number, value: unknown) => !isNumber(value) || keeps(limit, value) });
  }
  const same = (a: unknown, b: unknown) => a === b || (isNumber(a) && isNumber(b) && exact(a) === exact(b));
  ajv.removeKeyword('enum').removeKeyword('const');
  ajv.addKeyword({
    keyword: 'enum',
    validate: (allowed: unknown[], value: unknown) => allowed.some((one) => same(one, value)),
  });
  ajv.addKeyword({ keyword: 'const', validate: (allowed: unknown, value: unknown) => same(allowed, value) });
  ajv.addKeyword({ keyword: 'refit-type', validate: (type: ContractType, value: unknown) => TYPES[type](value) });
  for (const [name, pattern] of Object.entries(FORMATS)) ajv.addFormat(name, new RegExp(pattern, 'u'));
  ajv.addFormat('date-time', isDateTime).addFormat('date', isDate);
  return ajv;
}

const TYPES: Record<ContractType, (value: unknown) => boolean> = {
  integer: isInteger,
  number: isFloat,
  boolean: (value) => typeof value === 'boolean',
  string: (value) => typeof value === 'string',
  'date-time': (value) => (typeof value === 'string' && isDateTime(value)) || isTime(value),
  date: (value) => (typeof value === 'string' && isDate(value)) || isTime(value),
};

/** Within BIGINT. */
function isInteger(value: unknown): boolean {
  if (typeof value === 'number') return Number.isInteger(value) && value >= LEAST_INTEGER && value < -LEAST_INTEGER;
  return typeof value === 'bigint' && BigInt.asIntN(64, value) === value;
}

/** A DOUBLE holds it as it is. */
function isFloat(value: unknown): boolean {
  return Number.isFinite(value) || (typeof value === 'bigint' && BigInt(Number(value)) === value);
}

function isTime(value: unknown): boolean {
  return value instanceof Date && !Number.isNaN(value.getTime());
}

const DATE_TIME_SHAPE = new RegExp(DATE_TIME, 'u');
const DATE_SHAPE = new RegExp(DATE, 'u');

function isDateTime(text: string): boolean {
  return DATE_TIME_SHAPE.test(text) && inCalendar(text);
}

function isDate(text: string): boolean {
  return DATE_SHAPE.test(text) && inCalendar(text);
}

/** 2013-02-30 is not. */
function inCalendar(text: string): boolean {
  const [year = 0, month = 0, day = 0] = text.slice(0, 10).split('-').map(Number);
  const date = new Date(Date.UTC(2000, month - 1, day));
  date.setUTCFullYear(year, month - 1, day);
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}

/** See `decimalStep`. */
function isMultiple(step: number, value: number | bigint): boolean {
  const { p, scale } = decimalStep(step) ?? { p: 1, scale: 1 };
  if (scale === 1) return typeof value === 'bigint' ? value % BigInt(p) === 0n : value % p === 0;
  const x = Number(value);
  return (Math.round((x * scale) / p) * p) / scale === x;
}
