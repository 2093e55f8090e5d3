import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Champion } from '../../core/registry/schemas.ts';
import { RefitError } from '../../core/spec/errors.ts';
import { sha256 } from '../../core/store/digest.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';
import type { ObjectStore } from '../../core/store/ports.ts';
import { createRouter, type Router } from '../../gateway/router.ts';
import type { ModelLoader, ServedModel } from '../../gateway/served-model.ts';

let folder: string;
let objects: ObjectStore;
let router: Router;
let loads: string[];
let damaged: Set<string>;
let hold: Promise<void> | undefined;

/** Loads anything that is not said to be damaged, when it is let. */
const loader: ModelLoader = {
  async load(model, { version, sha256: digest }) {
    loads.push(`${model} ${version}`);
    await hold;
    if (damaged.has(`${model} ${version}`))
      throw new RefitError('REFIT_STORE_CORRUPT', `${model} ${version} is damaged.`);
    return { name: model, version, manifest: { sha256: digest } } as ServedModel;
  },
};

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'refit-router-'));
  objects = createFolderStore(folder);
  loads = [];
  damaged = new Set();
  hold = undefined;
});
afterEach(async () => {
  await router.stop();
  await rm(folder, { recursive: true });
});

const championOf = (version: number): Champion => ({
  version,
  ...{ sha256: sha256(`model ${version}`), asOf: '2014-01-01T00:00:00Z', seenUntil: '2014-01-01T00:00:00Z', key: 'k' },
});
async function promote(model: string, version: number): Promise<void> {
  const audit = { sequence: version, hash: sha256(`entry ${version}`) };
  const record = { model, champion: championOf(version), audit, updatedAt: '2014-01-01T00:00:00Z' };
  await objects.put(`routing/${model}.json`, Buffer.from(JSON.stringify(record)));
}
/** A router that looks only when told. */
function start(events: Parameters<typeof createRouter>[1] = {}): Router {
  router = createRouter({ objects, loader, pollMs: 3_600_000 }, events);
  return router;
}
const serving = async (model: string) => (await router.pick(model)).version;

describe('the router', () => {
  test('serves the champion, and the next one when routing moves', async () => {
    await promote('flights', 1);
    start();
    expect(await serving('flights')).toBe(1);
    await promote('flights', 2);
    expect(await serving('flights')).toBe(1);
    await router.refresh();
    expect(await serving('flights')).toBe(2);
    await router.refresh();
    expect(loads).toEqual(['flights 1', 'flights 2']);
  });

  test('looks again by itself', async () => {
    router = createRouter({ objects, loader, pollMs: 10 });
    await promote('flights', 1);
    await vi.waitFor(() => expect(router.models()).toEqual(['flights']));
    await promote('flights', 2);
    await vi.waitFor(async () => expect(await serving('flights')).toBe(2));
  });

  test('keeps the old champion until the new one is loaded', async () => {
    await promote('flights', 1);
    start();
    await router.refresh();
    let release: () => void = () => undefined;
    hold = new Promise((resolve) => {
      release = resolve;
    });
    await promote('flights', 2);
    const looked = router.refresh();
    await vi.waitFor(() => expect(loads).toContain('flights 2'));
    expect(await serving('flights')).toBe(1);
    release();
    await looked;
    expect(await serving('flights')).toBe(2);
  });

  test('knows a model that was promoted a moment ago when it is asked for', async () => {
    start();
    await router.refresh();
    await promote('flights', 1);
    expect(await Promise.all([serving('flights'), serving('flights')])).toEqual([1, 1]);
    expect(loads).toEqual(['flights 1']);
  });

  test('leaves what serves alone when the next champion is damaged, says so once, and tries again', async () => {
    await promote('flights', 1);
    await promote('churn', 1);
    const problems: string[] = [];
    start({ problem: (model, error) => problems.push(`${model}: ${(error as Error).message}`) });
    await router.refresh();
    damaged.add('flights 2');
    await promote('flights', 2);
    await promote('churn', 2);
    await router.refresh();
    await router.refresh();
    expect([await serving('flights'), await serving('churn')]).toEqual([1, 2]);
    expect(problems).toEqual(['flights: flights 2 is damaged.']);
    damaged.clear();
    const later = Date.now() + 60_000;
    vi.spyOn(Date, 'now').mockReturnValue(later);
    await router.refresh();
    vi.restoreAllMocks();
    expect(await serving('flights')).toBe(2);
  });

  test('leaves what serves alone when routing itself is damaged or gone', async () => {
    await promote('flights', 1);
    start();
    await router.refresh();
    await objects.put('routing/flights.json', Buffer.from('{ torn'));
    await router.refresh();
    expect(await serving('flights')).toBe(1);
    await objects.delete('routing/flights.json');
    await router.refresh();
    expect(await serving('flights')).toBe(1);
    await promote('flights', 2);
    await router.refresh();
    expect(await serving('flights')).toBe(2);
  });

  test('says why a model that never served cannot be asked', async () => {
    damaged.add('flights 1');
    await promote('flights', 1);
    start();
    await expect(router.pick('flights')).rejects.toMatchObject({ code: 'REFIT_STORE_CORRUPT' });
    await expect(router.pick('flihts')).rejects.toThrow('"flihts" was promoted (did you mean "flights"?)');
    await expect(router.pick('../secret')).rejects.toMatchObject({ code: 'REFIT_MODEL_UNKNOWN' });
  });

  test('remembers no made-up names while the store fails, and answers rightly when it is back', async () => {
    const healthy = objects;
    let broken = true;
    const failing = async () => {
      if (broken) throw new Error('EIO');
    };
    objects = {
      ...healthy,
      get: async (...args) => {
        await failing();
        return healthy.get(...args);
      },
    };
    const problems: string[] = [];
    start({ problem: (model) => problems.push(model) });
    await router.refresh();
    await expect(router.pick('made-up-1')).rejects.toThrow('EIO');
    await expect(router.pick('made-up-2')).rejects.toThrow('EIO');
    expect([router.models(), problems]).toEqual([[], []]);
    broken = false;
    await expect(router.pick('made-up-1')).rejects.toMatchObject({ code: 'REFIT_MODEL_UNKNOWN' });
  });

  test('forgets a model that never served when its record is gone', async () => {
    await objects.put('routing/flights.json', Buffer.from('{ torn'));
    start();
    await router.refresh();
    await expect(router.pick('flights')).rejects.toMatchObject({ code: 'REFIT_REGISTRY_DAMAGED' });
    await objects.delete('routing/flights.json');
    await expect(router.pick('flights')).rejects.toMatchObject({ code: 'REFIT_MODEL_UNKNOWN' });
    expect(router.models()).toEqual([]);
  });

  test('serves no version but the champion', async () => {
    await promote('flights', 2);
    start();
    expect((await router.pick('flights', '2')).version).toBe(2);
    await expect(router.pick('flights', '1')).rejects.toThrow(
      'Version 1 of flights is not served; the champion is version 2.',
    );
  });
});
