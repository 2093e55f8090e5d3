/** Inference in worker threads: ONNX Runtime blocks whoever calls it, and lives in no other part of the gateway. */
import { Piscina } from 'piscina';
import { RefitError } from '../core/spec/errors.ts';
import type { FeatureTable } from './feature-table.ts';
import type { Answer, ModelFile, Task } from './inference-worker.ts';

export interface InferencePool {
  readonly threads: number;
  /** Whether a thread is up: nothing was asked for yet, or not for long, where there is none. */
  active(): boolean;
  /** Probabilities [rows]. @throws RefitError REFIT_STORE_CORRUPT, REFIT_MODEL_UNSUPPORTED */
  score(model: ModelFile, table: FeatureTable): Promise<Float32Array>;
  /** Opens a model ahead of its first row. @throws as `score` */
  open(model: ModelFile): Promise<void>;
  close(): Promise<void>;
}

/** An idle thread gives its memory back after this long. */
const IDLE_MS = 600_000;

/** Threads start when they are first needed. */
export function createInferencePool({ threads }: { threads: number }): InferencePool {
  const file = import.meta.url.endsWith('.ts') ? './inference-thread.mjs' : './inference-worker.mjs';
  const pool = new Piscina<Task, Answer>({
    filename: new URL(file, import.meta.url).href,
    minThreads: 0,
    maxThreads: threads,
    idleTimeout: IDLE_MS,
    concurrentTasksPerWorker: 1,
  });
  // A thread that dies outside a task is replaced; its tasks fail by themselves.
  pool.on('error', (error: Error) => process.stderr.write(`refit gateway: an inference thread failed: ${error}\n`));

  async function run(task: Task): Promise<Float32Array> {
    const answer = await pool.run(task);
    if ('scores' in answer) return answer.scores;
    const { code, message, details } = answer.failure;
    throw new RefitError(code, message, details);
  }

  return {
    threads,
    active: () => pool.threads.length > 0,
    score: (model, table) => run({ model, table }),
    open: async (model) => void (await run({ model })),
    close: () => pool.destroy(),
  };
}
