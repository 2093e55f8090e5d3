import { setMaxListeners } from 'node:events';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { RefitError } from '../core/spec/errors.ts';
import { asRefitError } from './errors.ts';

/** A server that is gone for longer than this ends the waiting. */
const PATIENCE_MS = 5 * 60_000;
const PAUSE_MS = 1_000;

/** The calls that are under way over one connection: they end when it is closed. */
export class Session {
  readonly client: Client;
  readonly #calls = new Set<AbortController>();
  readonly #results = new Map<string, Promise<unknown>>();
  #closed = false;

  constructor(client: Client) {
    this.client = client;
  }

  /** Calls the server. @throws RefitError, whatever went wrong */
  async call<T>(work: () => Promise<T>, { timeoutMs }: { timeoutMs?: number } = {}): Promise<T> {
    if (this.#closed) throw closed();
    const { client } = this;
    const call = new AbortController();
    // The SDK adds one for each turn of a long poll.
    setMaxListeners(0, call.signal);
    this.#calls.add(call);
    const timed = timeoutMs === undefined ? work : () => client.withDeadline(Date.now() + timeoutMs, work);
    try {
      return await client.withAbortSignal(call.signal, timed);
    } catch (error) {
      throw this.#closed ? closed() : asRefitError(error);
    } finally {
      this.#calls.delete(call);
    }
  }

  /** The result of a run; however often it is asked for at a time, the server is asked once. @throws RefitError */
  result<Result>(handle: WorkflowHandle, runId: string): Promise<Result> {
    const known = this.#results.get(runId) as Promise<Result> | undefined;
    if (known) return known;
    const result = this.#patiently<Result>(handle).finally(() => this.#results.delete(runId));
    this.#results.set(runId, result);
    // Whoever asked is told; a second promise that nobody looks at must not end the process.
    result.catch(() => undefined);
    return result;
  }

  close(): void {
    this.#closed = true;
    for (const call of this.#calls) call.abort();
  }

  /** Outlives a restart of the server, which the SDK by itself does for half a minute. */
  async #patiently<Result>(handle: WorkflowHandle): Promise<Result> {
    let goneSince: number | undefined;
    for (;;) {
      const asked = Date.now();
      try {
        return (await this.call(() => handle.result())) as Result;
      } catch (error) {
        if (this.#closed || (error as RefitError).code !== 'REFIT_TEMPORAL_UNREACHABLE') throw error;
        goneSince ??= asked;
        if (Date.now() - goneSince > PATIENCE_MS) throw error;
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    }
  }
}

function closed(): RefitError {
  return new RefitError('REFIT_TEMPORAL_UNREACHABLE', 'This client was closed; runs that it started go on.');
}
