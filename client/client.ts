import type { Client, Connection } from '@temporalio/client';
import type { Materialization } from '../core/spec/materialization.ts';
import type { ConnectOptions } from './connect.ts';
import { connectTemporal } from './connect.ts';
import { listRuns, pipelineOf, type RunFilter, type RunSummary } from './list.ts';
import { type MaterializeRequest, startMaterialization } from './materialize.ts';
import type { AnyPipeline, PipelineMap, PipelineNameOf, ResultOf, RunRequest } from './pipelines.ts';
import { runInput } from './request.ts';
import { Run } from './run.ts';
import { Session } from './session.ts';
import { startOrJoin } from './start.ts';

export interface StartOptions {
  /** Who starts it, for the search attribute RefitTrigger; `client` when absent. */
  trigger?: string | undefined;
}

/**
 * Refit from other services: starts runs, joins, follows, approves and awaits them. `P` maps the pipelines' names to what
 * the compiler shall know of them (see `PipelineMap`); without it every name and setting is taken and judged by the run.
 */
export class RefitClient<P extends PipelineMap<P> = AnyPipeline> {
  /** Temporal's own client, for what is not here. */
  readonly temporal: Client;
  readonly #connection: Connection | undefined;
  readonly #session: Session;

  /** Uses a client that somebody else connects and closes. */
  constructor(temporal: Client, connection?: Connection) {
    this.temporal = temporal;
    this.#connection = connection;
    this.#session = new Session(temporal);
  }

  /** Connects as the environment says, unless the options say otherwise. @throws RefitError REFIT_TEMPORAL_UNREACHABLE, REFIT_USAGE */
  static async connect<P extends PipelineMap<P> = AnyPipeline>(options: ConnectOptions = {}): Promise<RefitClient<P>> {
    const { client, connection } = await connectTemporal(options);
    return new RefitClient<P>(client, connection);
  }

  /**
   * Starts a run, or joins the one that is under way for the same request. With a `key` the first run answers for good.
   * @throws RefitError REFIT_USAGE, REFIT_AS_OF_INVALID, REFIT_KEY_REUSED, REFIT_TEMPORAL_UNREACHABLE
   */
  async start<const Name extends PipelineNameOf<P>>(
    request: RunRequest<P, Name>,
    { trigger = 'client' }: StartOptions = {},
  ): Promise<Run<ResultOf<P, Name>>> {
    const input = runInput(request);
    const started = await this.#session.call(() => startOrJoin(this.temporal, input, trigger));
    return new Run(this.#session, { ...started, pipeline: input.pipeline });
  }

  /** Starts a run and waits for its end. @throws as `start` and `Run.result` */
  async run<const Name extends PipelineNameOf<P>>(
    request: RunRequest<P, Name>,
    options: StartOptions & { signal?: AbortSignal | undefined } = {},
  ): Promise<ResultOf<P, Name>> {
    options.signal?.throwIfAborted();
    return (await this.start(request, options)).result(options);
  }

  /**
   * Brings the online features that a pipeline serves to a date, without training it, and waits for the end; joins the
   * materialization that is under way for the same date. It goes on when nobody waits any more.
   * @throws RefitError REFIT_USAGE, REFIT_AS_OF_INVALID, REFIT_TEMPORAL_UNREACHABLE, and what it failed with
   */
  async materialize(
    request: MaterializeRequest<PipelineNameOf<P>>,
    { trigger = 'client' }: StartOptions = {},
  ): Promise<Materialization> {
    const { workflowId, runId } = await this.#session.call(() => startMaterialization(this.temporal, request, trigger));
    return this.#session.result<Materialization>(this.temporal.workflow.getHandle(workflowId, runId), runId);
  }

  /** A run that somebody started; the newest one of this workflow id, unless a run id says which. @throws RefitError REFIT_RUN_UNKNOWN */
  async handle(workflowId: string, runId?: string): Promise<Run<ResultOf<P, PipelineNameOf<P>>>> {
    const run = await this.#session.call(() => this.temporal.workflow.getHandle(workflowId, runId).describe());
    return new Run(this.#session, { workflowId, runId: run.runId, pipeline: pipelineOf(run) });
  }

  /** The runs that Temporal keeps, newest first. A run shows here a moment after it has started. */
  list(
    filter: RunFilter & { pipeline?: PipelineNameOf<P> | undefined } = {},
  ): AsyncGenerator<RunSummary, void, undefined> {
    return listRuns(this.temporal, filter);
  }

  /** Closes the connection that `connect` opened; whatever is still awaited fails. Runs go on. */
  async close(): Promise<void> {
    this.#session.close();
    await this.#connection?.close();
  }
}
