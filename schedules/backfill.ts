import {
  type Backfill,
  ScheduleAlreadyRunning,
  type ScheduleClient,
  type ScheduleDescription,
  ScheduleOverlapPolicy,
} from '@temporalio/client';
import { type BackfillRange, backfillTimes, sliceOf, specOf } from './backfill-times.ts';
import { startOf } from './declared.ts';
import { findSchedule } from './find.ts';
import { refusal } from './refusal.ts';

export const BACKFILL_MARK = 'backfill';

/** Runs of one pipeline at the times of a range. */
export interface BackfillRequest extends BackfillRange {
  pipeline: string;
  /** How many run side by side. One keeps them in order: an older asOf never displaces a newer champion. */
  atOnce: number;
  /** Digest of the pipeline's declaration: a backfill of another declaration is another one. */
  declaration: string;
}

/** Runs one after the other, by a paused schedule whose backfill the server works through by itself. */
export interface Slice {
  schedule: string;
  times: string[];
  /** Runs that started earlier are none of this backfill. */
  since: Date;
}

/** `backfill/orders/2020-01-01_2020-12-01_1mo`; the id of its first schedule. */
export function backfillIdOf({ pipeline, from, to, every }: Omit<BackfillRequest, 'atOnce' | 'declaration'>): string {
  const day = (time: string) => time.replace(/T00:00:00Z$/, '');
  return `backfill/${pipeline}/${day(from)}_${day(to)}_${every}`;
}

/** Id of the workflow that runs as of a time, as the server makes it: a schedule of the pipeline gives the same. */
export const workflowIdAt = (pipeline: string, time: string): string => `train/${pipeline}-${time}`;

const sliceId = (backfill: string, slice: number) => (slice === 0 ? backfill : `${backfill}/${slice + 1}`);

/**
 * Starts the backfill, or finds the one that was started before. The server then starts the runs, in order, whether or not
 * anybody watches. @returns its slices; `joined`: it was there already, with as many at once as it was started with
 */
export async function openBackfill(
  client: ScheduleClient,
  request: BackfillRequest,
): Promise<{ slices: Slice[]; joined: boolean }> {
  const id = backfillIdOf(request);
  const times = backfillTimes(request);
  const first = await findSchedule(client, id);
  const joined = first !== undefined && first.memo?.declaration === request.declaration;
  if (first && !joined) await closeBackfill(client, request);
  const count = joined ? Number(first.memo?.slices ?? 1) : Math.min(request.atOnce, times.length);
  const slices: Slice[] = [];
  for (let slice = 0; slice < count; slice++) {
    const schedule = sliceId(id, slice);
    const own = sliceOf(times, slice, count);
    const description = await ensureSlice(client, request, { schedule, times: own }, count);
    slices.push({ schedule, times: own, since: description.info.createdAt });
  }
  return { slices, joined };
}

async function ensureSlice(
  client: ScheduleClient,
  { pipeline, every, from, to, declaration }: BackfillRequest,
  { schedule, times }: Omit<Slice, 'since'>,
  slices: number,
): Promise<ScheduleDescription> {
  const there = await findSchedule(client, schedule);
  if (there?.memo?.declaration === declaration) return there;
  if (there) await client.getHandle(schedule).delete();
  try {
    const handle = await client.create({
      scheduleId: schedule,
      spec: specOf(times, every, slices),
      action: startOf(pipeline, 'backfill'),
      policies: { overlap: ScheduleOverlapPolicy.BUFFER_ALL },
      memo: { refit: BACKFILL_MARK, pipeline, from, to, every, slices, declaration },
      // Paused: it yields times for its backfill only. Both are one request: there is no schedule without its runs.
      state: { paused: true, note: `refit backfill: ${times.length} runs`, backfill: times.map(backfillAt) },
    });
    return await handle.describe();
  } catch (error) {
    if (error instanceof ScheduleAlreadyRunning) return client.getHandle(schedule).describe();
    throw refusal(error, schedule);
  }
}

/** Has the server run these times of a slice (again), after what it still has to do. */
export async function requestRuns(client: ScheduleClient, { schedule }: Slice, times: string[]): Promise<void> {
  await client.getHandle(schedule).backfill(times.map(backfillAt));
}

/** Around the one time: whether a range includes its start depends on the server's version. */
function backfillAt(time: string): Backfill {
  const at = Date.parse(time);
  return { start: new Date(at - 500), end: new Date(at + 499), overlap: ScheduleOverlapPolicy.BUFFER_ALL };
}

/** Whether the server has nothing more to start for a slice, and nothing running. */
export async function isIdle(client: ScheduleClient, { schedule }: Slice): Promise<boolean> {
  const { info, raw } = await client.getHandle(schedule).describe();
  return info.runningActions.length === 0 && Number(raw.info?.bufferSize ?? 0) === 0;
}

/** Removes the schedules of a backfill; a run under way goes on. @returns whether there were any */
export async function closeBackfill(
  client: ScheduleClient,
  request: Omit<BackfillRequest, 'atOnce' | 'declaration'>,
): Promise<boolean> {
  const id = backfillIdOf(request);
  const first = await findSchedule(client, id);
  if (!first) return false;
  // The first one last: it tells how many there are.
  for (let slice = Number(first.memo?.slices ?? 1) - 1; slice >= 0; slice--) {
    if (await findSchedule(client, sliceId(id, slice))) await client.getHandle(sliceId(id, slice)).delete();
  }
  return true;
}
