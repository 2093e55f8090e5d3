import { type ScheduleClient, type ScheduleDescription, ScheduleNotFoundError } from '@temporalio/client';

/** A schedule as the server has it now; undefined where there is none. */
export async function findSchedule(client: ScheduleClient, id: string): Promise<ScheduleDescription | undefined> {
  try {
    return await client.getHandle(id).describe();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return undefined;
    throw error;
  }
}

/** Ids of the schedules whose memo bears this mark. The server's list may lag behind by a moment. */
export async function markedSchedules(client: ScheduleClient, mark: string): Promise<string[]> {
  const ids: string[] = [];
  for await (const { scheduleId, memo } of client.list({ pageSize: 100 })) {
    if (memo?.refit === mark) ids.push(scheduleId);
  }
  return ids.sort();
}
