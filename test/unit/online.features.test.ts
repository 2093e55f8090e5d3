import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { materializeOnline } from '../../core/features/materialize.ts';
import { readFeatures } from '../../core/features/read-features.ts';
import { upcomingEntities } from '../../core/features/upcoming-entities.ts';
import type { FeatureView } from '../../core/spec/pipeline.ts';
import { iso } from './features.fixture.ts';
import { type Bus, createOnlineBench, INPUT, type OnlineBench, SPINE, type Trip, VIEWS } from './online.fixture.ts';

let bench: OnlineBench;
beforeAll(async () => {
  bench = await createOnlineBench();
});
afterAll(() => bench.remove());

describe('online features', () => {
  const trips: Trip[] = [
    { town: 'oslo', bus: 1, leaves: 2, delay: 2 },
    { town: 'oslo', bus: 1, leaves: 11, delay: 0 },
    { town: 'oslo', bus: 2, leaves: 13, delay: 4 },
    { town: 'oslo', bus: 1, leaves: 400, delay: 0 },
  ];
  const buses: Bus[] = [{ number: 1, seats: 40, color: 'red', known: [0, 20] }];

  test('are read by the spine key, through to the other views, as known at asOf', async () => {
    const snapshots = await bench.publishTrips(trips, buses);
    const store = bench.openStore();
    const written = await materializeOnline(
      { ...INPUT, pipeline: 'p', snapshots, asOf: iso(10) },
      store,
      bench.context(),
    );
    expect(written.entities).toBe(2);
    const { features, vectors } = await readFeatures(
      store,
      written.namespace,
      [{ id: 't1' }, { id: 't2' }, { id: 't3' }],
      iso(10),
    );
    expect(features.map(({ name }) => name)).toEqual([
      'town',
      'odd',
      'hour_sin',
      'hour_cos',
      'seats',
      'color',
      'bus',
      'last_delay',
      'n',
      'mean',
      'worst',
    ]);
    // The color of the bus is not known before 20; bus 1 arrived at 5, two hours late.
    const own = {
      town: 'oslo',
      hour_sin: Math.fround(Math.sin((2 * Math.PI * 11) / 24)),
      hour_cos: expect.any(Number),
    };
    expect(vectors[0]).toEqual({
      found: true,
      values: {
        ...own,
        odd: 1,
        seats: 40,
        bus: 1,
        color: null,
        last_delay: Math.fround(2 / 3),
        n: 1,
        mean: expect.closeTo(2 / 7, 6),
        worst: 2,
      },
    });
    // Which bus t2 gets is not known yet: nothing of it is.
    expect(vectors[1]?.values).toMatchObject({ odd: null, seats: null, last_delay: null, n: 0, mean: null });
    expect(vectors[2]).toMatchObject({ found: false, values: { town: null, n: null } });
  });

  test('expire by the time of reading', async () => {
    const snapshots = await bench.publishTrips(trips, buses);
    const store = bench.openStore();
    const { namespace } = await materializeOnline(
      { ...INPUT, pipeline: 'p', snapshots, asOf: iso(10) },
      store,
      bench.context(),
    );
    const at = async (hour: number) =>
      (await readFeatures(store, namespace, [{ id: 't1' }], iso(hour))).vectors[0]?.values.last_delay;
    expect([await at(11), await at(12)]).toEqual([Math.fround(2 / 3), null]);
  });

  test('are not taken back by a run as of an earlier date', async () => {
    const snapshots = await bench.publishTrips(trips, buses);
    const store = bench.openStore();
    const run = (hour: number) =>
      materializeOnline({ ...INPUT, pipeline: 'p', snapshots, asOf: iso(hour) }, store, bench.context());
    const { namespace } = await run(10);
    await run(6);
    const { asOf, vectors } = await readFeatures(store, namespace, [{ id: 't1' }], iso(10));
    expect(asOf).toBe(iso(10));
    expect(vectors[0]?.values).toMatchObject({ n: 1, worst: 2, odd: 1 });
  });

  test('of another set of views lie elsewhere', async () => {
    const snapshots = await bench.publishTrips(trips, buses);
    const store = bench.openStore();
    const run = (views: FeatureView[]) =>
      materializeOnline({ spine: SPINE, views, pipeline: 'p', snapshots, asOf: iso(10) }, store, bench.context());
    const [all, fewer] = [await run(VIEWS), await run(VIEWS.slice(0, 1))];
    expect(fewer.namespace).not.toBe(all.namespace);
    expect((await readFeatures(store, fewer.namespace, [{ id: 't1' }], iso(10))).features).toHaveLength(4);
  });

  test('that were never written are named, and so is a missing key column', async () => {
    const snapshots = await bench.publishTrips(trips, buses);
    const store = bench.openStore();
    await expect(readFeatures(store, 'p/none', [{ id: 't1' }], iso(10))).rejects.toMatchObject({ code: 'REFIT_USAGE' });
    const { namespace } = await materializeOnline(
      { ...INPUT, pipeline: 'p', snapshots, asOf: iso(10) },
      store,
      bench.context(),
    );
    await expect(readFeatures(store, namespace, [{ name: 't1' }], iso(10))).rejects.toThrow('The key has no "id"');
  });
});

test('entities to come: the next ones, with what was known of them, and what happened in the end', async () => {
  const snapshots = await bench.publishTrips(
    [
      { town: 'oslo', bus: 1, leaves: 9, delay: 3 },
      { town: 'oslo', bus: 1, leaves: 11, delay: 3 },
      { town: 'rome', bus: 2, leaves: 14, delay: 0 },
      { town: 'rome', bus: 2, leaves: 30, delay: 0 },
    ],
    [],
  );
  const found = await upcomingEntities({ ...INPUT, snapshots, asOf: iso(10), count: 5 }, bench.context());
  expect(found.map(({ key, predictAt, label }) => [key, predictAt, label])).toEqual([
    [{ id: 't1' }, iso(11), true],
    [{ id: 't2' }, iso(14), false],
  ]);
  expect(found.map(({ fields }) => [fields.town, fields.odd])).toEqual([
    ['oslo', 1],
    ['rome', null],
  ]);
});
