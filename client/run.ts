import type { WorkflowHandle } from '@temporalio/client';
import { RefitError } from '../core/spec/errors.ts';
import type { PersonsDecision, Progress, RunHandle, RunResult } from '../core/spec/run.ts';
import { type FollowOptions, followProgress } from './progress.ts';
import type { Session } from './session.ts';

/** How long a decision waits for a worker that takes it. */
const DECISION_TIMEOUT_MS = 60_000;

/** One run, under way or ended. Every method may be called at any time and from any process. */
export class Run<Result extends RunResult = RunResult> implements RunHandle {
  readonly workflowId: string;
  readonly runId: string;
  readonly pipeline: string;
  readonly #session: Session;

  /** @internal Made by `RefitClient`. */
  constructor(session: Session, { workflowId, runId, pipeline }: RunHandle) {
    this.workflowId = workflowId;
    this.runId = runId;
    this.pipeline = pipeline;
    this.#session = session;
  }

  /** Temporal's own handle of this run, for what is not here. */
  get handle(): WorkflowHandle {
    return this.#session.client.workflow.getHandle(this.workflowId, this.runId);
  }

  /**
   * Waits for the end; a verdict of `rejected` is a result, no error. An aborted signal ends the waiting, not the run.
   * @throws RefitError what the run failed with; REFIT_CANCELLED; the signal's reason.
   */
  async result({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<Result> {
    signal?.throwIfAborted();
    const result = this.#session.result<Result>(this.handle, this.runId);
    if (!signal) return result;
    return new Promise((resolve, reject) => {
      const abort = () => reject(signal.reason as Error);
      signal.addEventListener('abort', abort, { once: true });
      result.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
    });
  }

  /**
   * What the run tells of itself, each time it changes, the last state included; ends when the run has ended, however it
   * did (`result()` says how), or when the signal is aborted or the loop is left.
   * @throws RefitError REFIT_TEMPORAL_UNREACHABLE; a worker that is being replaced is waited for.
   */
  progress(options: FollowOptions = {}): AsyncGenerator<Progress, void, undefined> {
    return followProgress(this.#session, this.handle, options);
  }

  /** Promotes the version that waits for a decision. @throws RefitError REFIT_NOT_WAITING, REFIT_USAGE (name or reason missing) */
  approve(decision: PersonsDecision): Promise<void> {
    return this.#decide('approve', decision);
  }

  /** Rejects the version that waits for a decision; the run ends with the verdict `rejected`. @throws as `approve` */
  reject(decision: PersonsDecision): Promise<void> {
    return this.#decide('reject', decision);
  }

  /** Asks the run to stop; it ends between two units of work, and finished steps are kept. Ended runs are left alone. */
  async cancel(): Promise<void> {
    try {
      await this.#session.call(() => this.handle.cancel());
    } catch (error) {
      if (!(await this.#hasEnded(error))) throw error;
    }
  }

  /** The shape that `refit run --no-wait --json` prints. */
  toJSON(): RunHandle {
    const { workflowId, runId, pipeline } = this;
    return { workflowId, runId, pipeline };
  }

  async #decide(update: 'approve' | 'reject', { by, reason }: PersonsDecision): Promise<void> {
    try {
      await this.#session.call(() => this.handle.executeUpdate(update, { args: [{ by, reason }] }), {
        timeoutMs: DECISION_TIMEOUT_MS,
      });
    } catch (error) {
      if (!(await this.#hasEnded(error))) throw error;
      throw new RefitError('REFIT_NOT_WAITING', `The run ${this.workflowId} has ended; it waits for no decision.`);
    }
  }

  /** What Temporal says of an unknown run it says of an ended one, too. */
  async #hasEnded(error: unknown): Promise<boolean> {
    if ((error as RefitError).code !== 'REFIT_RUN_UNKNOWN') return false;
    return this.#session
      .call(() => this.handle.describe())
      .then(
        () => true,
        () => false,
      );
  }
}
