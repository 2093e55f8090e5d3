/** From a column with two values, or an SQL expression, to the yes-or-no question a model answers. */
import { type DuckDb, identifier, literal } from '../../dataset/duckdb.ts';
import { RefitError } from '../../spec/errors.ts';
import { columnsOf, findColumn } from './arguments.ts';
import type { ColumnSql } from './names.ts';
import { inShell, listed, quoted } from './names.ts';
import type { OpenTable } from './open-table.ts';
import type { ColumnProfile } from './profile.ts';

export interface LabelReading {
  /** Boolean SQL; NULL = no label. */
  sql: string;
  /** Columns that it uses. */
  columns: string[];
  /** What true means, in words: `Churn is "Yes"`. */
  means: string;
  /** Why this value is the positive one. */
  because: string;
  /** The values the column may have by the contract; absent where any may come. */
  values?: (string | number | boolean)[];
}

/** A text that stands for a missing label. */
const MISSING = ['', 'na', 'n/a', '#n/a', 'nan', 'null', 'none', 'nil', '-', '?', 'unknown', 'unlabelled', 'unlabeled'];
const YES = words(`yes y true t 1 on positive pos churn churned left lost leaver exited gone closed cancelled canceled
  cancel default defaulted fraud fraudulent bad failed failure fail late delayed spam attrited sick died dead malignant
  abnormal anomaly clicked converted conversion bought purchased accepted subscribed won hit ja oui si sí`);
const NO =
  words(`no n false f 0 off negative neg stayed stay retained active existing current kept open paid ok good pass
  passed success ontime normal legit legitimate genuine ham healthy alive survived benign rejected ignored nein non`);

function words(text: string): Set<string> {
  return new Set(text.split(/\s+/));
}

interface Value {
  /** As in the file; booleans and numbers are not text. */
  value: string | number | boolean;
  rows: number;
}

/** More different values than this are not listed in a message. */
const MOST_LISTED = 6;

/**
 * Reads `--label`: a column's name, or an SQL expression. @param model the pipeline's name, e.g. `churn`
 * @throws RefitError REFIT_USAGE (no such column, not two values), REFIT_LABEL_ONE_CLASS, REFIT_EXPRESSION_INVALID
 */
export async function readLabel(
  table: OpenTable,
  label: string,
  columns: readonly ColumnProfile[],
  { sql, model }: { sql: ColumnSql; model: string },
): Promise<LabelReading> {
  const column = findColumn(columns, label);
  if (!column) return expression(table.db, label, columns);
  if (column.name.startsWith('__')) {
    throw new RefitError(
      'REFIT_USAGE',
      `The label ${column.name} begins with two underscores, which is reserved; rename it.`,
    );
  }
  const own = sql(column.name);
  const values = await valuesOf(table.db, column);
  const filled = values.filter(({ value }) => !missing(value));
  if (filled.length === 0) throw oneClass(`The label ${column.name} is empty in every row.`);
  if (column.holds === 'boolean' && column.contract === 'boolean') {
    if (filled.length === 1) throw oneClass(`The label ${column.name} is ${String(filled[0]?.value)} in every row.`);
    return { sql: own, columns: [column.name], means: `${column.name} is true`, because: 'it is a truth value' };
  }
  return twoValues(column, own, values, model);
}

async function expression(db: DuckDb, label: string, columns: readonly ColumnProfile[]): Promise<LabelReading> {
  const names = columns.map(({ name }) => name);
  const used = await columnsOf(db, '--label', label, names);
  return { sql: label, columns: used, means: label, because: 'you gave the condition' };
}

/** Different values with their rows, the most frequent first; a few more than can be told. */
async function valuesOf(db: DuckDb, { name, holds, fileType }: ColumnProfile): Promise<Value[]> {
  if (holds === 'nested' || holds === 'other') {
    throw new RefitError('REFIT_USAGE', `The label ${name} is a ${fileType}; give a condition with --label instead.`);
  }
  const text = fileType === 'VARCHAR' ? `try_cast(${identifier(name)} AS DOUBLE)` : identifier(name);
  const number = holds === 'integer' || holds === 'number';
  const value = number
    ? `coalesce((${text})::DOUBLE::VARCHAR, ${identifier(name)}::VARCHAR)`
    : `${identifier(name)}::VARCHAR`;
  const rows = await db.rows<{ v: string; n: number }>(
    `SELECT ${value} AS v, count(*)::DOUBLE AS n FROM raw WHERE ${identifier(name)} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 50`,
  );
  return rows.map(({ v, n }) => ({
    value:
      number && Number.isFinite(Number(v)) && v.trim() !== ''
        ? Number(v)
        : holds === 'boolean'
          ? v.toLowerCase() === 'true'
          : v,
    rows: n,
  }));
}

const missing = (value: Value['value']): boolean => typeof value === 'string' && MISSING.includes(normal(value));
const normal = (value: Value['value']): string => String(value).trim().toLowerCase();

/** Yes/No in any spelling, 0/1, churned/stayed: which of the two is the outcome, and the SQL that says so. */
function twoValues(column: ColumnProfile, own: string, all: Value[], model: string): LabelReading {
  const groups = new Map<string, Value[]>();
  for (const value of all) {
    if (!missing(value.value)) groups.set(normal(value.value), [...(groups.get(normal(value.value)) ?? []), value]);
  }
  const names = [...groups.keys()];
  if (names.length === 1)
    throw oneClass(`The label ${column.name} is ${quoted(names[0] ?? '')} in every row that has one.`);
  if (names.length > 2)
    throw notTwo(
      column,
      own,
      [...groups.values()].map(([first]) => String(first?.value)),
    );
  const rows = new Map([...groups].map(([name, values]) => [name, values.reduce((sum, { rows }) => sum + rows, 0)]));
  const { name: positive, because } = choose(names as [string, string], rows, [column.name, model]);
  const spelled = groups.get(positive)?.[0]?.value ?? positive;
  const shown = typeof spelled === 'string' ? quoted(spelled) : String(spelled);
  const clean = all.length === 2;
  const found = { columns: [column.name], means: `${column.name} is ${shown}`, because };
  if (column.contract === 'string' && column.holds !== 'text') {
    return { ...found, sql: `${column.sql} = ${valueSql(spelled)}` };
  }
  // A value that is none of the two must not count as a no: the contract refuses it.
  if (clean) return { ...found, sql: `${own} = ${valueSql(spelled)}`, values: all.map(({ value }) => value) };
  const text = `lower(trim(${own}))`;
  const both = names.map(literal).join(', ');
  return { ...found, sql: `CASE WHEN ${text} IN (${both}) THEN ${text} = ${literal(positive)} END` };
}

function valueSql(value: Value['value']): string {
  return typeof value === 'string' ? literal(value) : String(value);
}

/** The outcome among two values, and why. `rows`: how many have each. Pure: ('yes', 'no') → yes. */
export function choose(
  [a, b]: [string, string],
  rows: ReadonlyMap<string, number>,
  topics: readonly string[],
): { name: string; because: string } {
  const only = (is: (value: string) => boolean): string | undefined => (is(a) === is(b) ? undefined : is(a) ? a : b);
  const yes = only((value) => YES.has(value));
  const no = only((value) => NO.has(value));
  const bare = (value: string) => value.replaceAll(/[\s_-]/g, '');
  const negates = (value: string, other: string) =>
    /^(not?|non|un|in|dis)/.test(value) && bare(value).endsWith(bare(other));
  const negated = only((value) => negates(value, value === a ? b : a));
  const other = (value: string) => (value === a ? b : a);
  if (yes !== undefined && yes !== no) return { name: yes, because: 'it says yes' };
  if (no !== undefined) return { name: other(no), because: `${quoted(no)} says no` };
  if (negated !== undefined) return { name: other(negated), because: `${quoted(negated)} is its opposite` };
  const named = only((value) => topics.some((topic) => resembles(value, topic)));
  if (named !== undefined) return { name: named, because: 'it is what the label is called' };
  const numbers = [a, b].map(Number);
  if (numbers.every(Number.isFinite) && numbers.some((value) => value <= 0)) {
    return { name: Number(a) > Number(b) ? a : b, because: 'it is the larger number' };
  }
  const [ra = 0, rb = 0] = [rows.get(a), rows.get(b)];
  if (ra === rb) return { name: a < b ? b : a, because: 'both are equally frequent: choose with --label' };
  return { name: ra < rb ? a : b, because: 'it is the rarer one' };
}

/** `churned` and `Churn`: one begins as the other does, for four letters at least. */
function resembles(value: string, topic: string): boolean {
  const [short = '', long = ''] = [value, topic]
    .map((text) => text.toLowerCase().replaceAll(/[^\p{L}]/gu, ''))
    .sort((x, y) => x.length - y.length);
  return short.length >= 4 && long.startsWith(short.slice(0, Math.max(4, short.length - 2)));
}

function notTwo(column: ColumnProfile, own: string, names: string[]): RefitError {
  const number = column.holds === 'integer' || column.holds === 'number';
  const sorted = names.map(Number).sort((x, y) => x - y);
  const middle = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const many = names.length > MOST_LISTED;
  const shown = names.slice(0, MOST_LISTED).map(quoted);
  const values = `${many ? 'many' : names.length} different values (${many ? `${shown.join(', ')}, …` : listed(shown)})`;
  const example = number ? `${own} > ${Number(middle.toPrecision(3))}` : `${own} = ${literal(names[0] ?? '')}`;
  const message = `The label ${column.name} has ${values}, and this version of Refit predicts yes or no; give a condition, e.g. --label ${inShell(example)}.`;
  return new RefitError('REFIT_USAGE', message, { column: column.name, values: names });
}

function oneClass(message: string): RefitError {
  return new RefitError('REFIT_LABEL_ONE_CLASS', message);
}
