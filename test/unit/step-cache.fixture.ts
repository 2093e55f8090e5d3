/** A step cache over a store in a temporary folder, and a step that counts how often it runs. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BlobRef } from '../../core/spec/artifacts.ts';
import { createBlobStore } from '../../core/store/blobs.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';
import { defineStep, type Step, type StepContext } from '../../core/store/step.ts';
import { createStepCache, type StepCache } from '../../core/store/step-cache.ts';

export interface Greeting {
  text: BlobRef;
  letters: number;
}
type Work = (input: { name: string }, context: StepContext) => Promise<void> | void;

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const live = new AbortController().signal;
export const ada = { name: 'Ada' };

const VERSIONS = { duckdb: '1', lightgbm: '4', onnxruntime: '1' };

export type CacheBench = Awaited<ReturnType<typeof createCacheBench>>;

export async function createCacheBench() {
  const root = await mkdtemp(join(tmpdir(), 'refit-steps-'));
  const objects = createFolderStore(join(root, 'store'));
  const blobs = createBlobStore(objects);
  const scratchRoot = join(root, 'scratch');
  const newCache = (over: Partial<typeof VERSIONS> = {}): StepCache =>
    createStepCache({ blobs, versions: { ...VERSIONS, ...over }, scratchRoot });
  const bench = {
    objects,
    blobs,
    scratchRoot,
    cache: newCache(),
    /** How often the step below ran. */
    runs: 0,
    newCache,
    /** A step that counts how often it runs; `work` happens in the middle. */
    greet: (
      work: Work = () => undefined,
      over: Partial<Step<unknown, unknown>> = {},
    ): Step<{ name: string }, Greeting> =>
      defineStep<{ name: string }, Greeting>({
        ...{ name: 'greet', version: 1, natives: ['duckdb'], source: import.meta.url },
        ...over,
        async run(input, context) {
          bench.runs += 1;
          await work(input, context);
          const text = await context.blobs.putBytes(bytes(`Hello, ${input.name}`));
          return { text, letters: input.name.length };
        },
      }),
    /** As `greet`, with an output of its own. */
    greetWith: (output: () => Promise<{ letters: number }>): Step<{ name: string }, { letters: number }> =>
      defineStep({
        ...{ name: 'greet', version: 1, natives: [], source: import.meta.url },
        async run() {
          bench.runs += 1;
          return output();
        },
      }),
    async recordKeys(): Promise<string[]> {
      const keys: string[] = [];
      for await (const key of objects.list('steps/')) keys.push(key);
      return keys;
    },
    recordOf: async (key: string) =>
      JSON.parse(new TextDecoder().decode((await objects.get(`steps/greet/${key}.json`))?.body)) as Record<
        string,
        unknown
      >,
    remove: () => rm(root, { recursive: true }),
  };
  return bench;
}
