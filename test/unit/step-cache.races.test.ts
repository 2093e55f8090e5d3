import { readdir } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ada, type CacheBench, createCacheBench, live } from './step-cache.fixture.ts';

describe('step cache', () => {
  let bench: CacheBench;
  beforeEach(async () => {
    bench = await createCacheBench();
  });
  afterEach(() => bench.remove());

  describe('races', () => {
    it('runs a step once when one process asks for it twice at the same time', async () => {
      const results = await Promise.all([1, 2, 3].map(() => bench.cache.run(bench.greet(), ada, { signal: live })));
      expect(bench.runs).toBe(1);
      expect(results.map(({ cached }) => cached)).toEqual([false, true, true]);
    });

    it('lets two processes that worked at the same time agree on the first result', async () => {
      const barrier = withResolvers();
      // Two caches are two processes to each other; the results differ, as those of a step with a flaw would.
      const step = bench.greetWith(async () => {
        const mine = bench.runs;
        if (bench.runs === 2) barrier.resolve();
        await barrier.promise;
        return { letters: mine };
      });
      const results = await Promise.all(
        [bench.cache, bench.newCache()].map((one) => one.run(step, ada, { signal: live })),
      );
      expect(bench.runs).toBe(2);
      expect(results.map(({ cached }) => cached)).toEqual([false, false]);
      expect(results[0]?.output).toEqual(results[1]?.output);
    });

    it('tries again after a failure, and does not hold up who waited', async () => {
      const step = bench.greet(() => {
        if (bench.runs === 1) throw new Error('a passing failure');
      });
      const [first, second] = await Promise.allSettled([1, 2].map(() => bench.cache.run(step, ada, { signal: live })));
      expect(first?.status).toBe('rejected');
      expect(second).toMatchObject({ status: 'fulfilled', value: { cached: false } });
    });
  });

  describe('cancel', () => {
    it('before the work: nothing runs', async () => {
      await expect(bench.cache.run(bench.greet(), ada, { signal: AbortSignal.abort('enough') })).rejects.toBe('enough');
      expect(bench.runs).toBe(0);
    });

    it('during the work: nothing is published, even when the step takes no notice', async () => {
      const abort = new AbortController();
      const step = bench.greet(() => abort.abort('enough'));
      await expect(bench.cache.run(step, ada, { signal: abort.signal })).rejects.toBe('enough');
      expect(await bench.recordKeys()).toEqual([]);
      expect(await readdir(bench.scratchRoot)).toEqual([]);
    });

    it('during the work: is the reason, whatever the step fails with', async () => {
      const abort = new AbortController();
      const step = bench.greet(() => {
        abort.abort('enough');
        throw new Error('the child process was killed');
      });
      await expect(bench.cache.run(step, ada, { signal: abort.signal })).rejects.toBe('enough');
    });

    it('of one that waits: leaves at once, and the one that works finishes', async () => {
      const gate = withResolvers();
      const abort = new AbortController();
      const working = bench.cache.run(
        bench.greet(() => gate.promise),
        ada,
        { signal: live },
      );
      const waiting = bench.cache.run(bench.greet(), ada, { signal: abort.signal });
      const third = bench.cache.run(bench.greet(), ada, { signal: live });
      abort.abort('enough');
      await expect(waiting).rejects.toBe('enough');
      gate.resolve();
      expect((await working).cached).toBe(false);
      expect((await third).cached).toBe(true);
      expect(bench.runs).toBe(1);
    });
  });

  describe('force', () => {
    it('does the work again, once a token, and keeps an equal record', async () => {
      const { key } = await bench.cache.run(bench.greet(), ada, { signal: live });
      const { createdAt } = await bench.recordOf(key);
      const forced = await bench.cache.run(bench.greet(), ada, { signal: live, force: 'run-1' });
      expect([bench.runs, forced.cached]).toEqual([2, false]);
      // The attempt crashed after publishing and is tried again.
      await bench.newCache().run(bench.greet(), ada, { signal: live, force: 'run-1' });
      expect(bench.runs).toBe(2);
      expect(await bench.recordOf(key)).toMatchObject({ createdAt, forcedBy: 'run-1' });
      expect((await bench.cache.run(bench.greet(), ada, { signal: live })).cached).toBe(true);
      await bench.cache.run(bench.greet(), ada, { signal: live, force: 'run-2' });
      expect(bench.runs).toBe(3);
    });

    it('replaces a result that differs', async () => {
      const step = bench.greetWith(async () => ({ letters: bench.runs }));
      await bench.cache.run(step, ada, { signal: live });
      expect((await bench.cache.run(step, ada, { signal: live, force: 'run-1' })).output.letters).toBe(2);
      expect((await bench.cache.run(step, ada, { signal: live })).output.letters).toBe(2);
    });

    it('works where nothing was there before', async () => {
      await bench.cache.run(bench.greet(), ada, { signal: live, force: 'run-1' });
      await bench.cache.run(bench.greet(), ada, { signal: live, force: 'run-1' });
      expect(bench.runs).toBe(1);
    });
  });
});

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
