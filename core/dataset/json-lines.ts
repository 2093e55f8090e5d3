import type { RawColumn } from './column-types.ts';
import { type DuckDb, identifier, literal } from './duckdb.ts';
import { type PathColumn, pathColumns, pathValueSql } from './path-columns.ts';

/**
 * JSON lines: one object a line, blank lines between them. The columns are the contract's; fields it does not name are not
 * read. A line that is no JSON object is a row without any value that breaks a rule of its own.
 */

/** Number of a line that is no JSON object; NULL for the others. Stands in the quarantine, so that the line can be found. */
export const BAD_LINE = '__line';
/** A longer line makes the file unreadable. */
const LONGEST_LINE = 16_000_000;

/** SELECT of `__row` (counts the lines) and `object` (JSON; NULL for a line that holds none). `compression`: as read_csv has it. */
function objectsSql(path: string, compression: string): string {
  // Two control characters as delimiter, no quotes: each line is one value.
  const lines = `read_csv(${literal(path)}, columns = {'line': 'VARCHAR'}, header = false, auto_detect = false,
    delim = '\u001f\u001e', quote = '', escape = '', comment = '', strict_mode = false, max_line_size = ${LONGEST_LINE},
    compression = ${literal(compression)})`;
  return `SELECT __row, CASE WHEN json_type(json) = 'OBJECT' THEN json END AS object
    FROM (SELECT __row, line, try_cast(line AS JSON) AS json
      FROM (SELECT ltrim(line, '\ufeff') AS line, row_number() OVER () AS __row FROM ${lines}))
    WHERE trim(line) <> ''`;
}

/** A JSON pointer (RFC 6901), whatever the name: a path takes no quotes, and `*` for all. */
const pointer = (name: string) => literal(`/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`);
const field = (name: string, arrow: '->' | '->>') => `object${arrow}${pointer(name)}`;

/**
 * Creates the view `raw` with a JSON column a name, a text column for each that the file's path names and no line has, `__line`
 * and `__row`.
 */
export async function openJsonLines(
  db: DuckDb,
  path: string,
  { columns, compression, folders }: { columns: string[]; compression: string; folders: string },
): Promise<RawColumn[]> {
  const lines = objectsSql(path, compression);
  // SQL does not tell `Year` from `year`.
  const clashes = (name: string) =>
    columns.some((other) => other !== name && other.toLowerCase() === name.toLowerCase());
  const named = pathColumns(folders).filter(({ name }) => !clashes(name));
  const inPath = await absentFields(db, lines, named);
  const own = columns.filter((name) => !inPath.some((one) => one.name === name));
  const values = own.map((name) => `${field(name, '->')} AS ${identifier(name)}`);
  const fixed = inPath.map((one) => `${pathValueSql(one)} AS ${identifier(one.name)}`);
  const bad = `CASE WHEN object IS NULL THEN __row END AS ${BAD_LINE}`;
  const items = [...values, ...fixed, bad, '__row'].join(', ');
  await db.run(`CREATE TEMP VIEW raw AS SELECT ${items} FROM (${lines})`);
  return [
    ...own.map((name) => ({ name, type: 'JSON' })),
    ...inPath.map(({ name }) => ({ name, type: 'VARCHAR', text: true })),
  ];
}

/** Columns of the path that no line has a field for: what a line says itself goes first. */
async function absentFields(db: DuckDb, lines: string, named: PathColumn[]): Promise<PathColumn[]> {
  if (named.length === 0) return [];
  const has = named.map(({ name }, i) => `coalesce(bool_or((${field(name, '->')}) IS NOT NULL), false) AS has_${i}`);
  const [row = {}] = await db.rows(`SELECT ${has.join(', ')} FROM (${lines})`);
  return named.filter((_, i) => row[`has_${i}`] !== true);
}

/**
 * As the view `raw`, the rows of a table that nobody has described: a column for every field there is, typed by what it holds,
 * and `__row`; the lines that hold no object are left out.
 */
export async function typeJsonLines(
  db: DuckDb,
  path: string,
  { compression, parquet }: { compression: string; parquet: string },
): Promise<RawColumn[]> {
  await db.run(
    `CREATE TEMP TABLE objects AS SELECT * FROM (${objectsSql(path, compression)}) WHERE object IS NOT NULL`,
  );
  const fields = await db.rows<{ name: string; types: string }>(`SELECT name, string_agg(DISTINCT type, ',') AS types
    FROM (SELECT name, json_type(object, '/' || replace(replace(name, '~', '~0'), '/', '~1')) AS type, __row
      FROM (SELECT object, __row, unnest(json_keys(object)) AS name FROM objects))
    WHERE name <> '' AND NOT starts_with(name, '__') GROUP BY name ORDER BY min(__row), name`);
  const columns = fields.map(({ name, types }) => ({ name, type: typeOf(types.split(',')) }));
  const values = columns.map(({ name, type }) => `try_cast(${field(name, '->>')} AS ${type}) AS ${identifier(name)}`);
  await db.run(`COPY (SELECT ${[...values, '__row'].join(', ')} FROM objects) TO ${literal(parquet)} (FORMAT parquet)`);
  await db.run(`DROP TABLE objects`);
  await db.run(`CREATE OR REPLACE TEMP VIEW raw AS SELECT * FROM read_parquet(${literal(parquet)})`);
  return columns;
}

function typeOf(jsonTypes: string[]): string {
  const types = jsonTypes.filter((type) => type !== 'NULL');
  const only = (...allowed: string[]) => types.length > 0 && types.every((type) => allowed.includes(type));
  if (only('BOOLEAN')) return 'BOOLEAN';
  if (only('BIGINT', 'UBIGINT')) return 'BIGINT';
  return only('BIGINT', 'UBIGINT', 'DOUBLE') ? 'DOUBLE' : 'VARCHAR';
}
