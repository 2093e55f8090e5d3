import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { heartbeating, runStep } from '../../activities/run-step.ts';
import type { Places } from '../../core/compose/refit.ts';
import { createBlobStore } from '../../core/store/blobs.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';
import { isAbandoned } from '../../core/store/process-identity.ts';
import { defineStep, type StepContext } from '../../core/store/step.ts';
import { createStepCache, type StepCache } from '../../core/store/step-cache.ts';
import { mockActivity } from '../support/activity-context.ts';

let root: string;
let cache: StepCache;
let objects: ReturnType<typeof createFolderStore>;
let runs: number;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'refit-activities-'));
  objects = createFolderStore(join(root, 'store'));
  const versions = { duckdb: '1', lightgbm: '1', onnxruntime: '1' };
  cache = createStepCache({ blobs: createBlobStore(objects), versions, scratchRoot: join(root, 'scratch') });
  runs = 0;
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(root, { recursive: true });
});

const counting = (work: (context: StepContext) => Promise<void> | void = () => undefined) =>
  defineStep<{ n: number }, { doubled: number }>({
    ...{ name: 'double', version: 1, natives: [], source: import.meta.url },
    async run({ n }, context) {
      runs += 1;
      await work(context);
      return { doubled: 2 * n };
    },
  });

async function records(): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of objects.list('steps/')) keys.push(key);
  return keys;
}

/** Lets pending promises and file system calls go on. */
const turns = (n = 5) => new Promise((resolve) => setTimeout(resolve, n));

describe('a step as an activity', () => {
  it('that is tried twice works and writes once, and says that the second answer was there', async () => {
    const first = await mockActivity().run(() => runStep(cache, counting(), { n: 4 }));
    const second = await mockActivity({ attempt: 2 }).run(() => runStep(cache, counting(), { n: 4 }));
    expect(runs).toBe(1);
    expect(await records()).toHaveLength(1);
    expect(first).toMatchObject({ output: { doubled: 8 }, cached: false });
    expect(second).toMatchObject({ output: { doubled: 8 }, cached: true });
  });

  it('is done anew for a run that demands it, once', async () => {
    const run = (force?: string) => mockActivity().run(() => runStep(cache, counting(), { n: 1 }, { force }));
    await run();
    await run('run-7');
    await run('run-7');
    expect(runs).toBe(2);
  });

  it('heartbeats at once, with every progress, and each second in between', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const activity = mockActivity();
    const step = counting(({ progress }) => {
      progress({ rows: 10 });
      vi.advanceTimersByTime(2_500);
    });
    await activity.run(() => runStep(cache, step, { n: 1 }));
    expect(activity.heartbeats).toEqual([
      { step: 'double' },
      { step: 'double', rows: 10 },
      { step: 'double', rows: 10 },
      { step: 'double', rows: 10 },
    ]);
    vi.advanceTimersByTime(5_000);
    expect(activity.heartbeats).toHaveLength(4);
  });

  it('that is cancelled stops between units of work, publishes nothing, and leaves no scratch', async () => {
    const activity = mockActivity();
    let units = 0;
    const step = counting(async ({ signal }) => {
      for (; units < 100; units++) {
        signal.throwIfAborted();
        if (units === 3) activity.cancel();
        await turns(0);
      }
    });
    await expect(activity.run(() => runStep(cache, step, { n: 1 }))).rejects.toThrow('CANCELLED');
    expect(units).toBe(4);
    expect(await records()).toEqual([]);
    expect(await readdir(join(root, 'scratch'))).toEqual([]);
    const beats = activity.heartbeats.length;
    await turns(20);
    expect(activity.heartbeats).toHaveLength(beats);
  });

  it('tells its workflow of rounds, at most one report a second and the last one', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const activity = mockActivity();
    const step = counting(async ({ progress }) => {
      progress({ rows: 5 });
      for (let round = 1; round <= 20; round++) {
        progress({ round, rounds: 20 });
        await turns(1);
      }
    });
    await activity.run(() => runStep(cache, step, { n: 1 }, { tellRounds: true }));
    expect(activity.signals).toEqual([
      { round: 1, rounds: 20 },
      { round: 20, rounds: 20 },
    ]);
  });

  it('tells ever less often, so that a day of training fits into a history', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const activity = mockActivity();
    const rounds = 3_000;
    const step = counting(async ({ progress }) => {
      for (let round = 1; round <= rounds; round++) {
        vi.setSystemTime(Date.now() + 28_800);
        progress({ round, rounds });
        await Promise.resolve();
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
    await activity.run(() => runStep(cache, step, { n: 1 }, { tellRounds: true }));
    expect(activity.signals.length).toBeGreaterThan(200);
    expect(activity.signals.length).toBeLessThan(1_000);
    expect(activity.signals.at(-1)).toEqual({ round: rounds, rounds });
  });

  it('tells nobody of rounds unless it is asked to', async () => {
    const silent = mockActivity();
    const step = counting(({ progress }) => progress({ round: 1, rounds: 1 }));
    await silent.run(() => runStep(cache, step, { n: 2 }));
    expect(silent.signals).toEqual([]);
  });
});

describe('work without a step key', () => {
  const places = () => ({ state: join(root, 'state') }) as Places;

  it('is timed, heartbeats, and has a scratch folder that is gone afterwards, also when it fails', async () => {
    const activity = mockActivity();
    const work = (fails: boolean) => () =>
      heartbeating<number>('materialize', async (_, progress, scratch) => {
        const folder = await scratch(places());
        expect(await readdir(folder)).toEqual([]);
        // Named by its process, so that what is left of a killed one is known for that.
        expect(isAbandoned(basename(folder), 0)).toBe(false);
        expect(basename(folder)).toContain(`.${process.pid}.`);
        progress({ rows: 3 });
        if (fails) throw new Error('no luck');
        return { output: 3, cached: false };
      });
    expect(await activity.run(work(false))).toEqual({ output: 3, cached: false, seconds: expect.any(Number) });
    await expect(activity.run(work(true))).rejects.toThrow('no luck');
    expect(activity.heartbeats).toContainEqual({ step: 'materialize', rows: 3 });
    expect(await readdir(join(root, 'state', 'scratch'))).toEqual([]);
  });
});
