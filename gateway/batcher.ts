/**
 * Scores requests together. A request never waits for company: it is taken at the end of the event loop's turn when a thread
 * is free, with all that came in the same turn; while the threads are busy, requests gather and leave as one batch.
 */
import { RefitError } from '../core/spec/errors.ts';
import { concatTables, type FeatureTable } from './feature-table.ts';

export interface BatcherOptions {
  /** Probabilities [rows] of a table. */
  score(table: FeatureTable): Promise<Float32Array>;
  /** Rows of a batch at most; a larger request is a batch of its own. */
  batchRows: number;
  /** Rows that may wait. */
  queueRows: number;
  /** Batches under way at once. */
  threads: number;
  onBatch?(rows: number, requests: number): void;
}

export interface Batcher {
  /** Probabilities [rows], in order. @throws RefitError REFIT_OVERLOADED; what scoring throws on these rows */
  submit(table: FeatureTable): Promise<Float32Array>;
}

interface Waiting {
  table: FeatureTable;
  resolve(scores: Float32Array): void;
  reject(error: unknown): void;
}

export function createBatcher(options: BatcherOptions): Batcher {
  const { batchRows, queueRows, threads } = options;
  let queue: Waiting[] = [];
  let waitingRows = 0;
  let underway = 0;
  let planned = false;

  function plan(): void {
    if (planned || underway >= threads || queue.length === 0) return;
    planned = true;
    setImmediate(() => {
      planned = false;
      while (underway < threads && queue.length > 0) void run(takeBatch());
    });
  }

  function takeBatch(): Waiting[] {
    let rows = 0;
    let count = 0;
    for (const { table } of queue) {
      if (count > 0 && rows + table.rows > batchRows) break;
      rows += table.rows;
      count += 1;
    }
    const batch = queue.slice(0, count);
    queue = queue.slice(count);
    waitingRows -= rows;
    return batch;
  }

  /** Never rejects: each request is told by itself. */
  async function run(batch: Waiting[]): Promise<void> {
    underway += 1;
    try {
      const table = concatTables(batch.map((waiting) => waiting.table));
      options.onBatch?.(table.rows, batch.length);
      const scores = await options.score(table);
      let at = 0;
      for (const { table: own, resolve } of batch) {
        resolve(scores.subarray(at, at + own.rows));
        at += own.rows;
      }
    } catch (error) {
      // One request's rows may be at fault: no other may fail for it. Where time ran out, each alone would take as long again.
      const alone = batch.length > 1 && !(error instanceof RefitError && error.code === 'REFIT_OVERLOADED');
      if (alone) for (const waiting of batch) await run([waiting]);
      else for (const { reject } of batch) reject(error);
    } finally {
      underway -= 1;
      plan();
    }
  }

  return {
    submit(table) {
      if (waitingRows + table.rows > queueRows) {
        const message = `${waitingRows} rows are waiting for the model already; ${table.rows} more would be too many.`;
        return Promise.reject(new RefitError('REFIT_OVERLOADED', message, { waitingRows, queueRows }));
      }
      waitingRows += table.rows;
      return new Promise((resolve, reject) => {
        queue.push({ table, resolve, reject });
        plan();
      });
    },
  };
}
