import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { Context } from '@temporalio/activity';
import type { Places } from '../core/compose/refit.ts';
import type { Done, ProgressReport } from '../core/spec/activities.ts';
import { PROGRESS_SIGNAL } from '../core/spec/activities.ts';
import { releasingLocalFiles } from '../core/store/local-files.ts';
import { ownerToken } from '../core/store/process-identity.ts';
import type { Step } from '../core/store/step.ts';
import type { StepCache } from '../core/store/step-cache.ts';

const HEARTBEAT_MS = 1_000;

/**
 * Runs a step inside an activity: heartbeats while it works (the timer runs on the event loop, so a frozen worker is
 * noticed), hands on cancellation, and tells the workflow about rounds.
 */
export async function runStep<Input, Output>(
  cache: StepCache,
  step: Step<Input, Output>,
  input: Input,
  options: { force?: string | undefined; tellRounds?: boolean } = {},
): Promise<Done<Output>> {
  const context = Context.current();
  let latest: Record<string, unknown> = { step: step.name };
  const beat = setInterval(() => context.heartbeat(latest), HEARTBEAT_MS);
  const tell = options.tellRounds ? roundReporter(context) : undefined;
  context.heartbeat(latest);
  try {
    const { output, cached, seconds } = await cache.run(step, input, {
      signal: context.cancellationSignal,
      progress: (details) => {
        latest = { step: step.name, ...details };
        context.heartbeat(latest);
        tell?.(details);
      },
      ...(options.force === undefined ? {} : { force: options.force }),
    });
    return { output, cached, seconds };
  } finally {
    clearInterval(beat);
  }
}

/** Work that no step key can describe (it changes what others see): heartbeats and is timed, decides itself what is cached. */
export async function heartbeating<Output>(
  name: string,
  work: (
    context: Context,
    progress: (details: Record<string, unknown>) => void,
    scratch: (places: Places) => Promise<string>,
  ) => Promise<{ output: Output; cached: boolean }>,
): Promise<Done<Output>> {
  const context = Context.current();
  const started = performance.now();
  const progress = (details: Record<string, unknown>) => context.heartbeat({ step: name, ...details });
  const beat = setInterval(() => progress({}), HEARTBEAT_MS);
  let folder: string | undefined;
  const scratch = async ({ state }: Places) => {
    // Beside the steps' own and named like them: what a killed worker leaves is swept away with theirs.
    folder = path.join(state, 'scratch', ownerToken());
    await mkdir(folder, { recursive: true });
    return folder;
  };
  try {
    const { output, cached } = await releasingLocalFiles(() => work(context, progress, scratch));
    return { output, cached, seconds: Math.round(performance.now() - started) / 1000 };
  } finally {
    clearInterval(beat);
    if (folder) await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Signals rounds to the workflow, one signal under way at a time, at most one a second and ever less often as time goes by:
 * each one is four events of history, which ends at 50,000. 10 minutes: 420 signals; a day: 1,400.
 */
function roundReporter(context: Context): (details: Record<string, unknown>) => void {
  const { workflowId, runId } = context.info.workflowExecution ?? {};
  if (workflowId === undefined) return () => undefined;
  let underWay = false;
  let last = 0;
  const started = Date.now();
  return ({ round, rounds }) => {
    if (typeof round !== 'number' || typeof rounds !== 'number') return;
    const pause = Math.max(1_000, (Date.now() - started) / 200);
    if (underWay || (Date.now() - last < pause && round < rounds)) return;
    underWay = true;
    last = Date.now();
    const report: ProgressReport = { round, rounds };
    // A watcher that misses a round loses nothing: the next report says more.
    context.client.workflow
      .getHandle(workflowId, runId)
      .signal(PROGRESS_SIGNAL, report)
      .catch(() => undefined)
      .finally(() => {
        underWay = false;
      });
  };
}
