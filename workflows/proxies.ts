import { type ActivityOptions, proxyActivities } from '@temporalio/workflow';
import type { DriftActivities } from '../activities/drift.ts';
import type { EvaluateActivities } from '../activities/evaluate.ts';
import type { ExtractActivities } from '../activities/extract.ts';
import type { FeatureActivities } from '../activities/features.ts';
import type { PrepareActivities } from '../activities/prepare.ts';
import type { PromoteActivities } from '../activities/promote.ts';
import type { TrainActivities } from '../activities/train.ts';
import { TaskQueue } from '../core/spec/queues.ts';

const options: ActivityOptions = {
  startToCloseTimeout: '24h',
  // A worker that was killed is noticed after this; steps heartbeat every second while they work.
  heartbeatTimeout: '15s',
  retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '15s', maximumAttempts: 30 },
};

type CpuActivities = PrepareActivities &
  ExtractActivities &
  FeatureActivities &
  TrainActivities &
  EvaluateActivities &
  PromoteActivities &
  DriftActivities;

/** Activities on CPU workers. */
export const cpu = proxyActivities<CpuActivities>({ ...options, taskQueue: TaskQueue.cpu });

const trainersByPool = {
  cpu,
  gpu: proxyActivities<TrainActivities>({ ...options, taskQueue: TaskQueue.gpu }),
};

/** Training activities on the pool that the pipeline's `resources` name. */
export function trainers(resources: 'cpu' | 'gpu') {
  return trainersByPool[resources];
}
