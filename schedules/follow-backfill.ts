import { setTimeout } from 'node:timers/promises';
import {
  type Client,
  type WorkflowExecutionInfo,
  WorkflowFailedError,
  WorkflowNotFoundError,
} from '@temporalio/client';
import type { RefitError } from '../core/spec/errors.ts';
import type { RunResult } from '../core/spec/run.ts';
import type { BackfillRun } from '../core/spec/schedules.ts';
import { isIdle, requestRuns, type Slice, workflowIdAt } from './backfill.ts';

const POLL_MS = 1_000;
/** A schedule that was just made has nothing to do yet: it is idle when it was so this often in a row. */
const IDLE_POLLS = 5;

type Execution = Pick<WorkflowExecutionInfo, 'runId' | 'status' | 'startTime'>;

export interface FollowOptions {
  client: Client;
  pipeline: string;
  slices: Slice[];
  /** Stops the watching, not the runs. */
  signal: AbortSignal;
  /** What a failed run's error is in the catalogue. */
  errorOf: (error: unknown) => RefitError;
  /** Told after every look; runs in the order of their times. */
  onProgress: (runs: BackfillRun[]) => void;
}

/**
 * Watches until every time has its run. Runs that had failed before are run again once, and so are those that the server
 * left out because a run of that id was under way. @returns the runs in the order of their times
 */
export async function followBackfill(options: FollowOptions): Promise<BackfillRun[]> {
  const watched = options.slices.map((slice) => new Watched(slice, options));
  const runs = () => watched.flatMap((one) => one.runs).sort((a, b) => (a.scheduledAt < b.scheduledAt ? -1 : 1));
  for (;;) {
    for (const one of watched) await one.look();
    options.onProgress(runs());
    if (options.signal.aborted || watched.every(({ done }) => done)) return runs();
    await setTimeout(POLL_MS, undefined, { signal: options.signal }).catch(() => undefined);
  }
}

/** One slice of a backfill, and what became of its runs. */
class Watched {
  readonly #slice: Slice;
  readonly #options: FollowOptions;
  readonly #runs: Map<string, BackfillRun>;
  /** Times that had failed before we came: they get a second run. */
  #again: Set<string> | undefined;
  #idle = 0;
  #requested = false;

  constructor(slice: Slice, options: FollowOptions) {
    this.#slice = slice;
    this.#options = options;
    this.#runs = new Map(slice.times.map((time) => [time, pending(options.pipeline, time)]));
  }

  get runs(): BackfillRun[] {
    return [...this.#runs.values()];
  }

  get done(): boolean {
    return this.#again?.size === 0 && this.runs.every(({ status }) => status !== 'pending' && status !== 'running');
  }

  async look(): Promise<void> {
    if (this.done) return;
    await this.#readRuns();
    this.#again ??= new Set(this.runs.filter(isFailed).map(({ scheduledAt }) => scheduledAt));
    if (this.done) return;
    this.#idle = (await isIdle(this.#options.client.schedule, this.#slice)) ? this.#idle + 1 : 0;
    if (this.#idle >= IDLE_POLLS) await this.#wake();
  }

  async #readRuns(): Promise<void> {
    const { schedule, since } = this.#slice;
    const query = `TemporalScheduledById = '${schedule}' AND StartTime >= '${since.toISOString()}'`;
    const newest = new Map<string, Execution>();
    for await (const info of this.#options.client.workflow.list({ query })) {
      const other = newest.get(info.workflowId);
      if (!other || other.startTime < info.startTime) newest.set(info.workflowId, info);
    }
    for (const run of this.runs) {
      const info = newest.get(run.workflowId);
      if (info) await this.#take(run, info);
    }
  }

  async #take(run: BackfillRun, info: Execution): Promise<void> {
    if (run.runId === info.runId && run.status !== 'running') return;
    if (run.runId !== null && run.runId !== info.runId) this.#again?.delete(run.scheduledAt);
    this.#runs.set(run.scheduledAt, await outcome(this.#options, run, info));
  }

  /** The server is idle, but times lack their run, or are to be run again: asks once, then takes it for failed. */
  async #wake(): Promise<void> {
    const missing: BackfillRun[] = [];
    for (const run of this.runs.filter(({ status }) => status === 'pending' || status === 'running')) {
      if (!(await this.#findOther(run))) missing.push(run);
    }
    const times = [...missing.map(({ scheduledAt }) => scheduledAt), ...(this.#again ?? [])];
    if (times.length === 0) return;
    this.#idle = 0;
    if (this.#requested) {
      for (const run of missing) this.#runs.set(run.scheduledAt, { ...run, status: 'failed' });
      this.#again?.clear();
    } else {
      this.#requested = true;
      await requestRuns(this.#options.client.schedule, this.#slice, times.sort());
    }
  }

  /** A run of that id which somebody else started: under way, it does the same work, and the server left ours out. */
  async #findOther(run: BackfillRun): Promise<boolean> {
    try {
      const info = await this.#options.client.workflow.getHandle(run.workflowId).describe();
      const ours = info.startTime >= this.#slice.since || info.status.name === 'RUNNING' || info.runId === run.runId;
      if (ours) await this.#take(run, info);
      return ours;
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return false;
      throw error;
    }
  }
}

const isFailed = ({ status }: BackfillRun) => status === 'failed' || status === 'cancelled';

function pending(pipeline: string, time: string): BackfillRun {
  const nothing = { runId: null, asOf: null, verdict: null, version: null, auc: null, reason: null };
  return { scheduledAt: time, workflowId: workflowIdAt(pipeline, time), status: 'pending', ...nothing };
}

async function outcome(
  { client, errorOf, pipeline }: FollowOptions,
  { scheduledAt, workflowId }: BackfillRun,
  { runId, status }: Execution,
): Promise<BackfillRun> {
  const run = { ...pending(pipeline, scheduledAt), runId };
  if (status.name === 'RUNNING') return { ...run, status: 'running' };
  try {
    const result = (await client.workflow.getHandle(workflowId, runId).result()) as RunResult;
    const { asOf, verdict, model, metrics, gates } = result;
    const failed = gates.filter(({ passed }) => !passed).map(({ name, reason }) => `${name}: ${reason}`);
    const judged = { asOf, verdict, version: model.version, auc: metrics.test.auc };
    return { ...run, ...judged, status: 'completed', reason: verdict === 'rejected' ? failed.join('; ') : null };
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const { code, message, cure, details } = errorOf(error);
    return {
      ...run,
      status: status.name === 'CANCELLED' ? 'cancelled' : 'failed',
      error: { code, message, cure, details },
    };
  }
}
