import { asRefitError } from '../client/index.ts';
import { storeError } from '../core/store/store-errors.ts';
import { tellError } from './tell-error.ts';

/** Finds the error of the catalogue under Temporal's wrappers and tells it. @returns the exit status of its code. */
export function reportError(error: unknown, options: { json?: boolean; debug?: boolean } = {}): number {
  // A folder that may not be written to, or a full disk, is nobody's defect, wherever it is met.
  const { dest, path } = Object(error) as { dest?: string; path?: string };
  return tellError(asRefitError(storeError(error, dest ?? path ?? 'a file')), error, options);
}
