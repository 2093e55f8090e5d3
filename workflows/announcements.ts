import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { ParentClosePolicy, startChild, WorkflowIdReusePolicy, workflowInfo } from '@temporalio/workflow';
import type { Decision } from '../activities/promote.ts';
import type { ResolvedRun, RunEvent } from '../core/spec/activities.ts';
import type { announceEvent } from './announce-event.ts';

type Told = Pick<RunEvent, 'type' | 'pipeline' | 'asOf' | 'reason' | 'version'>;

/** Starts the telling and goes on: a receiver that is down keeps no run waiting. */
async function tell({ type, ...event }: Told): Promise<void> {
  const { workflowId, runId } = workflowInfo();
  const id = `${type}/${runId}${event.version === undefined ? '' : `/${event.version}`}`;
  const at = new Date().toISOString();
  try {
    await startChild<typeof announceEvent>('announceEvent', {
      workflowId: `announce/${id}`,
      args: [{ id, type, at, workflowId, runId, ...event }],
      workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary: `${type}: ${workflowId}`,
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}

export async function announceWaiting(run: ResolvedRun, asOf: string, version: number, until: string): Promise<void> {
  if (!run.announces) return;
  const reason = `Version ${version} of ${run.pipeline} passed its gates and waits for approval until ${until}.`;
  await tell({ type: 'run.waiting', pipeline: run.pipeline, asOf, version, reason });
}

export async function announceRejection(run: ResolvedRun, asOf: string, { gates, model }: Decision): Promise<void> {
  if (!run.announces) return;
  const failed = gates.filter(({ passed }) => !passed).map(({ name, reason: why }) => `${name}: ${why}`);
  const reason = `Version ${model.version} of ${run.pipeline} was rejected: ${failed.join('; ')}`;
  await tell({ type: 'run.rejected', pipeline: run.pipeline, asOf, version: model.version, reason });
}

/** A run that failed before it was known whether anybody listens is told in any case. */
export async function announceFailure(
  run: ResolvedRun | undefined,
  { pipeline, asOf }: { pipeline: string; asOf: string | null },
  reason: string,
): Promise<void> {
  if (run && !run.announces) return;
  await tell({ type: 'run.failed', pipeline, asOf, reason });
}
