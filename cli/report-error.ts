import { asRefitError } from '../client/index.ts';
import { tellError } from './tell-error.ts';

/** Finds the error of the catalogue under Temporal's wrappers and tells it. @returns the exit status of its code. */
export function reportError(error: unknown, options: { json?: boolean; debug?: boolean } = {}): number {
  return tellError(asRefitError(error), error, options);
}
