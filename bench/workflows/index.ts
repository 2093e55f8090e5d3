import { proxyActivities } from '@temporalio/workflow';
import type { NoOp } from '../no-op.ts';

const { noOp } = proxyActivities<NoOp>({ startToCloseTimeout: '1m' });

/** One step after the other: what each hop between server and worker costs. */
export async function inSequence(steps: number): Promise<void> {
  for (let step = 0; step < steps; step++) await noOp();
}

/** All steps at once: what a fan-out costs. */
export async function allAtOnce(steps: number): Promise<void> {
  await Promise.all(Array.from({ length: steps }, () => noOp()));
}
