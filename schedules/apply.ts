import {
  ScheduleAlreadyRunning,
  ScheduleClient,
  type ScheduleDescription,
  ScheduleNotFoundError,
  type ScheduleClient as Schedules,
  type ScheduleUpdateOptions,
} from '@temporalio/client';
import { RefitError } from '../core/spec/errors.ts';
import type { ScheduleChange } from '../core/spec/schedules.ts';
import { type Declared, declaredSchedules, SCHEDULE_MARK, type ScheduleToBe, scheduleIdsOf } from './declared.ts';
import { differences, fieldsOf, fieldsToBe } from './fields.ts';
import { findSchedule, markedSchedules } from './find.ts';
import { refusal } from './refusal.ts';

/** What has to be done, and what makes it so. Nothing is changed before `apply` is called. */
export interface Plan {
  changes: ScheduleChange[];
  apply(): Promise<void>;
}

export interface PlanOptions {
  /** Remove schedules of ours that no pipeline declares any more. */
  prune: boolean;
  /** Schedules of these pipelines are left alone: their declaration cannot be read. */
  unreadable?: readonly string[];
  /** Look at these pipelines only. */
  only?: readonly string[];
}

/**
 * Compares what pipelines declare with what the server has. Every declaration is checked first.
 * @throws RefitError REFIT_SCHEDULE_INVALID, REFIT_SCHEDULE_TAKEN
 */
export async function planSchedules(client: Schedules, declared: Declared[], options: PlanOptions): Promise<Plan> {
  const wanted = declared.flatMap(declaredSchedules);
  const changes = await Promise.all(wanted.map((one) => changeOf(client, one)));
  const kept = new Set([
    ...wanted.map(({ scheduleId }) => scheduleId),
    ...(options.unreadable ?? []).flatMap(scheduleIdsOf),
  ]);
  const within = options.only && new Set(options.only.flatMap(scheduleIdsOf));
  const superfluous = (await markedSchedules(client, SCHEDULE_MARK)).filter(
    (id) => !kept.has(id) && within?.has(id) !== false,
  );
  for (const id of superfluous) {
    const existing = await findSchedule(client, id);
    if (existing) changes.push(removal(existing, options.prune));
  }
  changes.sort((a, b) => (a.schedule < b.schedule ? -1 : 1));
  return {
    changes,
    apply: async () => {
      for (const { schedule, change } of changes) {
        const to = wanted.find(({ scheduleId }) => scheduleId === schedule);
        if (to && (change === 'create' || change === 'update')) await settle(client, to);
        if (change === 'remove') await remove(client, schedule);
      }
    },
  };
}

async function changeOf(client: Schedules, to: ScheduleToBe): Promise<ScheduleChange> {
  const existing = await findSchedule(client, to.scheduleId);
  const pipeline = String(to.memo?.pipeline);
  const place = { schedule: to.scheduleId, pipeline };
  if (!existing) {
    const fields = Object.entries(fieldsToBe(to)).flatMap(([field, value]) =>
      value === null || field === 'starts' ? [] : [{ field, from: null, to: value }],
    );
    return { ...place, change: 'create', fields, paused: false };
  }
  const fields = compare(existing, to);
  return { ...place, change: fields.length === 0 ? 'unchanged' : 'update', fields, paused: existing.state.paused };
}

/** @throws RefitError REFIT_SCHEDULE_TAKEN */
function compare(existing: ScheduleDescription, to: ScheduleToBe): ScheduleChange['fields'] {
  if (existing.memo?.refit !== SCHEDULE_MARK) {
    throw new RefitError(
      'REFIT_SCHEDULE_TAKEN',
      `The server has a schedule ${to.scheduleId} that \`refit schedules apply\` did not make.`,
      { schedule: to.scheduleId },
    );
  }
  return differences(fieldsOf(existing), fieldsToBe(to), existing.state.paused);
}

function removal(existing: ScheduleDescription, prune: boolean): ScheduleChange {
  const { scheduleId: schedule, state, memo } = existing;
  const pipeline = String(memo?.pipeline ?? schedule);
  return { schedule, pipeline, change: prune ? 'remove' : 'undeclared', fields: [], paused: state.paused };
}

const MOST_ATTEMPTS = 10;

/** Creates or updates until the server has what is declared, whoever else is at it. */
async function settle(client: Schedules, to: ScheduleToBe): Promise<void> {
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const existing = await findSchedule(client, to.scheduleId);
    if (existing && compare(existing, to).length === 0) return;
    try {
      if (existing) await update(client, to);
      else await client.create(to);
    } catch (error) {
      if (error instanceof ScheduleAlreadyRunning || error instanceof ScheduleNotFoundError) continue;
      throw refusal(error, to.scheduleId);
    }
  }
  throw new RefitError('REFIT_CONFLICT', `The schedule ${to.scheduleId} is being changed by others all the time.`);
}

/** Changes what is declared, and only if nothing was changed since it was read: a pause in between is not undone. */
async function update(client: Schedules, to: ScheduleToBe): Promise<void> {
  let conflictToken: Uint8Array | undefined;
  const service = client.workflowService;
  const guarded = Object.create(service, {
    updateSchedule: {
      value: (request: Parameters<typeof service.updateSchedule>[0]) =>
        service.updateSchedule({ ...request, ...(conflictToken ? { conflictToken } : {}) }),
    },
  }) as typeof service;
  const connection = Object.create(client.connection, {
    workflowService: { value: guarded },
  }) as typeof client.connection;
  await new ScheduleClient({ ...client.options, connection })
    .getHandle(to.scheduleId)
    .update((current): ScheduleUpdateOptions => {
      conflictToken = current.raw.conflictToken ?? undefined;
      const { paused, note, remainingActions } = current.state;
      const kept = paused ? note : (to.state?.note ?? note);
      return {
        ...{ spec: to.spec, action: to.action, policies: to.policies },
        state: {
          paused,
          ...(kept === undefined ? {} : { note: kept }),
          ...(remainingActions === undefined ? {} : { remainingActions }),
        },
      };
    });
}

async function remove(client: Schedules, id: string): Promise<void> {
  try {
    await client.getHandle(id).delete();
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
  }
}
