import { RefitError } from '../spec/errors.ts';

const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
const UNWRITABLE = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EISDIR', 'ENAMETOOLONG']);

/** The system's error code (`ENOENT`, …) of something caught. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** Turns a system error at a place of the store into the catalogue's; anything else is handed through. */
export function storeError(error: unknown, place: string): unknown {
  if (error instanceof RefitError) return error;
  const code = systemCode(error);
  const details = { place, system: code };
  if (code && FULL.has(code)) {
    return new RefitError('REFIT_STORE_FULL', `The disk is full: ${place} could not be written (${code}).`, details, {
      cause: error,
    });
  }
  if (code && UNWRITABLE.has(code)) {
    return new RefitError(
      'REFIT_STORE_UNWRITABLE',
      `The store cannot be written or read at ${place} (${code}).`,
      details,
      {
        cause: error,
      },
    );
  }
  return error;
}
