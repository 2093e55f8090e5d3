import { allowOnly, columnList, invalid, isSchema, type Schema } from './contract-schema.ts';

/** `x-pii`: what becomes of a column with personal data before anything is published. */
export interface Pii {
  column: string;
  /** What it is, in the user's words, e.g. `email`; for people only. */
  class: string | null;
  treatment: 'drop' | 'hash' | 'token';
  /** Of a token: `#` a digit, `?` a capital letter, `*` either; anything else stands for itself. */
  format: string;
  /** Derived columns that may be computed from the raw value; any other expression sees the treated one. */
  derive: string[];
}

const TREATMENTS = ['drop', 'hash', 'token'];
/** 20 places of 36 signs: 103 bits. */
const DEFAULT_FORMAT = `tok_${'*'.repeat(20)}`;
const BITS: Record<string, number> = { '#': Math.log2(10), '?': Math.log2(26), '*': Math.log2(36) };
/** Fewer, and two people get one token: with 40 bits, among a million it happens about as often as not. */
const LEAST_BITS = 40;
/** The places are drawn from one HMAC-SHA-256. */
const MOST_PLACES = 32;

/** `"hash"`, or `{ "class": "email", "treatment": "token", "format": "cust-##########", "derive": ["email_domain"] }`. */
export function piiOf(column: string, property: Schema): Pii | undefined {
  const value = property['x-pii'];
  if (value === undefined) return undefined;
  const place = `properties.${column}.x-pii`;
  const options: Schema = isSchema(value) ? value : { treatment: value };
  allowOnly(options, ['class', 'treatment', 'format', 'derive'], place);
  const treatment = TREATMENTS.find((one) => one === options.treatment) as Pii['treatment'] | undefined;
  if (!treatment) return invalid(place, `must say what is done: ${TREATMENTS.join(', ')}`);
  if (options.class !== undefined && typeof options.class !== 'string') invalid(`${place}.class`, 'must be a text');
  const { format = DEFAULT_FORMAT, derive = [] } = options;
  if (options.format !== undefined && treatment !== 'token') invalid(`${place}.format`, 'only a token has a format');
  if (!Array.isArray(derive) || !derive.every((name) => typeof name === 'string'))
    return invalid(`${place}.derive`, 'must be a list of derived columns');
  const own = { column, class: (options.class as string | undefined) ?? null, treatment, derive: derive as string[] };
  return { ...own, format: tokenFormat(format, `${place}.format`) };
}

function tokenFormat(format: unknown, place: string): string {
  if (typeof format !== 'string') return invalid(place, 'must be a text');
  const places = [...format].filter((char) => char in BITS);
  const bits = places.reduce((sum, char) => sum + (BITS[char] ?? 0), 0);
  if (places.length > MOST_PLACES) invalid(place, `may have at most ${MOST_PLACES} places`);
  if (bits < LEAST_BITS)
    invalid(
      place,
      `has too few places (# ? *) to tell people apart: at least ${LEAST_BITS} bits, this is ${Math.floor(bits)}`,
    );
  return format;
}

/** A dropped column is not there to be looked at. @throws RefitError REFIT_CONTRACT_INVALID */
export function refuseDropped(pii: readonly Pii[], names: string[], place: string): void {
  const dropped = pii.filter(({ treatment }) => treatment === 'drop').map(({ column }) => column);
  for (const name of columnList(names, place, names)) {
    if (dropped.includes(name)) invalid(place, `column "${name}" is dropped as PII; hash it instead`);
  }
}
