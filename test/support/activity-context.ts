/** Runs code as inside an activity, without a worker: what the SDK's MockActivityEnvironment does, which we do not install. */
import { asyncLocalStorage, Context, type Info } from '@temporalio/activity';
import { CancelledFailure, noopMetricMeter } from '@temporalio/common';
import { DefaultLogger } from '@temporalio/worker';

export interface MockActivity {
  /** Details of every heartbeat so far. */
  heartbeats: unknown[];
  /** Arguments of every signal that was sent to the workflow. */
  signals: unknown[];
  /** As a cancel request from the server. */
  cancel(): void;
  run<T>(work: () => Promise<T>): Promise<T>;
}

export function mockActivity({ attempt = 1 } = {}): MockActivity {
  const heartbeats: unknown[] = [];
  const signals: unknown[] = [];
  const aborter = new AbortController();
  let refuse: (reason: CancelledFailure) => void = () => undefined;
  const cancelled = new Promise<never>((_, reject) => {
    refuse = reject;
  });
  // Whoever works inside may not wait for it.
  cancelled.catch(() => undefined);
  const info = { attempt, workflowExecution: { workflowId: 'train/x', runId: 'run' }, activityType: 'test' } as Info;
  const client = {
    workflow: {
      getHandle: () => ({
        signal: async (_name: string, report: unknown) => {
          signals.push(report);
        },
      }),
    },
  };
  const context = new Context(
    info,
    cancelled,
    aborter.signal,
    (details) => heartbeats.push(details),
    client as never,
    new DefaultLogger('ERROR'),
    noopMetricMeter,
    {},
  );
  return {
    heartbeats,
    signals,
    cancel: () => {
      const reason = new CancelledFailure('CANCELLED');
      refuse(reason);
      aborter.abort(reason);
    },
    run: (work) => asyncLocalStorage.run(context, work),
  };
}
