import { createHash } from 'node:crypto';
import { type Client, type WorkflowHandle, WorkflowIdConflictPolicy, WorkflowIdReusePolicy } from '@temporalio/client';
import { TaskQueue } from '../core/spec/queues.ts';
import type { RunInput } from '../core/spec/run.ts';

/** Workflow id of a run: one per pipeline, asOf and overrides, so that whoever starts it twice joins it. */
export function workflowIdOf({ pipeline, asOf, set }: RunInput): string {
  const date = asOf === undefined ? 'latest' : asOf.replace(/T00:00:00Z$/, '');
  const overrides = Object.entries(set ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  const suffix =
    overrides.length === 0
      ? ''
      : `/${createHash('sha256').update(JSON.stringify(overrides)).digest('hex').slice(0, 8)}`;
  return `train/${pipeline}/${date}${suffix}`;
}

/** Starts a run, or joins the one that is under way. */
export async function startRun(client: Client, input: RunInput, trigger: string): Promise<WorkflowHandle> {
  const overrides = Object.entries(input.set ?? {}).map(([path, value]) => `${path}=${JSON.stringify(value)}`);
  return client.workflow.start('trainPipeline', {
    taskQueue: TaskQueue.control,
    workflowId: workflowIdOf(input),
    args: [input],
    memo: { trigger },
    workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    staticSummary: `${input.pipeline} as of ${input.asOf ?? 'the end of the data'}${overrides.length > 0 ? ` with ${overrides.join(', ')}` : ''}`,
    staticDetails:
      'extract → features → train → evaluate → promote → drift-check. Details and figures of each stage: current details.',
  });
}
