import { ActivityFailure, ApplicationFailure, isCancellation, workflowInfo } from '@temporalio/workflow';

/** When the run started, and the time it was scheduled for where a schedule started it. */
export function times(): { startedAt: string; scheduledAt?: string } {
  const { startTime, searchAttributes } = workflowInfo();
  const scheduled = searchAttributes.TemporalScheduledStartTime?.[0];
  const startedAt = startTime.toISOString();
  return scheduled instanceof Date ? { startedAt, scheduledAt: scheduled.toISOString() } : { startedAt };
}

/** Who started the run, for the search attribute. */
export function trigger(): string {
  const { searchAttributes, memo } = workflowInfo();
  if (typeof memo?.trigger === 'string') return memo.trigger;
  return searchAttributes.TemporalScheduledById ? 'schedule' : 'operator';
}

/** Why a run failed, with the cure where there is one. */
export function reasonOf(error: unknown): string {
  if (isCancellation(error)) return 'cancelled';
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) {
    const { cure } = (cause.details?.[0] ?? {}) as { cure?: unknown };
    return `${cause.type ?? 'error'}: ${cause.message}${typeof cure === 'string' ? ` ${cure}` : ''}`;
  }
  return cause instanceof Error ? cause.message : String(cause);
}
