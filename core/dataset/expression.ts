import { RefitError } from '../spec/errors.ts';
import { nearest } from '../spec/nearest.ts';
import { type DuckDb, literal } from './duckdb.ts';

/**
 * SQL expressions of a pipeline: one expression over the columns of one row, that gives the same value for ever. What may
 * be called is an allow-list (DuckDB's own catalogue of scalar functions that are consistent), walked on DuckDB's own
 * parse tree, so that nothing reads a file, the clock or another row.
 */

/** A node of `json_serialize_sql`'s tree, as far as we look. */
interface Node {
  class?: string;
  type?: string;
  column_names?: string[];
  function_name?: string;
  children?: Node[];
  lhs?: Node;
  expr?: Node;
  [key: string]: unknown;
}

interface Scope {
  where: string;
  columns: Map<string, string>;
  catalogue: Map<string, string>;
  found: Set<string>;
}

const CLASSES = [
  'COLUMN_REF',
  'CONSTANT',
  'FUNCTION',
  'OPERATOR',
  'CASE',
  'CAST',
  'COMPARISON',
  'CONJUNCTION',
  'BETWEEN',
  'LAMBDA',
  'COLLATE',
];
const REFUSED: Record<string, string> = {
  SUBQUERY: 'it may not hold a query of its own',
  WINDOW: 'it may not look at other rows (OVER)',
  STAR: 'it may not use *',
  PARAMETER: 'it may not have parameters',
};
/** Macros have no stability in the catalogue; these are pure. */
const PURE_MACRO =
  /^(list_|array_|map_contains_|md5_number_)|^(nullif|split_part|fmod|fdiv|round_even|roundbankers|days_in_month|date_add)$/;
/** Said to be consistent, but they read the clock, a setting or the version. */
const IMPURE = /^(current_|pg_|get_?variable|version$|txid_|local|in_search_path|is_histogram|json_execute)/;
const CLOCK =
  /^(current_(date|time|timestamp)|localtime(stamp)?|now|today|get_current_time(stamp)?|transaction_timestamp|random|gen_random_uuid|uuid(v[47])?|current_localtime(stamp)?)$/;

/** The expression fit to stand inside a larger one: a comment at its end swallows nothing. */
export function embed(sql: string): string {
  return `(\n${sql}\n)`;
}

/**
 * Names of the columns an expression uses, spelled as in `columns`, in order of appearance.
 * `where` is its place in the pipeline, e.g. `sources.flights.derive.departs_at`.
 * @throws RefitError REFIT_EXPRESSION_INVALID for what does not parse, is no single expression, names an unknown column, or
 * could give another value tomorrow
 */
export async function expressionColumns(
  db: DuckDb,
  sql: string,
  where: string,
  columns: readonly string[],
): Promise<string[]> {
  const [row] = await db.rows<{ tree: string }>(
    `SELECT json_serialize_sql(${literal(`SELECT ${embed(sql)}`)})::VARCHAR AS tree`,
  );
  const tree = JSON.parse(row?.tree ?? '{}') as {
    error: boolean;
    error_message?: string;
    statements?: { node: Node }[];
  };
  if (tree.error) {
    const word = await reservedColumn(db, sql, columns);
    const hint = word === undefined ? '' : `; the column ${word} has the name of a word of SQL, write it as "${word}"`;
    refuse(where, `it does not parse: ${tree.error_message?.split('\n')[0]}${hint}`);
  }
  const select = tree.statements?.[0]?.node;
  const items = select?.select_list as Node[] | undefined;
  const [item] = items ?? [];
  const bare = (select?.from_table as Node | undefined)?.type === 'EMPTY' && tree.statements?.length === 1;
  // `a, b` in parentheses is a row of two.
  const several = items?.length !== 1 || item?.function_name === 'row';
  if (!item || several || !bare || select?.where_clause || hasModifiers(select)) {
    return refuse(where, 'it must be a single expression');
  }
  const scope: Scope = {
    where,
    columns: new Map(columns.map((name) => [name.toLowerCase(), name])),
    catalogue: await functionCatalogue(db),
    found: new Set(),
  };
  walk(item, scope, new Set());
  return [...scope.found];
}

/** A column that the text names and SQL does not take for a name: `at`, `order`. */
async function reservedColumn(db: DuckDb, sql: string, columns: readonly string[]): Promise<string | undefined> {
  const bare = sql.replace(/"[^"]*"|'[^']*'/g, ' ').toLowerCase();
  const words = new Set(bare.match(/[\p{L}_][\p{L}\d_]*/gu));
  for (const name of columns.filter((one) => words.has(one.toLowerCase()))) {
    const [row] = await db.rows<{ error: boolean }>(
      `SELECT json_serialize_sql(${literal(`SELECT ${embed(name)}`)})->>'error' = 'true' AS error`,
    );
    if (row?.error) return name;
  }
  return undefined;
}

function refuse(where: string, reason: string, details: Record<string, unknown> = {}): never {
  const source = /^sources\.([^.]+)\./.exec(where)?.[1];
  throw new RefitError('REFIT_EXPRESSION_INVALID', `The expression ${where} is not usable: ${reason}.`, {
    where,
    source,
    ...details,
  });
}

function hasModifiers(select: Node | undefined): boolean {
  return Array.isArray(select?.modifiers) && select.modifiers.length > 0;
}

function walk(node: Node, scope: Scope, params: ReadonlySet<string>): void {
  const kind = node.class ?? '';
  if (kind !== '' && !CLASSES.includes(kind))
    refuse(scope.where, REFUSED[kind] ?? `it may not use ${kind.toLowerCase()} expressions`);
  if (node.type === 'GROUPING_FUNCTION') refuse(scope.where, 'it may not group rows');
  if (kind === 'COLUMN_REF') {
    reference(node, scope, params);
    return;
  }
  if (kind === 'FUNCTION') checkFunction(node, scope);
  const inner = kind === 'LAMBDA' ? withParams(node, scope, params) : params;
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (typeof child === 'object' && child !== null) walk(child as Node, scope, inner);
    }
  }
}

/** Names a lambda declares. One that is a column counts as the column: `->` is also how JSON is read. */
function withParams({ lhs }: Node, { columns }: Scope, params: ReadonlySet<string>): Set<string> {
  const declared = lhs?.class === 'FUNCTION' ? (lhs.children ?? []) : [lhs ?? {}];
  const names = declared.map(({ column_names: [name] = [] }) => (name ?? '').toLowerCase());
  return new Set([...params, ...names.filter((name) => name !== '' && !columns.has(name))]);
}

function reference(node: Node, scope: Scope, params: ReadonlySet<string>): void {
  const name = node.column_names?.[0] ?? '';
  if (params.has(name.toLowerCase())) return;
  const column = scope.columns.get(name.toLowerCase());
  if (column !== undefined) {
    scope.found.add(column);
    return;
  }
  if (CLOCK.test(name.toLowerCase())) refuse(scope.where, changes(name));
  const hint = nearest(name, [...scope.columns.values()]);
  refuse(scope.where, `there is no column "${node.column_names?.join('.')}"${hint}`, { column: name });
}

function checkFunction(node: Node, scope: Scope): void {
  const name = (node.function_name ?? '').toLowerCase();
  const found = scope.catalogue.get(name);
  if (CLOCK.test(name) || found === 'changing') refuse(scope.where, changes(`${name}()`));
  // With one argument it counts from today.
  if (name === 'age' && node.children?.length === 1) refuse(scope.where, changes('age() of one argument'));
  if (IMPURE.test(name) || found === 'table' || found === 'macro' || found === 'pragma') {
    refuse(scope.where, `it may not call ${name}(), which reads more than the row`);
  }
  if (found === 'aggregate') refuse(scope.where, `it may not aggregate rows (${name})`);
  if (found !== 'scalar') refuse(scope.where, `there is no function ${name}()${didYouMean(name, scope.catalogue)}`);
}

function didYouMean(name: string, catalogue: Map<string, string>): string {
  const hint = nearest(
    name,
    [...catalogue].filter(([, kind]) => kind === 'scalar').map(([known]) => known),
  );
  return hint.startsWith(' (did') ? hint : '';
}

function changes(what: string): string {
  return `${what} gives another value each time, and a step's result must not depend on when it runs; use a column`;
}

let catalogue: Promise<Map<string, string>> | undefined;

/** Function name → scalar, changing, aggregate, macro, table or pragma; the same for every database of this process. */
function functionCatalogue(db: DuckDb): Promise<Map<string, string>> {
  catalogue ??= readCatalogue(db).catch((error: unknown) => {
    catalogue = undefined;
    throw error;
  });
  return catalogue;
}

async function readCatalogue(db: DuckDb): Promise<Map<string, string>> {
  // Ordered so that the strictest reading of a name that means several things comes last and stays.
  const rows = await db.rows<{ name: string; kind: string }>(`
    SELECT DISTINCT lower(function_name) AS name,
      CASE WHEN function_type = 'scalar' AND stability <> 'CONSISTENT' THEN 'changing' ELSE function_type END AS kind
    FROM duckdb_functions() WHERE function_type <> 'pragma' AND schema_name IN ('main', 'pg_catalog')
    ORDER BY kind = 'changing', kind = 'scalar' DESC, kind`);
  const kinds = new Map(rows.map(({ name, kind }) => [name, kind]));
  for (const [name, kind] of kinds) if (kind === 'macro' && PURE_MACRO.test(name)) kinds.set(name, 'scalar');
  return kinds;
}
