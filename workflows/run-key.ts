import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  type ChildWorkflowHandle,
  condition,
  defineSignal,
  getExternalWorkflowHandle,
  isCancellation,
  ParentClosePolicy,
  setHandler,
  sleep,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import type { RunResult } from '../core/spec/run.ts';
import type { holdRunKey } from './hold-run-key.ts';

export interface Holder {
  workflowId: string;
  runId: string;
}

interface Held {
  holder: Holder;
  /** The holder has ended; `result` is there when it had one. */
  over: boolean;
  result?: RunResult;
}

export const followSignal = defineSignal<[Holder]>('follow');
export const releaseSignal = defineSignal<[RunResult]>('release');
export const heldSignal = defineSignal<[Held]>('held');

/** A run holds its key, or was told the result of the run that did. */
export type Claim = { hold: ChildWorkflowHandle<typeof holdRunKey> } | { result: RunResult; holder: Holder };

/** A holder that was ended by force tells nobody: its followers look again after this. */
const LOOK_AGAIN = '10m';

/**
 * Takes the key of a run, or follows the run that has it: however many are started at once, by whomever and under whatever
 * workflow id, the work is done once and all end with one result. `onFollow` is told whom this run waits for.
 */
export async function claimRunKey(key: string, onFollow: (holder: Holder) => void): Promise<Claim> {
  const { workflowId, runId } = workflowInfo();
  const workflow = `hold/${key}`;
  let held: Held | undefined;
  setHandler(heldSignal, (news) => {
    held = news;
    onFollow(news.holder);
  });
  for (;;) {
    const hold = await tryToHold(workflow, { workflowId, runId });
    if (hold) return { hold };
    held = undefined;
    const subscribed = await subscribe(workflow, { workflowId, runId });
    if (subscribed) await condition(() => held?.over === true, LOOK_AGAIN);
    const { holder, result } = held ?? ({} as Partial<Held>);
    if (holder && result) return { holder, result };
    // The holder is ending, or ended without a result.
    if (!subscribed) await sleep('100ms');
  }
}

async function tryToHold(workflowId: string, holder: Holder) {
  try {
    return await startChild<typeof holdRunKey>('holdRunKey', {
      workflowId,
      args: [holder],
      // However the run ends, its key is free afterwards.
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      staticSummary: `Run key of ${holder.workflowId}`,
    });
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return undefined;
    throw error;
  }
}

async function subscribe(workflow: string, follower: Holder): Promise<boolean> {
  try {
    await getExternalWorkflowHandle(workflow).signal(followSignal, follower);
    return true;
  } catch (error) {
    if (isCancellation(error)) throw error;
    return false;
  }
}
