import '../infra/compact-heap.mjs';
import { RefitError } from '../core/spec/errors.ts';
import { runCommandLine } from './command-line.ts';
import { devCommand } from './dev.ts';
import { tellError } from './tell-error.ts';

/** `refit dev` by itself: it stays for hours, and the other commands would stay in memory with it. */
export function main(args: string[]): Promise<number> {
  const report = (error: unknown, options: { json: boolean; debug: boolean }) =>
    tellError(asKnown(error), error, options);
  return runCommandLine(args, { 'This machine:': [devCommand] }, { examples: '', report });
}

function asKnown(error: unknown): RefitError {
  if (error instanceof RefitError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new RefitError('REFIT_INTERNAL', message, {}, { cause: error });
}
