import { RefitError } from '../spec/errors.ts';
import { nearest } from '../spec/nearest.ts';
import { toRe2 } from './contract-pattern.ts';
import { identifier, literal } from './duckdb.ts';

/**
 * Compiles a contract (JSON Schema 2020-12 of one row) to SQL predicates, so that millions of rows are checked in one
 * vectorised pass. Knows the keywords that make sense for a table; any other is refused by name, never ignored.
 */

export type ContractType = 'integer' | 'number' | 'boolean' | 'string' | 'date-time' | 'date';

export const SQL_TYPE: Record<ContractType, string> = {
  integer: 'BIGINT',
  number: 'DOUBLE',
  boolean: 'BOOLEAN',
  string: 'VARCHAR',
  'date-time': 'TIMESTAMP',
  date: 'DATE',
};

export interface ContractColumn {
  name: string;
  type: ContractType;
  /** DuckDB type of the column in the extracted table. */
  sqlType: string;
  /** A column that is not required may be left out, which a table says with NULL. */
  nullable: boolean;
  required: boolean;
}

/** `brokenSql`: true for a row that breaks the rule, never NULL, over columns of the contract's SQL types. */
export interface ContractRule {
  /** In words, e.g. `dep_delay: minimum -60`. */
  rule: string;
  column: string | null;
  columns: string[];
  brokenSql: string;
  /** The value was not of its column's type, and is NULL by now. */
  wrongType?: true;
}

export interface Contract {
  columns: ContractColumn[];
  rules: ContractRule[];
  /** Columns that name a row (`x-unique`); not among the rules because it takes more than one row to break it. */
  unique: string[] | null;
}

const ANNOTATIONS = ['title', 'description', '$schema', '$id', '$comment', 'examples', 'default'];
const ROOT = [...ANNOTATIONS, 'type', 'properties', 'required', 'additionalProperties', 'x-unique'];
const NUMBERS: ContractType[] = ['integer', 'number'];
/** Keyword → the column types it applies to; JSON Schema would ignore it on others, we refuse. */
const APPLIES: Record<string, ContractType[]> = {
  minimum: NUMBERS,
  maximum: NUMBERS,
  exclusiveMinimum: NUMBERS,
  exclusiveMaximum: NUMBERS,
  minLength: ['string'],
  maxLength: ['string'],
  pattern: ['string'],
  enum: ['string', 'boolean', ...NUMBERS],
  const: ['string', 'boolean', ...NUMBERS],
};
const PROPERTY = [...ANNOTATIONS, 'type', 'format', ...Object.keys(APPLIES)];

type Schema = Record<string, unknown>;

/** Columns and rules of a contract. @throws RefitError REFIT_CONTRACT_INVALID naming the keyword and its place */
export function compileContract(schema: Schema): Contract {
  allowOnly(schema, ROOT, '');
  if (schema.type !== undefined && schema.type !== 'object')
    invalid('type', 'a contract describes a row: it must be "object"');
  const properties = isSchema(schema.properties) ? schema.properties : invalid('properties', 'must list the columns');
  const names = Object.keys(properties);
  const required = columnList(schema.required ?? [], 'required', names);
  const unique = schema['x-unique'] === undefined ? null : columnList(schema['x-unique'], 'x-unique', names);
  if (unique?.length === 0) invalid('x-unique', 'must name at least one column');
  const contract: Contract = { columns: [], rules: [], unique };
  for (const [name, property] of Object.entries(properties)) {
    const place = `properties.${name}`;
    if (name.startsWith('__')) invalid(place, 'names that begin with two underscores are reserved');
    if (!isSchema(property)) invalid(place, 'must be an object with a type');
    allowOnly(property, PROPERTY, place);
    const { type, allowsNull } = columnType(property, place);
    const isRequired = required.includes(name);
    contract.columns.push({
      name,
      type,
      sqlType: SQL_TYPE[type],
      nullable: !isRequired || allowsNull,
      required: isRequired,
    });
    if (isRequired && !allowsNull) contract.rules.push(rule(name, 'required', `${identifier(name)} IS NULL`));
    contract.rules.push(...valueRules(name, type, property, place));
  }
  return contract;
}

function invalid(place: string, reason: string): never {
  throw new RefitError('REFIT_CONTRACT_INVALID', `The contract's ${place} is not usable: ${reason}.`, { place });
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function allowOnly(schema: Schema, allowed: string[], place: string): void {
  for (const key of Object.keys(schema)) {
    const at = place === '' ? key : `${place}.${key}`;
    if (!allowed.includes(key)) invalid(at, `the keyword "${key}" is not supported${nearest(key, allowed)}`);
  }
}

function columnList(value: unknown, place: string, names: string[]): string[] {
  if (!Array.isArray(value)) invalid(place, 'must be a list of column names');
  for (const name of value as unknown[]) {
    if (typeof name !== 'string' || !names.includes(name)) {
      invalid(place, `${JSON.stringify(name)} has no entry in properties${nearest(String(name), names)}`);
    }
  }
  return value as string[];
}

/** The one type a column can have besides null; taken from enum or const where `type` is absent. */
function columnType(property: Schema, place: string): { type: ContractType; allowsNull: boolean } {
  const values = 'const' in property ? [property.const] : property.enum;
  if (values !== undefined && (!Array.isArray(values) || values.length === 0))
    invalid(`${place}.enum`, 'must be a list of values');
  const listed = values as unknown[] | undefined;
  const declared = property.type === undefined ? [...new Set(listed?.map(typeName))] : [property.type].flat();
  const kinds = declared.filter((kind) => kind !== 'null');
  const [kind] = kinds;
  if (kinds.length !== 1 || typeof kind !== 'string' || !['integer', 'number', 'boolean', 'string'].includes(kind)) {
    invalid(`${place}.type`, 'must be one of integer, number, boolean or string, alone or in a list with "null"');
  }
  const allowsNull = declared.includes('null') && (listed === undefined || listed.includes(null));
  if (property.format === undefined) return { type: kind as ContractType, allowsNull };
  if (kind !== 'string' || !['date-time', 'date'].includes(String(property.format))) {
    invalid(`${place}.format`, 'only date-time and date are supported, for strings');
  }
  return { type: property.format as ContractType, allowsNull };
}

function typeName(value: unknown): string {
  if (value === null) return 'null';
  return typeof value === 'number' ? (Number.isInteger(value) ? 'integer' : 'number') : typeof value;
}

function rule(column: string, text: string, broken: string): ContractRule {
  return { rule: `${column}: ${text}`, column, columns: [column], brokenSql: `coalesce(${broken}, false)` };
}

function valueRules(name: string, type: ContractType, property: Schema, place: string): ContractRule[] {
  return Object.entries(property).flatMap(([keyword, value]) => {
    const types = APPLIES[keyword];
    if (!types) return [];
    const at = `${place}.${keyword}`;
    if (!types.includes(type)) invalid(at, `${keyword} does not apply to a column of type ${type}`);
    const text =
      keyword === 'enum' ? 'enum' : `${keyword} ${typeof value === 'string' ? value : JSON.stringify(value)}`;
    return [rule(name, text, brokenSql(identifier(name), type, keyword, value, at))];
  });
}

const COMPARE: Record<string, string> = { minimum: '<', maximum: '>', exclusiveMinimum: '<=', exclusiveMaximum: '>=' };

function brokenSql(column: string, type: ContractType, keyword: string, value: unknown, at: string): string {
  const compare = COMPARE[keyword];
  if (compare) {
    if (typeof value !== 'number') return invalid(at, 'must be a number');
    return `${column} ${compare} ${numberSql(value)}`;
  }
  if (keyword === 'minLength' || keyword === 'maxLength') {
    if (!Number.isInteger(value) || (value as number) < 0) return invalid(at, 'must be a whole number, zero or more');
    return `length(${column}) ${keyword === 'minLength' ? '<' : '>'} ${value as number}`;
  }
  if (keyword === 'pattern') {
    try {
      return `NOT regexp_matches(${column}, ${literal(toRe2(String(value)))})`;
    } catch (error) {
      return invalid(at, (error as Error).message);
    }
  }
  const allowed = (keyword === 'const' ? [value] : (value as unknown[])).filter((one) => one !== null);
  if (allowed.length === 0) return `${column} IS NOT NULL`;
  return `${column} NOT IN (${allowed.map((one) => valueSql(one, type, at)).join(', ')})`;
}

function valueSql(value: unknown, type: ContractType, at: string): string {
  const kind = typeName(value);
  if (kind !== type && !(type === 'number' && kind === 'integer')) {
    invalid(at, `${JSON.stringify(value)} is not of the column's type ${type}`);
  }
  if (typeof value === 'number') return numberSql(value);
  return typeof value === 'string' ? literal(value) : String(value);
}

function numberSql(value: number): string {
  return Number.isSafeInteger(value) ? String(value) : `${value}::DOUBLE`;
}
