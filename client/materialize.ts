import { type Client, WorkflowIdConflictPolicy, WorkflowIdReusePolicy } from '@temporalio/client';
import { RefitError } from '../core/spec/errors.ts';
import type { MaterializeInput } from '../core/spec/materialization.ts';
import { nearest } from '../core/spec/nearest.ts';
import { TaskQueue } from '../core/spec/queues.ts';
import { runInput } from './request.ts';
import type { Started } from './start.ts';

/** What a caller asks for. */
export interface MaterializeRequest<Name extends string = string> {
  pipeline: Name;
  /** ISO date or time in UTC, or a Date; the pipeline's own rule when absent. */
  asOf?: string | Date | undefined;
  /** Write everything, not just what changed since the last time. */
  force?: boolean | undefined;
}

const FIELDS = ['pipeline', 'asOf', 'force'];

/**
 * Starts `materializeFeatures`, or joins the one that is under way for the same date.
 * @throws RefitError REFIT_USAGE, REFIT_AS_OF_INVALID
 */
export async function startMaterialization(
  client: Client,
  request: MaterializeRequest,
  trigger: string,
): Promise<Started> {
  const stranger = Object.keys(request).find((name) => !FIELDS.includes(name));
  if (stranger !== undefined) {
    const message = `A materialization has no argument "${stranger}"${nearest(stranger, FIELDS)}.`;
    throw new RefitError('REFIT_USAGE', message);
  }
  const { pipeline, asOf, force }: MaterializeInput = runInput(request);
  const input = { pipeline, ...(asOf === undefined ? {} : { asOf }), ...(force ? { force } : {}) };
  const workflowId = ['materialize', pipeline, asOf ?? 'latest', ...(force ? ['force'] : [])].join('/');
  const { firstExecutionRunId: runId } = await client.workflow.start('materializeFeatures', {
    ...{ taskQueue: TaskQueue.control, workflowId, args: [input], memo: { trigger } },
    workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    staticSummary: `Online features of ${pipeline} as of ${asOf ?? 'the end of the data'}`,
  });
  return { workflowId, runId };
}
