import type { BlobStore } from './ports.ts';

/** What a running step is given. */
export interface StepContext {
  blobs: BlobStore;
  /** Empty folder for this attempt, removed afterwards. */
  scratch: string;
  /** Aborted on cancel: obey it between units of work and pass it to child processes. */
  signal: AbortSignal;
  /** Tell whoever watches; details are small JSON. */
  progress(details: Record<string, unknown>): void;
  /** The step's key: name checkpoints under `steps/<name>/<key>.checkpoints/`. */
  key: string;
}

/** Native libraries whose version shapes results; their versions enter the step key. */
export type Native = 'duckdb' | 'lightgbm' | 'onnxruntime';

/**
 * A unit of work with a cached result. `Input` is everything the result depends on, as plain JSON with BlobRefs; nothing
 * else may be read. The result is plain JSON; every BlobRef in it is verified when it is found again.
 */
export interface Step<Input, Output> {
  /** Lower case with dashes: a folder under `steps/`. */
  readonly name: string;
  /** Raise when the same input gives another result. Held by a committed fingerprint of the source. */
  readonly version: number;
  readonly natives: readonly Native[];
  /** Source file, for the fingerprint: `import.meta.url`. */
  readonly source: string;
  run(input: Input, context: StepContext): Promise<Output>;
}

export function defineStep<Input, Output>(step: Step<Input, Output>): Step<Input, Output> {
  return step;
}
