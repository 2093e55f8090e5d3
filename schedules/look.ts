import type { ScheduleClient, ScheduleDescription } from '@temporalio/client';
import { RefitError } from '../core/spec/errors.ts';
import type { ScheduleStatus, ScheduleTrigger } from '../core/spec/schedules.ts';
import { SCHEDULE_MARK, scheduleIdOf, scheduleIdsOf } from './declared.ts';
import { fieldsOf } from './fields.ts';
import { findSchedule, markedSchedules } from './find.ts';

/** Every schedule of ours, and those of `pipelines` even where the server's list does not show them yet. */
export async function listSchedules(client: ScheduleClient, pipelines: readonly string[]): Promise<ScheduleStatus[]> {
  const ids = new Set([...(await markedSchedules(client, SCHEDULE_MARK)), ...pipelines.flatMap(scheduleIdsOf)]);
  const found = await Promise.all([...ids].map((id) => findSchedule(client, id)));
  const ours = found.flatMap((one) => (one?.memo?.refit === SCHEDULE_MARK ? [statusOf(one)] : []));
  return ours.sort((a, b) => (a.schedule < b.schedule ? -1 : 1));
}

/** A schedule by its name (`scheduleIdOf`). @throws RefitError REFIT_SCHEDULE_UNKNOWN */
export async function describeSchedule(client: ScheduleClient, name: string): Promise<ScheduleStatus> {
  const found = await findSchedule(client, scheduleIdOf(name));
  if (!found) throw new RefitError('REFIT_SCHEDULE_UNKNOWN', `The server has no schedule of "${name}".`, { name });
  return statusOf(found);
}

function statusOf(description: ScheduleDescription): ScheduleStatus {
  const { scheduleId, memo, state, info } = description;
  const { cron, every, zone, overlap, catchup } = fieldsOf(description);
  return {
    schedule: scheduleId,
    pipeline: String(memo?.pipeline ?? scheduleId),
    when: [cron, every && `every ${every}`].filter(Boolean).join(' and '),
    zone: zone ?? 'UTC',
    overlap: overlap ?? '',
    catchup: catchup ?? '',
    pauseOnFailure: description.policies.pauseOnFailure,
    paused: state.paused,
    note: state.note || null,
    next: state.paused ? [] : info.nextActionTimes.slice(0, 5).map(iso),
    last: lastRuns(description),
    running: info.runningActions.map(({ workflow }) => ({
      workflowId: workflow.workflowId,
      runId: workflow.firstExecutionRunId,
    })),
    missed: info.numActionsMissedCatchupWindow,
    skipped: info.numActionsSkippedOverlap,
    started: info.numActionsTaken,
  };
}

function lastRuns({ info }: ScheduleDescription): ScheduleStatus['last'] {
  return info.recentActions
    .map(({ scheduledAt, takenAt, action: { workflow } }) => ({
      scheduledAt: iso(scheduledAt),
      startedAt: iso(takenAt),
      workflowId: workflow.workflowId,
      runId: workflow.firstExecutionRunId,
    }))
    .reverse();
}

const iso = (date: Date) => `${date.toISOString().slice(0, 19)}Z`;

const START_TIMEOUT_MS = 10_000;

/** Starts what a schedule starts now, paused or not, whatever else runs. @throws RefitError REFIT_SCHEDULE_UNKNOWN */
export async function triggerSchedule(client: ScheduleClient, name: string): Promise<ScheduleTrigger> {
  const before = await describeSchedule(client, name);
  const known = new Set(before.last.map(({ runId }) => runId));
  const { schedule, pipeline } = before;
  await client.getHandle(schedule).trigger();
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const run = (await describeSchedule(client, name)).last.find(({ runId }) => !known.has(runId));
    if (run || Date.now() > deadline) return { schedule, pipeline, run: run ?? null };
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
