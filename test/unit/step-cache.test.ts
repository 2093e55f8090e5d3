import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BlobRef } from '../../core/spec/artifacts.ts';
import { createBlobStore } from '../../core/store/blobs.ts';
import { createCheckpoints } from '../../core/store/checkpoints.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';
import type { BlobStore, ObjectStore } from '../../core/store/ports.ts';
import { ownerToken } from '../../core/store/process-identity.ts';
import { defineStep, type Step, type StepContext } from '../../core/store/step.ts';
import { createStepCache, type StepCache } from '../../core/store/step-cache.ts';

interface Greeting {
  text: BlobRef;
  letters: number;
}
type Work = (input: { name: string }, context: StepContext) => Promise<void> | void;

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const live = new AbortController().signal;

describe('step cache', () => {
  let root: string;
  let objects: ObjectStore;
  let blobs: BlobStore;
  let cache: StepCache;
  let runs: number;
  const versions = { duckdb: '1', lightgbm: '4', onnxruntime: '1' };
  const newCache = (over: Partial<Record<keyof typeof versions, string>> = {}): StepCache =>
    createStepCache({ blobs, versions: { ...versions, ...over }, scratchRoot: join(root, 'scratch') });

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'refit-steps-'));
    objects = createFolderStore(join(root, 'store'));
    blobs = createBlobStore(objects);
    cache = newCache();
    runs = 0;
  });
  afterEach(async () => {
    await rm(root, { recursive: true });
  });

  /** A step that counts how often it runs; `work` happens in the middle. */
  function greet(
    work: Work = () => undefined,
    over: Partial<Step<unknown, unknown>> = {},
  ): Step<{ name: string }, Greeting> {
    return defineStep<{ name: string }, Greeting>({
      ...{ name: 'greet', version: 1, natives: ['duckdb'], source: import.meta.url },
      ...over,
      async run(input, context) {
        runs += 1;
        await work(input, context);
        const text = await context.blobs.putBytes(bytes(`Hello, ${input.name}`));
        return { text, letters: input.name.length };
      },
    });
  }
  const ada = { name: 'Ada' };
  const recordKeys = async (): Promise<string[]> => {
    const keys: string[] = [];
    for await (const key of objects.list('steps/')) keys.push(key);
    return keys;
  };
  const recordOf = async (key: string) =>
    JSON.parse(new TextDecoder().decode((await objects.get(`steps/greet/${key}.json`))?.body)) as Record<
      string,
      unknown
    >;

  it('does the work once and finds it from then on, in another process as well', async () => {
    const first = await cache.run(greet(), ada, { signal: live });
    const second = await newCache().run(greet(), ada, { signal: live });
    expect(runs).toBe(1);
    expect([first.cached, second.cached]).toEqual([false, true]);
    expect(second.output).toEqual(first.output);
    expect((await cache.find(greet(), ada))?.output).toEqual(first.output);
    expect(await recordKeys()).toEqual([`steps/greet/${cache.key(greet(), ada)}.json`]);
    expect(await recordOf(first.key)).toMatchObject({
      step: 'greet',
      version: 1,
      natives: { duckdb: '1' },
      input: ada,
      blobs: [first.output.text],
    });
  });

  it('does the work again for another input, step version or version of a library that shapes it, and only for those', async () => {
    const key = cache.key(greet(), ada);
    expect(cache.key(greet(), { name: 'Bob' })).not.toBe(key);
    expect(cache.key(greet(undefined, { version: 2 }), ada)).not.toBe(key);
    expect(cache.key(greet(undefined, { name: 'salute' }), ada)).not.toBe(key);
    expect(newCache({ duckdb: '2' }).key(greet(), ada)).not.toBe(key);
    expect(newCache({ lightgbm: '5' }).key(greet(), ada)).toBe(key);
  });

  it('hands out the first time exactly what it will find later', async () => {
    const step = defineStep<object, { a?: number; b: number }>({
      ...{ name: 'holes', version: 1, natives: [], source: import.meta.url },
      run: async () => ({ a: undefined, b: -0 }) as { b: number },
    });
    const first = await cache.run(step, {}, { signal: live });
    expect(Object.keys(first.output)).toEqual(['b']);
    expect((await cache.run(step, {}, { signal: live })).output).toStrictEqual(first.output);
  });

  describe('damage', () => {
    const harm: Record<string, (text: BlobRef, record: string) => Promise<unknown>> = {
      'a deleted blob': (text) => objects.delete(text.uri),
      'an altered blob of the same length': (text) => objects.put(text.uri, bytes('Hello, Eve')),
      'a truncated blob': (text) => objects.put(text.uri, bytes('Hello')),
      'a record that is no JSON': (_, record) => objects.put(record, bytes('{"step":')),
      'an empty record': (_, record) => objects.put(record, bytes('')),
      'a record without its fields': (_, record) => objects.put(record, bytes('{"step":"greet"}')),
      'a record with another result': async (_, record) => {
        const text = new TextDecoder().decode((await objects.get(record))?.body);
        await objects.put(record, bytes(text.replace('"letters":3', '"letters":4')));
      },
      'a record of another key': async (_, record) => {
        const { key } = await cache.run(greet(), { name: 'Eve' }, { signal: live });
        await objects.put(record, (await objects.get(`steps/greet/${key}.json`))?.body ?? bytes(''));
        runs -= 1;
      },
    };
    it.each(Object.keys(harm))('%s is noticed, and the work is done again', async (what) => {
      const first = await cache.run(greet(), ada, { signal: live });
      await harm[what]?.(first.output.text, `steps/greet/${first.key}.json`);
      expect(await cache.find(greet(), ada)).toBeUndefined();
      const again = await cache.run(greet(), ada, { signal: live });
      expect(again).toMatchObject({ cached: false, output: { letters: 3 } });
      expect(runs).toBe(2);
      expect(new TextDecoder().decode(await blobs.bytes(again.output.text))).toBe('Hello, Ada');
      expect((await newCache().run(greet(), ada, { signal: live })).cached).toBe(true);
      expect(runs).toBe(2);
    });
  });

  describe('races', () => {
    it('runs a step once when one process asks for it twice at the same time', async () => {
      const results = await Promise.all([1, 2, 3].map(() => cache.run(greet(), ada, { signal: live })));
      expect(runs).toBe(1);
      expect(results.map(({ cached }) => cached)).toEqual([false, true, true]);
    });

    it('lets two processes that worked at the same time agree on the first result', async () => {
      const barrier = withResolvers();
      // Two caches are two processes to each other; the results differ, as those of a step with a flaw would.
      const step = greetWith(async () => {
        const mine = runs;
        if (runs === 2) barrier.resolve();
        await barrier.promise;
        return { letters: mine };
      });
      const results = await Promise.all([cache, newCache()].map((one) => one.run(step, ada, { signal: live })));
      expect(runs).toBe(2);
      expect(results.map(({ cached }) => cached)).toEqual([false, false]);
      expect(results[0]?.output).toEqual(results[1]?.output);
    });

    it('tries again after a failure, and does not hold up who waited', async () => {
      const step = greet(() => {
        if (runs === 1) throw new Error('a passing failure');
      });
      const [first, second] = await Promise.allSettled([1, 2].map(() => cache.run(step, ada, { signal: live })));
      expect(first?.status).toBe('rejected');
      expect(second).toMatchObject({ status: 'fulfilled', value: { cached: false } });
    });
  });

  describe('cancel', () => {
    it('before the work: nothing runs', async () => {
      await expect(cache.run(greet(), ada, { signal: AbortSignal.abort('enough') })).rejects.toBe('enough');
      expect(runs).toBe(0);
    });

    it('during the work: nothing is published, even when the step takes no notice', async () => {
      const abort = new AbortController();
      const step = greet(() => abort.abort('enough'));
      await expect(cache.run(step, ada, { signal: abort.signal })).rejects.toBe('enough');
      expect(await recordKeys()).toEqual([]);
      expect(await readdir(join(root, 'scratch'))).toEqual([]);
    });

    it('during the work: is the reason, whatever the step fails with', async () => {
      const abort = new AbortController();
      const step = greet(() => {
        abort.abort('enough');
        throw new Error('the child process was killed');
      });
      await expect(cache.run(step, ada, { signal: abort.signal })).rejects.toBe('enough');
    });

    it('of one that waits: leaves at once, and the one that works finishes', async () => {
      const gate = withResolvers();
      const abort = new AbortController();
      const working = cache.run(
        greet(() => gate.promise),
        ada,
        { signal: live },
      );
      const waiting = cache.run(greet(), ada, { signal: abort.signal });
      const third = cache.run(greet(), ada, { signal: live });
      abort.abort('enough');
      await expect(waiting).rejects.toBe('enough');
      gate.resolve();
      expect((await working).cached).toBe(false);
      expect((await third).cached).toBe(true);
      expect(runs).toBe(1);
    });
  });

  describe('force', () => {
    it('does the work again, once a token, and keeps an equal record', async () => {
      const { key } = await cache.run(greet(), ada, { signal: live });
      const { createdAt } = await recordOf(key);
      const forced = await cache.run(greet(), ada, { signal: live, force: 'run-1' });
      expect([runs, forced.cached]).toEqual([2, false]);
      // The attempt crashed after publishing and is tried again.
      await newCache().run(greet(), ada, { signal: live, force: 'run-1' });
      expect(runs).toBe(2);
      expect(await recordOf(key)).toMatchObject({ createdAt, forcedBy: 'run-1' });
      expect((await cache.run(greet(), ada, { signal: live })).cached).toBe(true);
      await cache.run(greet(), ada, { signal: live, force: 'run-2' });
      expect(runs).toBe(3);
    });

    it('replaces a result that differs', async () => {
      const step = greetWith(async () => ({ letters: runs }));
      await cache.run(step, ada, { signal: live });
      expect((await cache.run(step, ada, { signal: live, force: 'run-1' })).output.letters).toBe(2);
      expect((await cache.run(step, ada, { signal: live })).output.letters).toBe(2);
    });

    it('works where nothing was there before', async () => {
      await cache.run(greet(), ada, { signal: live, force: 'run-1' });
      await cache.run(greet(), ada, { signal: live, force: 'run-1' });
      expect(runs).toBe(1);
    });
  });

  describe('scratch and checkpoints', () => {
    it('gives an empty folder of its own and removes it, also after a failure', async () => {
      const seen: string[] = [];
      const step = greet(async (_, { scratch }) => {
        seen.push(scratch);
        expect(await readdir(scratch)).toEqual([]);
        await writeFile(join(scratch, 'rubbish'), 'x');
        if (runs === 1) throw new Error('fails the first time');
      });
      await expect(cache.run(step, ada, { signal: live })).rejects.toThrow('fails the first time');
      await cache.run(step, ada, { signal: live });
      expect(new Set(seen).size).toBe(2);
      expect(await readdir(join(root, 'scratch'))).toEqual([]);
    });

    it('removes the scratch of dead processes only', async () => {
      const child = spawn(process.execPath, ['-e', '']);
      await once(child, 'exit');
      const mine = ownerToken();
      const dead = mine.replace(`.${process.pid}.`, `.${child.pid}.`);
      for (const name of [mine, dead, 'not-ours'])
        await mkdir(join(root, 'scratch', name, 'inner'), { recursive: true });
      newCache();
      expect((await readdir(join(root, 'scratch'))).sort()).toEqual([mine, 'not-ours'].sort());
    });

    it('clears the checkpoints once the result is there', async () => {
      const step = greet(async (_, context) => {
        const checkpoints = createCheckpoints(context.blobs.objects, 'greet', context.key);
        await checkpoints.publish(0, bytes('half way'));
        if (runs === 1) throw new Error('killed');
        expect((await checkpoints.latest())?.index).toBe(0);
      });
      await expect(cache.run(step, ada, { signal: live })).rejects.toThrow('killed');
      expect(await recordKeys()).toHaveLength(1);
      const { key } = await cache.run(step, ada, { signal: live });
      expect(await recordKeys()).toEqual([`steps/greet/${key}.json`]);
    });

    it('calls a full disk in a step by its name', async () => {
      const step = greet(() => {
        throw Object.assign(new Error('write failed'), { code: 'ENOSPC' });
      });
      await expect(cache.run(step, ada, { signal: live })).rejects.toMatchObject({ code: 'REFIT_STORE_FULL' });
    });
  });

  function greetWith(output: () => Promise<{ letters: number }>): Step<{ name: string }, { letters: number }> {
    return defineStep({
      ...{ name: 'greet', version: 1, natives: [], source: import.meta.url },
      async run() {
        runs += 1;
        return output();
      },
    });
  }
});

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
