import { VALUE_KEYWORDS, valueRules } from './contract-keywords.ts';
import {
  ANNOTATIONS,
  allowOnly,
  type ContractType,
  columnList,
  invalid,
  isSchema,
  type Schema,
} from './contract-schema.ts';
import { identifier } from './duckdb.ts';

/**
 * Rules over several columns of one row: if/then/else, dependentRequired, dependentSchemas, allOf, anyOf, oneOf, not. A
 * missing value and a null are one thing here, as in a table: `required` means "not null", and a property that is null says
 * nothing about its value.
 */

export interface Condition {
  /** In words: the title where one is given, else the schema itself. */
  text: string;
  columns: string[];
  brokenSql: string;
  /** The same for a single record, whose nulls were taken out. */
  schema: Schema;
}

const LISTS = ['allOf', 'anyOf', 'oneOf'];
const COMBINED = ['if', 'then', 'else', 'not', ...LISTS, 'dependentRequired', 'dependentSchemas'];
/** At the root of a contract, beside `properties` and `required`. */
export const CONDITION_KEYWORDS = COMBINED;

interface Scope {
  types: ReadonlyMap<string, ContractType>;
  /** Columns met on the way. */
  used: Set<string>;
}

/** The conditions at a contract's root. @throws RefitError REFIT_CONTRACT_INVALID */
export function compileConditions(root: Schema, types: ReadonlyMap<string, ContractType>): Condition[] {
  return parts(root).map(({ name, place, schema }) => {
    const scope: Scope = { types, used: new Set() };
    const holds = holdsSql(schema, place, scope);
    const columns = [...types.keys()].filter((column) => scope.used.has(column));
    return { text: named(name, schema), columns, brokenSql: `NOT (${holds})`, schema: plain(schema) as Schema };
  });
}

/** One rule for each branch of allOf and each entry of dependentRequired; one for each other keyword. */
function parts(root: Schema): { name: string; place: string; schema: Schema }[] {
  const found: { name: string; place: string; schema: Schema }[] = [];
  for (const [i, schema] of listOf(root, 'allOf', '').entries()) {
    found.push({ name: `allOf[${i}]`, place: `allOf.${i}`, schema });
  }
  for (const keyword of ['dependentRequired', 'dependentSchemas']) {
    if (root[keyword] === undefined) continue;
    const entries = isSchema(root[keyword]) ? root[keyword] : invalid(keyword, 'must be an object by column');
    for (const [column, value] of Object.entries(entries)) {
      found.push({ name: `${keyword} ${column}`, place: '', schema: { [keyword]: { [column]: value } } });
    }
  }
  if (root.if !== undefined) {
    const { if: condition, then, else: otherwise } = root;
    const schema = {
      if: condition,
      ...(then === undefined ? {} : { then }),
      ...(otherwise === undefined ? {} : { else: otherwise }),
    };
    found.push({ name: 'if', place: '', schema });
  } else if (root.then !== undefined || root.else !== undefined) {
    invalid(root.then === undefined ? 'else' : 'then', 'there is no "if" beside it');
  }
  for (const keyword of ['anyOf', 'oneOf', 'not']) {
    if (root[keyword] !== undefined) found.push({ name: keyword, place: '', schema: { [keyword]: root[keyword] } });
  }
  return found;
}

function named(name: string, schema: Schema): string {
  const title = schema.title ?? (isSchema(schema.if) ? schema.if.title : undefined);
  if (typeof title === 'string') return `${name}: ${title}`;
  const text = JSON.stringify(schema);
  return `${name}: ${text.length > 120 ? `${text.slice(0, 117)}…` : text}`;
}

function listOf(schema: Schema, keyword: string, place: string): Schema[] {
  const value = schema[keyword];
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length === 0) return invalid(at(place, keyword), 'must be a list of schemas');
  return value.map((one, i) => schemaAt(one, at(at(place, keyword), String(i))));
}

function schemaAt(value: unknown, place: string): Schema {
  return isSchema(value) ? value : invalid(place, 'must be an object');
}

const at = (place: string, key: string): string => (place === '' ? key : `${place}.${key}`);

/** SQL that is true, and never NULL, for a row that keeps the schema. */
function holdsSql(schema: Schema, place: string, scope: Scope): string {
  allowOnly(schema, [...ANNOTATIONS, 'type', 'properties', 'required', ...COMBINED], place);
  if (schema.type !== undefined && schema.type !== 'object') invalid(at(place, 'type'), 'a row is an "object"');
  const terms = [
    ...propertyTerms(schema, place, scope),
    ...columns(schema.required ?? [], at(place, 'required'), scope).map(given),
    ...dependentTerms(schema, place, scope),
  ];
  const sub = (value: unknown, key: string) => holdsSql(schemaAt(value, at(place, key)), at(place, key), scope);
  const list = (keyword: string) =>
    listOf(schema, keyword, place).map((one, i) => `(${holdsSql(one, at(at(place, keyword), String(i)), scope)})`);
  if (schema.allOf !== undefined) terms.push(list('allOf').join(' AND '));
  if (schema.anyOf !== undefined) terms.push(list('anyOf').join(' OR '));
  if (schema.oneOf !== undefined)
    terms.push(
      `${list('oneOf')
        .map((one) => `${one}::INTEGER`)
        .join(' + ')} = 1`,
    );
  if (schema.not !== undefined) terms.push(`NOT (${sub(schema.not, 'not')})`);
  if (schema.if === undefined && (schema.then !== undefined || schema.else !== undefined))
    invalid(at(place, schema.then === undefined ? 'else' : 'then'), 'there is no "if" beside it');
  if (schema.if !== undefined) {
    const condition = sub(schema.if, 'if');
    const then = schema.then === undefined ? 'true' : sub(schema.then, 'then');
    const otherwise = schema.else === undefined ? 'true' : sub(schema.else, 'else');
    terms.push(`CASE WHEN ${condition} THEN ${then} ELSE ${otherwise} END`);
  }
  return terms.length === 0 ? 'true' : terms.map((term) => `(${term})`).join(' AND ');
}

const given = (column: string): string => `${identifier(column)} IS NOT NULL`;

function columns(value: unknown, place: string, { types, used }: Scope): string[] {
  const names = columnList(value, place, [...types.keys()]);
  for (const name of names) used.add(name);
  return names;
}

function propertyTerms(schema: Schema, place: string, scope: Scope): string[] {
  if (schema.properties === undefined) return [];
  const properties = schemaAt(schema.properties, at(place, 'properties'));
  columns(Object.keys(properties), at(place, 'properties'), scope);
  return Object.entries(properties).flatMap(([name, value]) => {
    const here = at(place, `properties.${name}`);
    const property = schemaAt(value, here);
    allowOnly(property, [...ANNOTATIONS, 'type', ...VALUE_KEYWORDS], here);
    const type = scope.types.get(name) as ContractType;
    if ('enum' in property && (!Array.isArray(property.enum) || property.enum.length === 0))
      invalid(`${here}.enum`, 'must be a list of values');
    const absent = typeTerm(name, type, property.type, here);
    return [
      ...absent,
      ...valueRules(name, type, property, here).map(({ brokenSql }) => `NOT coalesce(${brokenSql}, false)`),
    ];
  });
}

/** A type says nothing new, unless it is null alone. */
function typeTerm(name: string, type: ContractType, declared: unknown, place: string): string[] {
  if (declared === undefined) return [];
  const kinds = [declared].flat().filter((kind) => kind !== 'null');
  if (kinds.length === 0) return [`${identifier(name)} IS NULL`];
  const own = type.startsWith('date') ? 'string' : type;
  if (kinds.some((kind) => kind !== own)) invalid(`${place}.type`, `the column is of type ${own}`);
  return [];
}

function dependentTerms(schema: Schema, place: string, scope: Scope): string[] {
  const terms: string[] = [];
  for (const keyword of ['dependentRequired', 'dependentSchemas']) {
    if (schema[keyword] === undefined) continue;
    const entries = schemaAt(schema[keyword], at(place, keyword));
    columns(Object.keys(entries), at(place, keyword), scope);
    for (const [column, value] of Object.entries(entries)) {
      const here = at(place, `${keyword}.${column}`);
      const holds =
        keyword === 'dependentRequired'
          ? columns(value, here, scope).map(given)
          : [holdsSql(schemaAt(value, here), here, scope)];
      terms.push(`${identifier(column)} IS NULL OR (${holds.length === 0 ? 'true' : holds.join(' AND ')})`);
    }
  }
  return terms;
}

/** The schema for a record without nulls: what is there is of the column's type, so that types need no second look. */
function plain(schema: Schema): Schema {
  const entries = Object.entries(schema).flatMap(([key, value]): [string, unknown][] => {
    if (ANNOTATIONS.includes(key) || key === 'type') return [];
    if (key === 'properties') return [[key, mapValues(value as Schema, property)]];
    if (key === 'dependentSchemas') return [[key, mapValues(value as Schema, (one) => plain(one as Schema))]];
    if (LISTS.includes(key)) return [[key, (value as Schema[]).map(plain)]];
    return [[key, isSchema(value) && key !== 'dependentRequired' ? plain(value) : value]];
  });
  return Object.fromEntries(entries);
}

function mapValues(value: Schema, change: (one: unknown) => unknown): Schema {
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, change(one)]));
}

function property(value: unknown): unknown {
  const { type, ...rest } = value as Schema;
  const kept = Object.fromEntries(Object.entries(rest).filter(([key]) => VALUE_KEYWORDS.includes(key)));
  const onlyNull = type !== undefined && [type].flat().every((kind) => kind === 'null');
  return onlyNull ? { ...kept, not: {} } : kept;
}
