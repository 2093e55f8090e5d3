import type { ScheduleDescription } from '@temporalio/client';
import type { ScheduleChange } from '../core/spec/schedules.ts';
import { calendarsText, cronCalendars } from './cron.ts';
import { overlapName, type ScheduleToBe } from './declared.ts';

/** What makes a schedule, each as text that people read; null where it is not set. Equal texts: equal schedules. */
export type Fields = Record<
  'cron' | 'every' | 'zone' | 'jitter' | 'overlap' | 'catchup' | 'pauseOnFailure' | 'note' | 'limits' | 'starts',
  string | null
>;

/** Fields of a declared schedule. */
export function fieldsToBe({ spec, policies, action, state }: ScheduleToBe): Fields {
  return {
    cron: cronText(spec.calendars ?? []),
    every:
      spec.intervals?.map(({ every, offset }) => intervalText(Number(every), Number(offset ?? 0))).join(' or ') ?? null,
    zone: spec.timezone ?? 'UTC',
    jitter: spec.jitter === undefined ? null : durationText(Number(spec.jitter)),
    overlap: overlapName(policies.overlap ?? 'SKIP'),
    catchup: durationText(Number(policies.catchupWindow)),
    pauseOnFailure: String(policies.pauseOnFailure === true),
    note: state?.note ?? null,
    limits: null,
    starts: actionText(action),
  };
}

/** Fields of a schedule as the server has it, whoever changed it last. */
export function fieldsOf({ spec, policies, action, state }: ScheduleDescription): Fields {
  const { calendars = [], intervals = [] } = spec;
  const every = intervals.map((interval) => intervalText(interval.every, interval.offset ?? 0)).join(' or ');
  return {
    cron: cronText(calendars),
    every: every || null,
    zone: spec.timezone || 'UTC',
    jitter: spec.jitter ? durationText(spec.jitter) : null,
    overlap: overlapName(policies.overlap),
    catchup: durationText(policies.catchupWindow),
    pauseOnFailure: String(policies.pauseOnFailure),
    note: state.note || null,
    limits: limitsText(spec),
    starts: actionText(action),
  };
}

/**
 * Fields in which the server differs from the declaration. The note of a paused schedule is the operator's, and one that no
 * declaration wants to set is left alone.
 */
export function differences(from: Fields, to: Fields, paused: boolean): ScheduleChange['fields'] {
  const names = Object.keys(to) as (keyof Fields)[];
  return names
    .filter((field) => from[field] !== to[field] && (field !== 'note' || (!paused && to.note !== null)))
    .map((field) => ({ field, from: from[field], to: to[field] }));
}

/** The expression that calendars were made of, as long as they still mean that; else what they mean. */
function cronText(calendars: NonNullable<ScheduleToBe['spec']['calendars']>): string | null {
  const meant = calendarsText(calendars);
  const [comment] = calendars.map((calendar) => calendar.comment);
  try {
    return comment && calendarsText(cronCalendars(comment)) === meant ? comment : meant;
  } catch {
    return meant;
  }
}

function intervalText(every: number, offset: number): string {
  return offset > 0 ? `${durationText(every)} + ${durationText(offset)}` : durationText(every);
}

/** `90_000` → `90s`, `604_800_000` → `7d`: the largest unit up to days that fits. */
export function durationText(ms: number): string {
  const units = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000 };
  const fit = Object.entries(units).find(([, unit]) => ms >= unit && ms % unit === 0);
  return fit ? `${ms / fit[1]}${fit[0]}` : `${ms}ms`;
}

/** What no declaration sets, but a person may have in the UI. */
function limitsText({ startAt, endAt, skip = [] }: ScheduleDescription['spec']): string | null {
  const parts = [
    ...(startAt ? [`from ${startAt.toISOString()}`] : []),
    ...(endAt ? [`until ${endAt.toISOString()}`] : []),
    ...(skip.length > 0 ? [`not at ${calendarsText(skip) ?? ''}`] : []),
  ];
  return parts.length > 0 ? parts.join(', ') : null;
}

function actionText(action: ScheduleToBe['action'] | ScheduleDescription['action']): string {
  const { workflowType, args = [], taskQueue, workflowId, memo = {}, staticSummary = '', staticDetails = '' } = action;
  const type = typeof workflowType === 'string' ? workflowType : workflowType.name;
  const trigger = typeof memo.trigger === 'string' ? memo.trigger : 'nobody';
  return `${type} ${JSON.stringify(args)} as ${workflowId} on ${taskQueue} (${trigger}; ${staticSummary}; ${staticDetails})`;
}
