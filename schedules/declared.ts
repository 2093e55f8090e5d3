import {
  type ScheduleOptions,
  type ScheduleOptionsStartWorkflowAction,
  ScheduleOverlapPolicy,
} from '@temporalio/client';
import type { Workflow } from '@temporalio/common';
import { RefitError } from '../core/spec/errors.ts';
import type { PipelineSpec, ScheduleSpec } from '../core/spec/pipeline.ts';
import { TaskQueue } from '../core/spec/queues.ts';
import { durationSeconds } from '../core/spec/time.ts';
import { cronCalendars } from './cron.ts';

/** A pipeline, when it runs by itself, and when its online features are brought up to date; without these, never. */
export type Declared = Pick<PipelineSpec, 'name' | 'schedule' | 'materialize'>;

type StartRun = ScheduleOptionsStartWorkflowAction<Workflow>;
export type ScheduleToBe = ScheduleOptions<StartRun> & Required<Pick<ScheduleOptions, 'policies'>>;

/** By its name: that of the pipeline for its runs, `<pipeline>/materialize` for its online features. */
export const scheduleIdOf = (name: string): string => `schedule/${name}`;
export const scheduleNameOf = (id: string): string => id.replace(/^schedule\//, '');

const ofFeatures = (pipeline: string) => `${pipeline}/materialize`;

/** All that a pipeline can have. */
export const scheduleIdsOf = (pipeline: string): string[] => [pipeline, ofFeatures(pipeline)].map(scheduleIdOf);

/** What is written into the memo of each schedule of ours: others on the same server are left alone. */
export const SCHEDULE_MARK = 'schedule';

const OVERLAP: Record<ScheduleSpec['overlap'], ScheduleOverlapPolicy> = {
  skip: ScheduleOverlapPolicy.SKIP,
  'buffer-one': ScheduleOverlapPolicy.BUFFER_ONE,
  'buffer-all': ScheduleOverlapPolicy.BUFFER_ALL,
  'cancel-other': ScheduleOverlapPolicy.CANCEL_OTHER,
  'terminate-other': ScheduleOverlapPolicy.TERMINATE_OTHER,
  'allow-all': ScheduleOverlapPolicy.ALLOW_ALL,
};

/** As pipelines write it. */
export function overlapName(policy: ScheduleOverlapPolicy): string {
  const known = Object.entries(OVERLAP).find(([, value]) => value === policy);
  return known?.[0] ?? String(policy);
}

/** The server takes no less. */
const SHORTEST_CATCHUP_SECONDS = 10;

/**
 * The schedules of a pipeline as Temporal takes them: they start `trainPipeline` and `materializeFeatures` with its name; asOf is
 * the scheduled time, which the server hands over with each start. @throws RefitError REFIT_SCHEDULE_INVALID
 */
export function declaredSchedules({ name, schedule, materialize }: Declared): ScheduleToBe[] {
  return [
    ...(schedule ? [scheduleOptions(name, name, schedule, startOf(name, 'schedule'))] : []),
    ...(materialize ? [scheduleOptions(ofFeatures(name), name, materialize, materializationOf(name))] : []),
  ];
}

function scheduleOptions(name: string, pipeline: string, schedule: ScheduleSpec, action: StartRun): ScheduleToBe {
  const invalid = (reason: string) =>
    new RefitError('REFIT_SCHEDULE_INVALID', `The schedule of ${name} is wrong: ${reason}.`, { pipeline });
  const seconds = (field: 'every' | 'jitter' | 'catchup'): number => {
    const text = schedule[field] ?? '';
    if (/(mo|y)$/.test(text)) throw invalid(`${field} "${text}" has no fixed length; use days or weeks, or cron`);
    return durationSeconds(text);
  };
  if ((schedule.cron === undefined) === (schedule.every === undefined)) {
    throw invalid(`it has ${schedule.cron === undefined ? 'neither cron nor every' : 'both cron and every'}`);
  }
  if (!isZone(schedule.zone)) throw invalid(`"${schedule.zone}" is no time zone, e.g. Europe/Berlin`);
  const catchup = seconds('catchup');
  if (catchup < SHORTEST_CATCHUP_SECONDS) {
    throw invalid(`catchup "${schedule.catchup}" is below the ${SHORTEST_CATCHUP_SECONDS}s that the server takes`);
  }
  return {
    scheduleId: scheduleIdOf(name),
    spec: {
      ...(schedule.every === undefined
        ? { calendars: calendarsOf(schedule.cron ?? '', invalid) }
        : { intervals: [{ every: seconds('every') * 1000 }] }),
      timezone: schedule.zone,
      ...(schedule.jitter === undefined ? {} : { jitter: seconds('jitter') * 1000 }),
    },
    action,
    policies: {
      overlap: OVERLAP[schedule.overlap],
      catchupWindow: catchup * 1000,
      pauseOnFailure: schedule.pauseOnFailure,
    },
    memo: { refit: SCHEDULE_MARK, pipeline },
    ...(schedule.note === undefined ? {} : { state: { note: schedule.note } }),
  };
}

/** Starts one run of a pipeline; the server appends the scheduled time to the workflow id. */
export function startOf(pipeline: string, trigger: 'schedule' | 'backfill'): StartRun {
  return {
    ...actionOf('trainPipeline', `train/${pipeline}`, pipeline, trigger),
    staticSummary: `${pipeline} as of the time it is scheduled for`,
    staticDetails:
      'extract → features → train → evaluate → promote → drift-check. Details and figures of each stage: current details.',
  };
}

function materializationOf(pipeline: string): StartRun {
  return {
    ...actionOf('materializeFeatures', `materialize/${pipeline}`, pipeline, 'schedule'),
    staticSummary: `Online features of ${pipeline} as of the time it is scheduled for`,
  };
}

function actionOf(workflowType: string, workflowId: string, pipeline: string, trigger: string): StartRun {
  const taskQueue = TaskQueue.control;
  return { type: 'startWorkflow', workflowType, taskQueue, workflowId, args: [{ pipeline }], memo: { trigger } };
}

function calendarsOf(cron: string, invalid: (reason: string) => RefitError) {
  try {
    return cronCalendars(cron);
  } catch (error) {
    if (error instanceof SyntaxError) throw invalid(`cron "${cron}": ${error.message}`);
    throw error;
  }
}

function isZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
