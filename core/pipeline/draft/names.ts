/** Names that a table's author chose, as Refit, SQL and TypeScript take them. */
import { type DuckDb, identifier } from '../../dataset/duckdb.ts';

const PLAIN = /^(?!__)[A-Za-z_][A-Za-z0-9_]*$/;
/** Columns by these names would be read as calls of functions. */
const CALLS = /^(user|current_\w+|session_user|localtime|localtimestamp|today|now)$/i;

/** Whether a name can stand in a pipeline as it is. */
export const isPlainName = (name: string): boolean => PLAIN.test(name);

/** How a column is written in SQL: as it is where that is safe, otherwise quoted. */
export type ColumnSql = (name: string) => string;

/** Knows DuckDB's keywords: `tenure` → `tenure`, `order` → `"order"`, `Monthly Charges` → `"Monthly Charges"`. */
export async function columnSql(db: DuckDb): Promise<ColumnSql> {
  const rows = await db.rows<{ word: string }>(
    `SELECT keyword_name AS word FROM duckdb_keywords() WHERE keyword_category <> 'unreserved'`,
  );
  const keywords = new Set(rows.map(({ word }) => word.toLowerCase()));
  const plain = (name: string) => PLAIN.test(name) && !keywords.has(name.toLowerCase()) && !CALLS.test(name);
  return (name) => (plain(name) ? name : identifier(name));
}

/**
 * Hands out names that a pipeline may use, each once (SQL does not tell case apart): a good name stays as it is, `Größe (cm)` →
 * `grosse_cm`, `2nd visit` → `col_2nd_visit`, `年齢` → `col_3` (its place), a name that is taken gets a number.
 */
export function nameGiver(taken: Iterable<string>): (name: string, place?: number) => string {
  const used = new Set([...taken].map((name) => name.toLowerCase()));
  return (name, place = used.size + 1) => {
    const base = PLAIN.test(name) ? name : slug(name, place);
    let free = base;
    for (let n = 2; used.has(free.toLowerCase()); n++) free = `${base}_${n}`;
    used.add(free.toLowerCase());
    return free;
  };
}

function slug(name: string, place: number): string {
  const words = asciiWords(name);
  // Half a name tells less than none: `年齢_2` would become `2`.
  if (!/[a-z]/.test(words)) return `col_${place}`;
  return /^[a-z]/.test(words) ? words.slice(0, 60) : `col_${words.slice(0, 56)}`;
}

/** `Größe (cm)` → `grosse_cm` */
function asciiWords(name: string): string {
  const ascii = name.replaceAll('ß', 'ss').normalize('NFKD').replace(/\p{M}/gu, '');
  return ascii
    .replaceAll(/[^A-Za-z0-9]+/g, '_')
    .replaceAll(/^_+|_+$/g, '')
    .toLowerCase();
}

/** Name of a source from its file, or for several from their folder: `data/Customers 2024.csv.gz` → `customers_2024`. */
export function sourceName(path: string): string {
  const [file = '', folder = ''] = path.split('/').reverse();
  const words = [file.replace(/\.(gz|zst)$/i, '').replace(/\.[A-Za-z]+$/, ''), folder].map(asciiWords);
  const name = (words.find((one) => one !== '') ?? 'rows').slice(0, 60);
  return /^[a-z]/.test(name) ? name : `data_${name}`;
}

/** A value for a message or a comment: on one line, not too long. */
export function quoted(text: string): string {
  const short = text.length > 60 ? `${text.slice(0, 57)}…` : text;
  return JSON.stringify(short).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029').replaceAll('*/', '*\\/');
}

/** SQL in double quotes, as a shell takes it. */
export function inShell(sql: string): string {
  return `"${sql.replaceAll(/["\\$`]/g, '\\$&')}"`;
}

/** `a, b and c` */
export function listed(items: readonly string[], most = 8): string {
  if (items.length <= 1) return items.join('');
  if (items.length > most) return `${items.slice(0, most).join(', ')} and ${items.length - most} more`;
  return `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}
