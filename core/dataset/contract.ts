import { CONDITION_KEYWORDS, type Condition, compileConditions } from './contract-conditions.ts';
import { VALUE_KEYWORDS, type ValueRule, valueRules } from './contract-keywords.ts';
import { type Pii, piiOf, refuseDropped } from './contract-pii.ts';
import {
  ANNOTATIONS,
  allowOnly,
  type ContractType,
  columnList,
  invalid,
  isSchema,
  type Schema,
  typeName,
} from './contract-schema.ts';
import { COLUMN_RULES, columnRules, rootRules, TABLE_RULES, type TableRule } from './contract-table.ts';
import { identifier } from './duckdb.ts';

/**
 * Compiles a contract (JSON Schema 2020-12 of one row) to SQL predicates, so that millions of rows are checked in one
 * vectorised pass, and to schemas for single records (check-record.ts) that come to the same verdict. Knows the keywords that
 * make sense for a table, and a few of its own (`x-…`); any other is refused by name, never ignored.
 */

export type { ContractType } from './contract-schema.ts';

const SQL_TYPE: Record<ContractType, string> = {
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

/** `brokenSql`: true for a row that breaks the rule, else false or NULL; over columns of the contract's SQL types. */
export interface ContractRule {
  /** In words, e.g. `dep_delay: minimum -60`. */
  rule: string;
  column: string | null;
  columns: string[];
  brokenSql: string;
  /** The same rule for a record without nulls, as JSON Schema. */
  schema: Schema;
  /** The value was not of its column's type, and is NULL by now. */
  wrongType?: true;
}

export interface Contract {
  columns: ContractColumn[];
  rules: ContractRule[];
  /** Columns that name a row (`x-unique`); not among the rules because it takes more than one row to break it. */
  unique: string[] | null;
  /** What must hold of the table as a whole. */
  tableRules: TableRule[];
  pii: Pii[];
  /** False: a column that the contract does not name is refused. */
  open: boolean;
  /** `x-version`: raised to accept an incompatible change of the columns. */
  version: number;
}

const ROOT = [...ANNOTATIONS, 'type', 'properties', 'required', 'additionalProperties', ...CONDITION_KEYWORDS];
const OURS = ['x-unique', 'x-version', ...TABLE_RULES];
const PROPERTY = [...ANNOTATIONS, 'type', ...VALUE_KEYWORDS, ...COLUMN_RULES, 'x-pii'];

/** Columns and rules of a contract. @throws RefitError REFIT_CONTRACT_INVALID naming the keyword and its place */
export function compileContract(schema: Schema): Contract {
  if (!isSchema(schema)) invalid('root', 'must be an object');
  allowOnly(schema, [...ROOT, ...OURS], '');
  if (schema.type !== undefined && schema.type !== 'object')
    invalid('type', 'a contract describes a row: it must be "object"');
  const properties = isSchema(schema.properties) ? schema.properties : invalid('properties', 'must list the columns');
  const names = Object.keys(properties);
  const required = columnList(schema.required ?? [], 'required', names);
  const contract: Contract = {
    columns: [],
    rules: [],
    unique: uniqueOf(schema, names),
    tableRules: [],
    pii: [],
    open: openOf(schema),
    version: versionOf(schema),
  };
  for (const [name, property] of Object.entries(properties)) {
    addColumn(contract, name, property, { required: required.includes(name), names });
  }
  const types = new Map(contract.columns.map(({ name, type }) => [name, type]));
  contract.rules.push(...compileConditions(schema, types).map(conditionRule));
  contract.tableRules.push(...rootRules(schema, names));
  refuseDropped(contract.pii, contract.unique ?? [], 'x-unique');
  for (const rule of contract.tableRules) {
    refuseUnordered(contract.pii, rule);
    const used =
      rule.kind === 'references' ? rule.columns : rule.kind === 'monotone' ? [rule.column, ...rule.by] : [rule.column];
    refuseDropped(
      contract.pii,
      used.flatMap((name) => name ?? []),
      rule.rule,
    );
  }
  return contract;
}

/** A hash has neither the order nor the time of its value. */
function refuseUnordered(pii: readonly Pii[], { kind, column, rule }: TableRule): void {
  if (kind === 'nulls' || kind === 'references') return;
  if (pii.some((one) => one.column === column && one.treatment !== 'drop'))
    invalid(rule, `column "${column}" is hashed as PII, which leaves it no order`);
}

interface Among {
  required: boolean;
  names: string[];
}

/** As SQL compares names: without regard to the case of ASCII letters. */
const asSql = (name: string): string => name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

function addColumn(contract: Contract, name: string, property: unknown, { required, names }: Among): void {
  const place = `properties.${name}`;
  if (name === '') invalid(place, 'a column has a name');
  if (name.startsWith('__')) invalid(place, 'names that begin with two underscores are reserved');
  const twin = names.find((other) => other !== name && asSql(other) === asSql(name));
  if (twin !== undefined) invalid(place, `SQL does not tell it from "${twin}"`);
  if (!isSchema(property)) invalid(place, 'must be an object with a type');
  allowOnly(property, PROPERTY, place);
  const { type, allowsNull } = columnType(property, place);
  const column = { name, type, sqlType: SQL_TYPE[type], nullable: !required || allowsNull, required };
  contract.columns.push(column);
  if (!column.nullable) {
    const missing = { keyword: 'required', text: 'required', brokenSql: `${identifier(name)} IS NULL` };
    contract.rules.push(valueRule(name, missing, { required: [name] }));
  }
  for (const rule of valueRules(name, type, property, place)) {
    contract.rules.push(valueRule(name, rule, { properties: { [name]: { [rule.keyword]: property[rule.keyword] } } }));
  }
  contract.tableRules.push(...columnRules(name, type, property, names));
  const pii = piiOf(name, property);
  if (pii) contract.pii.push(pii);
}

function valueRule(name: string, { text, brokenSql }: ValueRule, schema: Schema): ContractRule {
  return { rule: `${name}: ${text}`, column: name, columns: [name], brokenSql, schema };
}

function conditionRule({ text, columns, brokenSql, schema }: Condition): ContractRule {
  return { rule: text, column: null, columns, brokenSql, schema };
}

function uniqueOf(schema: Schema, names: string[]): string[] | null {
  if (schema['x-unique'] === undefined) return null;
  const unique = columnList(schema['x-unique'], 'x-unique', names);
  return unique.length === 0 ? invalid('x-unique', 'must name at least one column') : unique;
}

function openOf({ additionalProperties = true }: Schema): boolean {
  if (typeof additionalProperties === 'boolean') return additionalProperties;
  return invalid('additionalProperties', 'must be true or false');
}

function versionOf({ 'x-version': version = 1 }: Schema): number {
  if (Number.isSafeInteger(version) && (version as number) > 0) return version as number;
  return invalid('x-version', 'must be a whole number from 1');
}

/** The one type a column can have besides null; taken from enum or const where `type` is absent. */
function columnType(property: Schema, place: string): { type: ContractType; allowsNull: boolean } {
  const values = 'const' in property ? [property.const] : property.enum;
  if (values !== undefined && (!Array.isArray(values) || values.length === 0))
    invalid(`${place}.enum`, 'must be a list of values');
  const listed = values as unknown[] | undefined;
  const declared = property.type === undefined ? [...new Set(listed?.map(typeName))] : [property.type].flat();
  // A whole number is a number, too.
  const wider = declared.includes('number') ? ['null', 'integer'] : ['null'];
  const kinds = declared.filter((kind) => !wider.includes(kind as string));
  const [kind] = kinds;
  if (kinds.length !== 1 || typeof kind !== 'string' || !['integer', 'number', 'boolean', 'string'].includes(kind)) {
    invalid(`${place}.type`, 'must be one of integer, number, boolean or string, alone or in a list with "null"');
  }
  const allowsNull = declared.includes('null') && (listed === undefined || listed.includes(null));
  const time = property.format === 'date-time' || property.format === 'date';
  if (time && kind !== 'string') invalid(`${place}.format`, 'date-time and date are formats of strings');
  return { type: (time ? property.format : kind) as ContractType, allowsNull };
}
