import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkOnline } from '../../core/features/check-online.ts';
import { packKept } from '../../core/features/kept-rows.ts';
import { materializeOnline } from '../../core/features/materialize.ts';
import { entityKey, readLayout } from '../../core/features/online-layout.ts';
import type { OnlineStore } from '../../core/features/online-store.ts';
import { iso, rowsSql, type Shape, time } from './features.fixture.ts';
import { createOnlineBench, INPUT, type OnlineBench, type Trip } from './online.fixture.ts';

let bench: OnlineBench;
beforeAll(async () => {
  bench = await createOnlineBench();
});
afterAll(() => bench.remove());

const trips: Trip[] = [
  { town: 'oslo', bus: 1, leaves: 2, delay: 2 },
  { town: 'oslo', bus: 1, leaves: 11, delay: 0 },
  { town: 'oslo', bus: 2, leaves: 13, delay: 4 },
];

async function prepared(asOf = 10) {
  const snapshots = await bench.publishTrips(trips, [{ number: 1, seats: 40, color: 'red', known: [0, 0] }]);
  const store = bench.openStore();
  const { namespace } = await materializeOnline(
    { ...INPUT, pipeline: 'p', snapshots, asOf: iso(asOf) },
    store,
    bench.context(),
  );
  const check = (at: number, more = {}) =>
    checkOnline({ ...INPUT, pipeline: 'p', snapshots, at: iso(at), sample: 10, ...more }, store, bench.context());
  return { store, namespace, check };
}

/** Another delay of bus 1 than the one that is known. */
async function spoil(store: OnlineStore, namespace: string, hour: number): Promise<void> {
  const layout = await readLayout(store, namespace);
  const id = String(layout?.lookups.find(({ view }) => view === 'last')?.id);
  const key = entityKey(['1']) as string;
  const [row] = await store.get(id, [key]);
  const numbers = Float64Array.of(Date.parse(iso(hour)) * 1000, -Infinity, 99);
  const values = packKept({ numbers, texts: [], tile: undefined, untilUs: Infinity });
  await store.put(id, [{ key, values, eventAtUs: row?.eventAtUs ?? 0, knownAtUs: row?.knownAtUs ?? 0 }]);
}

test('a store that was just written gives what the join gives, at once and hours later', async () => {
  const { check } = await prepared();
  for (const at of [10, 12, 30]) {
    const checked = await check(at);
    expect(checked).toMatchObject({ asOf: iso(10), at: iso(at), entities: 2, unknown: 0, same: true });
    expect(checked.views.map(({ view, compared }) => [view, compared])).toEqual([
      ['own', 8],
      // Of two entities, and of the keys of the view itself: one bus, two buses, two pairs of bus and town.
      ['of_bus', 6 + 3],
      ['last', 2 + 2],
      ['around', 6 + 6],
    ]);
  }
});

test('a value that differs is named, and an entity that is not there is counted', async () => {
  const { store, namespace, check } = await prepared();
  await spoil(store, namespace, 5);
  const checked = await check(10);
  expect(checked.same).toBe(false);
  expect(checked.views.find(({ view }) => view === 'last')).toEqual({
    ...{ view: 'last', compared: 4, differing: 2 },
    example: { key: { id: 't1' }, feature: 'last_delay', offline: Math.fround(2 / 3), online: 99 },
  });

  const later = { snapshots: await bench.publishTrips([...trips, { town: 'rome', bus: 1, leaves: 12, delay: 0 }], []) };
  expect(await check(10, later)).toMatchObject({ entities: 3, unknown: 1, same: false });
});

test('where nobody is to come the keys of the views are compared all the same', async () => {
  const { store, namespace, check } = await prepared(40);
  expect(await check(40)).toMatchObject({ entities: 0, keys: 5, same: true });
  await spoil(store, namespace, 39);
  const checked = await check(40);
  expect(checked.same).toBe(false);
  const last = checked.views.find(({ view }) => view === 'last');
  expect(last?.example).toEqual({ key: { bus: '1' }, feature: 'last_delay', offline: null, online: 99 });
});

test('keys that the source writes in another way than the spine are compared as the spine asks for them', async () => {
  const views = INPUT.views.filter(({ name }) => name === 'of_bus');
  const types = ['VARCHAR', 'INTEGER', 'VARCHAR', 'TIMESTAMP', 'TIMESTAMP', 'TIMESTAMP', 'TIMESTAMP'];
  const columns = ['number', 'seats', 'color', '__known_0', '__known_1', '__event_at', '__bad_known_at'];
  const bus = (number: string) => [number, '40', "'red'", time(0), time(0), time(null), time(Infinity)];
  const shape = {
    ...{ number: ['VARCHAR', '__known_0'], seats: ['INTEGER', '__known_0'] },
    color: ['VARCHAR', '__known_1'],
  } satisfies Shape;
  const buses = rowsSql(columns, types, ["'1.0'", "'2.0'", "'a bus'"].map(bus));
  const snapshots = {
    ...(await bench.publishTrips(trips, [])),
    buses: await bench.publish('buses', shape, [buses]),
  };
  const of = { ...INPUT, views, pipeline: 'texts', snapshots };
  const store = bench.openStore();
  await materializeOnline({ ...of, asOf: iso(10) }, store, bench.context());
  const checked = await checkOnline({ ...of, at: iso(10), sample: 10 }, store, bench.context());
  expect(checked.views).toEqual([{ view: 'of_bus', compared: 6 + 2 * 3, differing: 0, example: null }]);
});

test('nothing materialised, or a time before it, is said', async () => {
  const { check } = await prepared();
  await expect(check(9)).rejects.toMatchObject({ code: 'REFIT_USAGE' });
  await expect(check(10, { pipeline: 'other' })).rejects.toMatchObject({ code: 'REFIT_ENTITY_UNKNOWN' });
});
