import {
  CancellationScope,
  CancelledFailure,
  condition,
  getExternalWorkflowHandle,
  setHandler,
} from '@temporalio/workflow';
import type { RunResult } from '../core/spec/run.ts';
import { followSignal, type Holder, heldSignal, releaseSignal } from './run-key.ts';

/**
 * Stands for a run key while a run works under it: its workflow id can be taken once, by whichever server-side race is won.
 * Other runs of the key subscribe and are told the result. Ends when the run releases it, or when the run has ended.
 */
export async function holdRunKey(holder: Holder): Promise<void> {
  const followers = new Map<string, Holder>();
  let released = false;
  let result: RunResult | undefined;
  const tell = async (follower: Holder, over: boolean) => {
    const { workflowId, runId } = follower;
    const news = { holder, over, ...(result ? { result } : {}) };
    // A follower that is gone needs no answer.
    await getExternalWorkflowHandle(workflowId, runId)
      .signal(heldSignal, news)
      .catch(() => undefined);
  };
  setHandler(followSignal, async (follower) => {
    followers.set(follower.runId, follower);
    if (!released) await CancellationScope.nonCancellable(() => tell(follower, false));
  });
  setHandler(releaseSignal, (outcome) => {
    result = outcome;
    released = true;
  });
  try {
    await condition(() => released);
  } catch (error) {
    // The run ended without a result: its followers try for themselves.
    if (!(error instanceof CancelledFailure)) throw error;
    released = true;
  }
  await CancellationScope.nonCancellable(async () => {
    while (followers.size > 0) {
      const waiting = [...followers.values()];
      followers.clear();
      await Promise.all(waiting.map((follower) => tell(follower, true)));
    }
  });
}
