import { RefitError } from '../spec/errors.ts';
import type { RawColumn } from './column-types.ts';
import type { Pii } from './contract-pii.ts';
import { type DuckDb, identifier, literal } from './duckdb.ts';
import type { PiiKey } from './pii-key.ts';

/**
 * Treats personal data inside DuckDB: HMAC-SHA-256 of the value's text, as 64 hex digits or as a token of a given format. The
 * same value has the same hash in every column and source, so that they can be joined; another key gives other ones.
 */

const DIGITS = '0123456789';
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
const SIGNS: Record<string, string> = { '#': DIGITS, '?': LETTERS, '*': 'abcdefghijklmnopqrstuvwxyz0123456789' };

/** @throws RefitError REFIT_PII_KEY_MISSING when a column is to be hashed and there is no key */
export function requireKey(pii: readonly Pii[], source: string, key: PiiKey | undefined): PiiKey | undefined {
  const keyed = pii.filter(({ treatment }) => treatment !== 'drop');
  if (keyed.length === 0 || key) return keyed.length === 0 ? undefined : key;
  const columns = keyed.map(({ column }) => `"${column}"`).join(', ');
  const message = `Source "${source}" hashes personal data (${columns}), and REFIT_PII_KEY is not set.`;
  throw new RefitError('REFIT_PII_KEY_MISSING', message, { source, columns: keyed.map(({ column }) => column) });
}

/** Lets the database hash with the key; it stands in variables of that database alone, in no query. */
export async function useKey(db: DuckDb, key: PiiKey): Promise<void> {
  const { inner, outer } = key.pads();
  const bytes = (pad: Buffer) => `'${pad.toString('hex').replace(/../g, '\\x$&')}'::BLOB`;
  await db.run(`SET VARIABLE refit_pii_inner = ${bytes(inner)}`);
  await db.run(`SET VARIABLE refit_pii_outer = ${bytes(outer)}`);
}

/** The value as it may be published: VARCHAR, NULL for NULL. `sql`: the raw value, of any type. */
export function treatedSql({ treatment, format }: Pick<Pii, 'treatment' | 'format'>, sql: string): string {
  const inner = `sha256(getvariable('refit_pii_inner') || encode((${sql})::VARCHAR))`;
  const mac = `sha256(getvariable('refit_pii_outer') || unhex(${inner}))`;
  if (treatment === 'hash') return mac;
  return `list_transform([${mac}], lambda mac: CASE WHEN mac IS NOT NULL THEN ${tokenSql(format)} END)[1]`;
}

/** Each place takes one byte of the hash: `#` its remainder by 10, and so on. */
function tokenSql(format: string): string {
  let place = 0;
  const parts = [...format].map((char) => {
    const signs = SIGNS[char];
    if (signs === undefined) return literal(char);
    const byte = `('0x' || substr(mac, ${2 * place++ + 1}, 2))::INTEGER`;
    return `substr(${literal(signs)}, ${byte} % ${signs.length} + 1, 1)`;
  });
  return parts.join(' || ');
}

/** The same in JavaScript, for single records. */
export function treatedValue(
  { treatment, format }: Pick<Pii, 'treatment' | 'format'>,
  text: string,
  key: PiiKey,
): string {
  const mac = key.hmac(text);
  if (treatment === 'hash') return mac;
  let place = 0;
  const sign = (char: string): string => {
    const signs = SIGNS[char];
    if (signs === undefined) return char;
    const byte = Number.parseInt(mac.slice(2 * place++, 2 * place), 16);
    return signs[byte % signs.length] ?? '';
  };
  return [...format].map(sign).join('');
}

/**
 * Columns of `raw` as the quarantine may show them: no text that is not of its column's type, personal data treated, with the hash that
 * the rows of the data have (`bad`: '007' read as an integer is 7), and one of what was read where that could not be typed.
 */
export function treatedColumns(
  pii: readonly Pii[],
  columns: readonly RawColumn[],
  withheld: ReadonlyMap<string, string>,
): string {
  const items = columns.flatMap(({ name, type }) => {
    const own = pii.find(({ column }) => column === name);
    const raw = `raw.${identifier(name)}`;
    if (own?.treatment === 'drop') return [];
    if (own) {
      const read = treatedSql(own, type === 'JSON' ? `(${raw}->>'$')` : raw);
      return [`coalesce(bad.${identifier(name)}, ${read}) AS ${identifier(name)}`];
    }
    const broken = withheld.get(name);
    return [broken === undefined ? `${raw}` : `CASE WHEN NOT ${broken} THEN ${raw} END AS ${identifier(name)}`];
  });
  return items.join(', ');
}
