import { type Client, WorkflowIdConflictPolicy, WorkflowIdReusePolicy } from '@temporalio/client';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { RefitError } from '../core/spec/errors.ts';
import { TaskQueue } from '../core/spec/queues.ts';
import type { RunInput } from '../core/spec/run.ts';
import { sameRequest, workflowIdOf } from './request.ts';

/** Where a run is. */
export interface Started {
  workflowId: string;
  runId: string;
}

/**
 * Starts a run, or joins the one that is under way. With a key the first run answers, ended or not, for as long as Temporal
 * keeps it, and the store after that; a first try that failed or was cancelled may be tried again.
 * @throws RefitError REFIT_KEY_REUSED when the key was first used with another argument.
 */
export async function startOrJoin(client: Client, input: RunInput, trigger: string): Promise<Started> {
  const workflowId = workflowIdOf(input);
  try {
    const { firstExecutionRunId: runId } = await client.workflow.start('trainPipeline', {
      taskQueue: TaskQueue.control,
      workflowId,
      args: [input],
      memo: { trigger, request: input },
      ...policyOf(input),
      ...storyOf(input),
    });
    return { workflowId, runId };
  } catch (error) {
    if (input.key === undefined || !(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    return joinByKey(client, input, workflowId);
  }
}

/** With a key even a run that is under way is met as an error, so that its argument is compared before it is joined. */
function policyOf({ key }: RunInput) {
  if (key === undefined) {
    return {
      workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
      workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    };
  }
  return {
    workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.FAIL,
  };
}

async function joinByKey(client: Client, input: RunInput, workflowId: string): Promise<Started> {
  const { runId, memo } = await client.workflow.getHandle(workflowId).describe();
  // A run that was typed in has no request in its memo; the run itself then looks after its key.
  if (memo?.request !== undefined && !sameRequest(memo.request, input)) {
    throw new RefitError(
      'REFIT_KEY_REUSED',
      `The key "${input.key}" was first used for another run: ${JSON.stringify(memo.request)}.`,
      { key: input.key, workflowId, first: memo.request },
    );
  }
  return { workflowId, runId };
}

/** What the Temporal UI shows before the run says more. */
function storyOf({ pipeline, asOf, set }: RunInput) {
  const overrides = Object.entries(set ?? {}).map(([path, value]) => `${path}=${JSON.stringify(value)}`);
  const changed = overrides.length > 0 ? ` with ${overrides.join(', ')}` : '';
  return {
    staticSummary: `${pipeline} as of ${asOf ?? 'the end of the data'}${changed}`,
    staticDetails:
      'extract → features → train → evaluate → promote → drift-check. Details and figures of each stage: current details.',
  };
}
