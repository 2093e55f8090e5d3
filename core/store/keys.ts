import { RefitError } from '../spec/errors.ts';

const PART = /^[!-~ ]{1,255}$/;

/**
 * Checks that a string may name an object: parts of printable ASCII between single slashes, none starting with a dot (those
 * are the adapter's own), at most 1,024 characters (S3's limit).
 * @throws RefitError REFIT_INTERNAL
 */
export function checkKey(key: string): void {
  const good = (part: string): boolean => PART.test(part) && !part.startsWith('.') && !part.includes('\\');
  if (key.length > 1024 || !key.split('/').every(good)) {
    throw new RefitError('REFIT_INTERNAL', `${JSON.stringify(key)} cannot be a key of the store.`, { key });
  }
}
