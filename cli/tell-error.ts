import type { RefitError } from '../core/spec/errors.ts';

/**
 * Says what went wrong in one sentence with code and cure: on standard error, or as the one JSON value on standard output.
 * `debug` adds the stack of the `cause`. @returns the exit status of the code.
 */
export function tellError(known: RefitError, cause: unknown, { json = false, debug = false } = {}): number {
  const { code, message, cure, details } = known;
  if (json) process.stdout.write(`${JSON.stringify({ error: { code, message, cure, details } })}\n`);
  else process.stderr.write(`\n${code}: ${message}\n  ${cure}\n`);
  if (debug) process.stderr.write(`\n${stackOf(cause)}\n`);
  return known.exit;
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\nCaused by: ${stackOf(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
