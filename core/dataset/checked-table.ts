import { RefitError } from '../spec/errors.ts';
import { nearest } from '../spec/nearest.ts';
import { type Conversion, convert, keep, type RawColumn } from './column-types.ts';
import type { Contract, ContractColumn, ContractRule, ContractType } from './contract.ts';
import { type DuckDb, identifier } from './duckdb.ts';
import { BAD_LINE } from './json-lines.ts';
import { treatedSql } from './pii-sql.ts';
import { type Place, reason } from './raw-table.ts';

/**
 * A file as its contract types it: the view `checked`, `raw` with the contract's types, `__broken` (the row breaks a rule) and
 * `__flags`, a BOOLEAN a rule, NULL for a row that breaks none. Nearly all rows are such: they are asked everything at once,
 * and only the others rule by rule.
 */

export interface CheckedTable {
  /** Columns of the table, the contract's types applied: the file's in its order, then optional ones it does not have. */
  columns: string[];
  rules: ContractRule[];
  /** Columns of personal data as `checked` holds them raw besides, for expressions that may see them: column → `__raw_<i>`. */
  rawPii: Map<string, string>;
}

interface Options {
  zone: string;
  /** The file holds text only (CSV). */
  text: boolean;
  jsonLines?: boolean;
  place: Place;
}

/**
 * Creates the view `checked`.
 * @throws RefitError REFIT_CONTRACT_MISSING_COLUMN, REFIT_CONTRACT_UNKNOWN_COLUMN, REFIT_CONTRACT_TYPE, REFIT_CONTRACT_INVALID
 * (a pattern RE2 refuses)
 */
export async function checkContract(
  db: DuckDb,
  raw: RawColumn[],
  contract: Contract,
  options: Options,
): Promise<CheckedTable> {
  refuseHeadless(raw, contract, options.place);
  refuseUnknown(raw, contract, options.place);
  const typed = await typedColumns(db, raw, contract, options);
  const missing = missingColumns(raw, contract, options.place);
  const names = [...raw.map(({ name }) => name), ...missing.map(({ name }) => name)];
  const { columns, rawPii, treat } = treatment(contract, names);
  const all = [...rulesOfTypes(typed, contract), ...contract.rules.map((rule) => exceptWrong(rule, typed))];
  // By column, as the file has them.
  const order = new Map(raw.map(({ name }, i) => [name, i]));
  const place = ({ rule }: Told) => order.get(rule.column ?? '') ?? raw.length;
  all.sort((a, b) => place(a) - place(b));
  const items = typed.map(({ name, sql }) => `${sql} AS ${name}`);
  items.push(...missing.map(({ name, sqlType }) => `NULL::${sqlType} AS ${identifier(name)}`), '__row');
  // A row with a value of the wrong type is broken anyhow, whatever other rules would say of that value.
  const any = all.map(({ rule }) => `(${rule.brokenSql})`).join(' OR ');
  const each = all.map(({ sql }) => `(${sql})`).join(', ');
  try {
    await db.run(
      `CREATE TEMP VIEW checked AS ${treat(`
      SELECT ${withoutWrong(typed)}, CASE WHEN __broken THEN [${each}]::BOOLEAN[] END AS __flags
      FROM (SELECT *, coalesce(${any === '' ? 'false' : any}, false) AS __broken FROM (SELECT ${items.join(', ')} FROM raw))`)}`,
    );
  } catch (error) {
    const { source } = options.place;
    throw new RefitError(
      'REFIT_CONTRACT_INVALID',
      `The contract of source "${source}" cannot be checked: ${reason(error, options.place.discreet)}.`,
      { source },
    );
  }
  return { columns, rules: all.map(({ rule }) => rule), rawPii };
}

/** A column of the contract's type, or a flag: true where the value of `of` (of any column, if null) was not of its type. */
interface TypedColumn {
  /** Quoted. */
  name: string;
  sql: string;
  of?: ContractColumn | null;
  /** Where the flag is true, the column holds something yet. */
  clear?: boolean;
}

async function typedColumns(
  db: DuckDb,
  raw: RawColumn[],
  contract: Contract,
  options: Options,
): Promise<TypedColumn[]> {
  const typed: TypedColumn[] = [];
  if (options.jsonLines) typed.push({ name: '__type_line', sql: `${BAD_LINE} IS NOT NULL`, of: null });
  for (const column of raw) {
    const name = identifier(column.name);
    const wanted = contract.columns.find((one) => one.name === column.name);
    if (!wanted) {
      typed.push({ name, sql: keep(column, options.zone) });
      continue;
    }
    const { valueSql, brokenSql, uncheckedSql } = await conversion(db, column, wanted, options);
    typed.push({ name, sql: uncheckedSql ?? valueSql });
    if (brokenSql === undefined) continue;
    typed.push({ name: `__type_${typed.length}`, sql: brokenSql, of: wanted, clear: uncheckedSql !== undefined });
  }
  return typed;
}

/** `*` of the typed columns without the flags of types, and values of the wrong type NULL. */
function withoutWrong(typed: TypedColumn[]): string {
  const flags = typed.filter(({ of }) => of !== undefined);
  const nulls = flags.flatMap(({ name, of, clear }) => {
    const column = identifier(of?.name ?? '');
    return clear ? [`CASE WHEN NOT ${name} THEN ${column} END AS ${column}`] : [];
  });
  const exclude = flags.length === 0 ? '' : ` EXCLUDE (${flags.map(({ name }) => name).join(', ')})`;
  return `*${exclude}${nulls.length === 0 ? '' : ` REPLACE (${nulls.join(', ')})`}`;
}

/** A rule, and SQL that is true for a row it is told of. */
interface Told {
  rule: ContractRule;
  sql: string;
}

function rulesOfTypes(typed: TypedColumn[], { columns }: Contract): Told[] {
  return typed.flatMap(({ name, of }): Told[] => {
    if (of === undefined) return [];
    const line = { rule: 'line: JSON object', column: null, columns: columns.map((column) => column.name) };
    return [
      { rule: of === null ? { ...line, brokenSql: name, schema: {} } : typeRule(of.name, of.type, name), sql: name },
    ];
  });
}

/**
 * A value of the wrong type breaks that one rule, not `required` besides, nor any other it takes part in. So does a line that
 * could not be read.
 */
function exceptWrong(rule: ContractRule, typed: TypedColumn[]): Told {
  const wrong = typed.filter(({ of }) => of === null || (of !== undefined && rule.columns.includes(of.name)));
  if (wrong.length === 0) return { rule, sql: rule.brokenSql };
  return { rule, sql: `NOT (${wrong.map(({ name }) => name).join(' OR ')}) AND (${rule.brokenSql})` };
}

/** Whether a row of `checked`, or of what is made of it, breaks the rule of that number. */
export function ruleSql(rule: number, flags = '__flags'): string {
  return `coalesce(${flags}[${rule + 1}], false)`;
}

function typeRule(name: string, type: ContractType, flag: string): ContractRule {
  const text = `${name}: ${type.startsWith('date') ? 'format' : 'type'} ${type}`;
  return { rule: text, column: name, columns: [name], brokenSql: flag, schema: {}, wrongType: true };
}

/** Rules were judged on what was read; from here on, personal data is hashed or gone. */
function treatment(
  { pii }: Contract,
  names: string[],
): Omit<CheckedTable, 'rules'> & { treat: (sql: string) => string } {
  const own = pii.filter(({ column }) => names.includes(column));
  const dropped = own.filter(({ treatment }) => treatment === 'drop').map(({ column }) => column);
  const kept = own.filter(({ column }) => !dropped.includes(column));
  // A dropped one is still asked whether it is missing.
  const seen = own.filter(({ derive, treatment }) => derive.length > 0 || treatment === 'drop');
  const rawPii = new Map(seen.map(({ column }, i) => [column, `__raw_${i}`]));
  const star = [
    '*',
    dropped.length === 0 ? '' : `EXCLUDE (${dropped.map(identifier).join(', ')})`,
    kept.length === 0
      ? ''
      : `REPLACE (${kept.map((one) => `${treatedSql(one, identifier(one.column))} AS ${identifier(one.column)}`).join(', ')})`,
  ].join(' ');
  const raws = [...rawPii].map(([column, name]) => `, ${identifier(column)} AS ${name}`).join('');
  return {
    columns: names.filter((name) => !dropped.includes(name)),
    rawPii,
    treat: (sql) => (own.length === 0 ? sql : `SELECT ${star}${raws} FROM (${sql})`),
  };
}

/**
 * Where a file has not one of the contract's columns, what stands for their names is most likely a row (DuckDB takes one for the header
 * that has a field too many): personal data that nothing marks. @throws RefitError REFIT_CONTRACT_MISSING_COLUMN
 */
function refuseHeadless(raw: RawColumn[], { columns }: Contract, { source, file, discreet }: Place): void {
  const own = raw.filter(({ text }) => !text);
  if (!discreet || own.some(({ name }) => columns.some((one) => one.name === name))) return;
  const message = `${file} of source "${source}" has none of its contract's columns. What was read as its header is not shown, as it may be a row: is the header missing, or has a line a field too many?`;
  throw new RefitError('REFIT_CONTRACT_MISSING_COLUMN', message, { source, file });
}

/** @throws RefitError REFIT_CONTRACT_UNKNOWN_COLUMN where the contract says `"additionalProperties": false` */
function refuseUnknown(raw: RawColumn[], { open, columns }: Contract, { source, file }: Place): void {
  const names = columns.map(({ name }) => name);
  const other = open ? undefined : raw.find(({ name }) => !names.includes(name));
  if (!other) return;
  const message = `${file} of source "${source}" has a column "${other.name}" that its contract does not know${nearest(other.name, names)}.`;
  throw new RefitError('REFIT_CONTRACT_UNKNOWN_COLUMN', message, { source, file, column: other.name });
}

async function conversion(
  db: DuckDb,
  column: RawColumn,
  wanted: ContractColumn,
  { zone, text, place }: { zone: string; text: boolean; place: Place },
): Promise<Conversion> {
  const found = convert(column, wanted.type, zone, text);
  if (found) return found;
  // Writers give a column without a single value whatever type they like.
  const [row] = await db.rows<{ n: number }>(`SELECT count(${identifier(column.name)})::DOUBLE AS n FROM raw`);
  if (row?.n === 0) return { valueSql: `NULL::${wanted.sqlType}` };
  throw new RefitError(
    'REFIT_CONTRACT_TYPE',
    `Column "${column.name}" of ${place.file} (source "${place.source}") is ${column.type}; its contract wants ${wanted.type}.`,
    { ...place, column: column.name, found: column.type, wanted: wanted.type },
  );
}

/** Optional columns the file does not have. @throws RefitError REFIT_CONTRACT_MISSING_COLUMN for a required one */
function missingColumns(raw: RawColumn[], contract: Contract, { source, file }: Place): ContractColumn[] {
  const names = raw.map(({ name }) => name);
  const missing = contract.columns.filter(({ name }) => !names.includes(name));
  for (const { name, required } of missing) {
    // SQL does not tell `Origin` from `origin`: beside it, no column of that name could be added.
    const otherCase = names.some((other) => other.toLowerCase() === name.toLowerCase());
    if (!required && !otherCase) continue;
    const message = `${file} of source "${source}" has no column "${name}"${nearest(name, names)}.`;
    throw new RefitError('REFIT_CONTRACT_MISSING_COLUMN', message, { source, file, column: name });
  }
  return missing;
}
