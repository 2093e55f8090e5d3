import { setTimeout as pause } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import type { Progress } from '../core/spec/run.ts';
import type { Session } from './session.ts';

export interface FollowOptions {
  /** How often the run is asked, 500 ms when absent. */
  everyMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** A worker that has not answered by then is being replaced, or busy: the next question may be luckier. */
const ANSWER_MS = 3_000;

/** The `progress` query's answers, where they differ from the one before, until the run has ended. */
export async function* followProgress(
  session: Session,
  run: WorkflowHandle,
  { everyMs = 500, signal }: FollowOptions,
): AsyncGenerator<Progress, void, undefined> {
  let told = '';
  while (!signal?.aborted) {
    // Looked at before it is asked: what an ended run answers is its last word.
    const { status } = await session.call(() => run.describe());
    const ended = status.name !== 'RUNNING' && status.name !== 'PAUSED';
    const progress = await ask(session, run);
    const text = JSON.stringify(progress);
    if (progress && text !== told && !signal?.aborted) {
      told = text;
      yield progress;
    }
    if (ended) return;
    await pause(everyMs, undefined, signal ? { signal } : {}).catch(() => undefined);
  }
}

function ask(session: Session, run: WorkflowHandle): Promise<Progress | undefined> {
  return session.call(() => run.query<Progress>('progress'), { timeoutMs: ANSWER_MS }).catch(() => undefined);
}
