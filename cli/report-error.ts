import { WorkflowFailedError } from '@temporalio/client';
import { ActivityFailure, ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { ERRORS, type ErrorCode, RefitError } from '../core/spec/errors.ts';

/**
 * Says what went wrong in one sentence with code and cure: on standard error, or as the one JSON value on standard output.
 * @returns the exit status of the code.
 */
export function reportError(error: unknown, { json = false, debug = false } = {}): number {
  const known = asRefitError(error);
  const { code, message, cure, details } = known;
  if (json) process.stdout.write(`${JSON.stringify({ error: { code, message, cure, details } })}\n`);
  else process.stderr.write(`\n${code}: ${message}\n  ${cure}\n`);
  if (debug) process.stderr.write(`\n${stackOf(error)}\n`);
  return known.exit;
}

/** Finds the error of the catalogue under Temporal's wrappers. */
export function asRefitError(error: unknown): RefitError {
  if (error instanceof RefitError) return error;
  if (error instanceof WorkflowFailedError) return asRefitError(error.cause);
  if (error instanceof ActivityFailure) return asRefitError(error.cause);
  if (error instanceof CancelledFailure) return new RefitError('REFIT_CANCELLED', 'The run was cancelled.');
  if (error instanceof ApplicationFailure && error.type && error.type in ERRORS) {
    const details = (error.details?.[0] as { details?: Record<string, unknown> } | undefined)?.details ?? {};
    return new RefitError(error.type as ErrorCode, error.message, details, { cause: error });
  }
  const message = error instanceof Error ? error.message : String(error);
  return new RefitError('REFIT_INTERNAL', message.split('\n')[0] ?? message, {}, { cause: error });
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\nCaused by: ${stackOf(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
