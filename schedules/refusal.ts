import { RefitError } from '../core/spec/errors.ts';

const INVALID_ARGUMENT = 3;

/** The server's own words about a schedule that it does not take; other errors as they are. */
export function refusal(error: unknown, schedule: string): unknown {
  const cause = error instanceof Error ? error.cause : undefined;
  const grpc = cause as { code?: number; details?: string } | undefined;
  // The SDK turns some refusals into a TypeError and wraps the others.
  const reason =
    error instanceof TypeError ? error.message : grpc?.code === INVALID_ARGUMENT ? grpc.details : undefined;
  if (reason === undefined) return error;
  const message = `The server refuses the schedule ${schedule}: ${reason.replace(/\.$/, '')}.`;
  return new RefitError('REFIT_SCHEDULE_INVALID', message, { schedule }, { cause: error });
}
