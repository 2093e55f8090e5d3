/** Inference in worker threads: ONNX Runtime blocks whoever calls it, and lives in no other part of the gateway. */
import { Piscina } from 'piscina';
import { RefitError } from '../core/spec/errors.ts';
import type { FeatureTable } from './feature-table.ts';
import type { Answer, ModelFile, Task } from './inference-worker.ts';

export interface InferencePool {
  readonly threads: number;
  /** Whether a thread is up: nothing was asked for yet, or not for long, where there is none. */
  active(): boolean;
  /**
   * Probabilities [rows]. @throws RefitError REFIT_STORE_CORRUPT, REFIT_MODEL_UNSUPPORTED; REFIT_OVERLOADED when it takes too
   * long; REFIT_INTERNAL when a thread cannot start, or dies
   */
  score(model: ModelFile, table: FeatureTable): Promise<Float32Array>;
  /** Opens a model ahead of its first row. @throws as `score` */
  open(model: ModelFile): Promise<void>;
  close(): Promise<void>;
}

/** An idle thread gives its memory back after this long. */
const IDLE_MS = 600_000;

/** Waiting and scoring together; a thread that takes longer is ended, and the next task starts another. */
const LIMIT_MS = 60_000;

export interface PoolOptions {
  threads: number;
  limitMs?: number;
  /** Module of the threads. */
  file?: URL;
}

/** Threads start when they are first needed. */
export function createInferencePool({ threads, limitMs = LIMIT_MS, file = ourThread() }: PoolOptions): InferencePool {
  const pool = new Piscina<Task, Answer>({
    filename: file.href,
    minThreads: 0,
    maxThreads: threads,
    idleTimeout: IDLE_MS,
    concurrentTasksPerWorker: 1,
  });
  const pending = new Set<AbortController>();
  let trouble = '';
  // A thread that dies outside a task is replaced; its tasks fail by themselves.
  pool.on('error', (error: Error) => {
    trouble = `: ${error.message}`;
    process.stderr.write(`refit gateway: an inference thread failed: ${error}\n`);
  });
  // Piscina leaves tasks in its queue when the last thread dies before it took one: nobody would ever take them.
  pool.on('workerDestroy', () =>
    setImmediate(() => {
      if (pool.threads.length > 0) return;
      const error = new RefitError('REFIT_INTERNAL', `No inference thread could be started${trouble}.`);
      for (const task of pending) task.abort(error);
    }),
  );

  async function run(task: Task): Promise<Float32Array> {
    const answer = await answerOf(task);
    if ('scores' in answer) return answer.scores;
    const { code, message, details } = answer.failure;
    throw new RefitError(code, message, details);
  }

  async function answerOf(task: Task): Promise<Answer> {
    const control = new AbortController();
    pending.add(control);
    const late = setTimeout(() => {
      control.abort(new RefitError('REFIT_OVERLOADED', `The model did not answer within ${limitMs / 1000} s.`));
    }, limitMs);
    try {
      const answer = await pool.run(task, { signal: control.signal });
      trouble = '';
      return answer;
    } catch (error) {
      if (control.signal.aborted) throw control.signal.reason;
      const reason = error instanceof Error ? error.message : String(error);
      throw new RefitError('REFIT_INTERNAL', `Inference failed: ${reason}`, {}, { cause: error });
    } finally {
      clearTimeout(late);
      pending.delete(control);
    }
  }

  return {
    threads,
    active: () => pool.threads.length > 0,
    score: (model, table) => run({ model, table }),
    open: async (model) => void (await run({ model })),
    close: () => pool.destroy(),
  };
}

function ourThread(): URL {
  return new URL(
    import.meta.url.endsWith('.ts') ? './inference-thread.mjs' : './inference-worker.mjs',
    import.meta.url,
  );
}
