import { proxyActivities } from '@temporalio/workflow';
import type { AnnounceActivities } from '../activities/announce.ts';
import type { RunEvent } from '../core/spec/activities.ts';
import { TaskQueue } from '../core/spec/queues.ts';

const { announce } = proxyActivities<AnnounceActivities>({
  taskQueue: TaskQueue.cpu,
  startToCloseTimeout: '30s',
  // A receiver that is down for the night is told in the morning.
  scheduleToCloseTimeout: '24h',
  retry: { initialInterval: '2s', backoffCoefficient: 2, maximumInterval: '10m' },
});

/** Tells a webhook about one event; its workflow id is the event's, so that each is told once. @returns whether one was told */
export async function announceEvent(event: RunEvent): Promise<boolean> {
  return announce.executeWithOptions({ summary: `${event.type}: ${event.workflowId}` }, [event]);
}
