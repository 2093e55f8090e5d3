import { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import type { ActivityExecuteInput, ActivityInboundCallsInterceptor, Next } from '@temporalio/worker';
import { atMost } from '../core/spec/at-most.ts';
import { type ErrorCode, RefitError } from '../core/spec/errors.ts';

/** These are tried this often before the run fails: they may be passing ones, but mostly are not, and somebody waits. */
const ATTEMPTS: Partial<Record<ErrorCode, number>> = { REFIT_INTERNAL: 3, REFIT_STORE_CORRUPT: 3 };

/** Other services read them without a store (docs/adr/0021). */
const MOST_DETAILS_BYTES = 32 * 1024;

/** Turns the errors of the catalogue into Temporal failures that carry code, cure and details. */
export class ErrorsInterceptor implements ActivityInboundCallsInterceptor {
  async execute(input: ActivityExecuteInput, next: Next<ActivityInboundCallsInterceptor, 'execute'>): Promise<unknown> {
    try {
      return await next(input);
    } catch (error) {
      throw toFailure(error, Context.current().info.attempt, Context.current().cancellationSignal.aborted);
    }
  }
}

/** @internal Exported for its test. */
export function toFailure(error: unknown, attempt: number, cancelled: boolean): unknown {
  if (error instanceof CancelledFailure || error instanceof ApplicationFailure) return error;
  if (cancelled) return new CancelledFailure('Cancelled between two units of work.');
  const known = error instanceof RefitError ? error : fromSystem(error);
  const attempts = ATTEMPTS[known.code];
  return ApplicationFailure.create({
    type: known.code,
    message: known.message,
    nonRetryable: attempts === undefined ? !known.retryable : attempt >= attempts,
    details: [{ code: known.code, cure: known.cure, details: atMost(MOST_DETAILS_BYTES, known.details) }],
    ...(error instanceof Error ? { cause: error } : {}),
  });
}

function fromSystem(error: unknown): RefitError {
  const message = error instanceof Error ? error.message : String(error);
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new RefitError('REFIT_STORE_FULL', 'The disk is full: a file could not be written.', {}, { cause: error });
  }
  return new RefitError('REFIT_INTERNAL', firstSentence(message), {}, { cause: error });
}

const firstSentence = (text: string) => text.split('\n')[0]?.slice(0, 500) ?? text;
