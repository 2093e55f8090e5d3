/** What a run, or the workflow `materializeFeatures`, does to bring the online features to a date. */
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPromoteActivities } from '../../activities/promote.ts';
import type { Refit } from '../../core/compose/refit.ts';
import type { SpineSpec } from '../../core/spec/pipeline.ts';
import { mockActivity } from '../support/activity-context.ts';
import { iso } from './features.fixture.ts';
import { createOnlineBench, type OnlineBench, SPINE, THREE_BUSES, type Trip, VIEWS } from './online.fixture.ts';

let bench: OnlineBench;
beforeAll(async () => {
  bench = await createOnlineBench();
});
afterAll(() => bench.remove());

const TRIPS: Trip[] = [2, 9, 14].map((leaves, i) => ({ town: 'oslo', bus: i + 1, leaves, delay: 1 }));

/** A store of its own, and the activity on it. */
function opened() {
  const store = bench.openStore();
  const places = { state: path.join(bench.scratch, 'state') };
  const refit = { blobs: bench.blobs, objects: bench.blobs.objects, places, online: () => store } as unknown as Refit;
  const { materializeOnline } = createPromoteActivities(refit);
  const bring = async (hour: number, { trips = TRIPS, force, ...more }: Bring = {}) => {
    const spec = await bench.blobs.putJson({ name: 'p', spine: { ...SPINE, ...more }, features: VIEWS });
    const snapshots = await bench.publishTrips(trips, THREE_BUSES);
    const input = { spec, asOf: iso(hour), snapshots, ...(force ? { force } : {}) };
    const { output, cached } = await mockActivity().run(() => materializeOnline(input));
    return { entities: output.entities, cached };
  };
  return { store, bring };
}
type Bring = Partial<SpineSpec> & { trips?: Trip[]; force?: string };

test('features that were brought are found, with how many entities there are, until anything differs', async () => {
  const { bring } = opened();
  expect(await bring(8)).toEqual({ entities: 2, cached: false });
  expect(await bring(8)).toEqual({ entities: 2, cached: true });
  expect(await bring(8, { force: 'once' })).toEqual({ entities: 2, cached: false });
  // One that left longer ago can be asked for; the day is another; a trip came.
  expect(await bring(8, { online: '10h' })).toEqual({ entities: 3, cached: false });
  expect(await bring(8, { online: '10h' })).toEqual({ entities: 3, cached: true });
  expect(await bring(9, { online: '10h' })).toEqual({ entities: 3, cached: false });
  const trips: Trip[] = [...TRIPS, { town: 'rome', bus: 1, leaves: 15, delay: 1 }];
  expect(await bring(9, { online: '10h', trips })).toEqual({ entities: 4, cached: false });
  // Served is what is newer than that.
  expect(await bring(8, { online: '10h', trips })).toEqual({ entities: 4, cached: true });
});

test('what was published and not finished is no answer for another choice of entities', async () => {
  const { store, bring } = opened();
  const { put } = store;
  store.put = async (view, rows, strictly) => {
    if (view === 'materialized') throw new Error('The power is cut.');
    return put(view, rows, strictly);
  };
  await expect(bring(8)).rejects.toThrow('The power is cut.');
  store.put = put;
  expect(await bring(8, { online: '10h' })).toEqual({ entities: 3, cached: false });
  expect(await bring(8, { online: '10h' })).toEqual({ entities: 3, cached: true });
});

test('however often it is done, nothing is left in the store that is not served', async () => {
  const { store, bring } = opened();
  const viewsAfter = async (hour: number) => {
    await bring(hour);
    const views: Record<string, number> = {};
    for (const view of await store.views(''))
      views[view.replace(/\/.*/, '')] = (views[view.replace(/\/.*/, '')] ?? 0) + 1;
    return views;
  };
  for (const hour of [4, 5]) await viewsAfter(hour);
  const some = await viewsAfter(6);
  expect(Object.keys(some).sort()).toEqual(['layout', 'materialized', 'materializing', 'p']);
  for (const hour of [7, 8]) expect(await viewsAfter(hour)).toEqual(some);
});
