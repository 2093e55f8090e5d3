import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  CancellationScope,
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

/** A holder that was ended by force tells nobody: its followers look again, ever less often, as each look is history. */
const LOOK_AGAIN_MS = { first: 600_000, most: 6 * 3_600_000 };
const TRY_AGAIN_MS = { first: 100, most: 60_000 };

/**
 * Takes the key of a run, or follows the run that has it: however many are started at once, by whomever and under whatever
 * workflow id, the work is done once and all end with one result. `onFollow` is told whom this run waits for.
 */
export async function claimRunKey(key: string, onFollow: (holder: Holder) => void): Promise<Claim> {
  const { workflowId, runId } = workflowInfo();
  const workflow = `hold/${key}`;
  let held: Held | undefined;
  setHandler(heldSignal, (news) => {
    // Signals may overtake each other: that it is over is the last word.
    if (!held?.over) held = news;
    onFollow(news.holder);
  });
  let lookAgainMs = LOOK_AGAIN_MS.first;
  let tryAgainMs = TRY_AGAIN_MS.first;
  for (;;) {
    const hold = await tryToHold(workflow, { workflowId, runId });
    if (hold) {
      // News of the one before that come late concern nobody.
      setHandler(heldSignal, () => undefined);
      return { hold };
    }
    held = undefined;
    const subscribed = await subscribe(workflow, { workflowId, runId });
    if (subscribed) {
      const told = await condition(() => held?.over === true, lookAgainMs);
      lookAgainMs = told ? LOOK_AGAIN_MS.first : Math.min(2 * lookAgainMs, LOOK_AGAIN_MS.most);
    }
    const { holder, result } = held ?? ({} as Partial<Held>);
    if (holder && result) return { holder, result };
    // The holder is ending, or ended without a result.
    if (subscribed) tryAgainMs = TRY_AGAIN_MS.first;
    else {
      await sleep(tryAgainMs);
      tryAgainMs = Math.min(2 * tryAgainMs, TRY_AGAIN_MS.most);
    }
  }
}

/**
 * Gives the key back and tells the followers. That nobody holds it any more (it was ended by force) is no failure of a run that
 * has done its work, and neither is a cancel that comes now.
 */
export async function release(hold: ChildWorkflowHandle<typeof holdRunKey>, result: RunResult): Promise<void> {
  await CancellationScope.nonCancellable(() => hold.signal(releaseSignal, result)).catch(() => undefined);
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
