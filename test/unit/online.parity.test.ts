import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { withDuckDb } from '../../core/dataset/duckdb.ts';
import { createLmdbOnlineStore } from '../../core/features/lmdb-online-store.ts';
import { materializeOnline } from '../../core/features/materialize.ts';
import { sampleOnlineParity } from '../../core/features/online-parity.ts';
import type { OnlineStore } from '../../core/features/online-store.ts';
import { readFeatures } from '../../core/features/read-features.ts';
import { upcomingEntities } from '../../core/features/upcoming-entities.ts';
import type { Snapshot } from '../../core/spec/artifacts.ts';
import type { FeatureView, SpineSpec } from '../../core/spec/pipeline.ts';
import { type Bench, createBench, iso, rowsSql, type Shape, time, valuesOf } from './features.fixture.ts';

let bench: Bench;
const stores: OnlineStore[] = [];
beforeAll(async () => {
  bench = await createBench();
});
afterAll(async () => {
  await Promise.all(stores.map((store) => store.close()));
  await bench.remove();
});

let folders = 0;
function openStore(): OnlineStore {
  const store = createLmdbOnlineStore(path.join(bench.scratch, `store-${folders++}`));
  stores.push(store);
  return store;
}

const TRIPS: Shape = {
  id: ['VARCHAR', '__known_0'],
  town: ['VARCHAR', '__known_0'],
  bus: ['INTEGER', '__known_1'],
  leaves: ['TIMESTAMP', '__known_0'],
  arrives: ['TIMESTAMP', '__known_2'],
  delay: ['DOUBLE', '__known_2'],
};
const BUSES: Shape = {
  number: ['BIGINT', '__known_0'],
  seats: ['INTEGER', '__known_0'],
  color: ['VARCHAR', '__known_1'],
};
const TIMES = ['__event_at', '__bad_known_at'];
const columnsOf = (shape: Shape, known: number) => [
  ...Object.keys(shape),
  ...Array.from({ length: known }, (_, i) => `__known_${i}`),
  ...TIMES,
];
const typesOf = (shape: Shape, known: number) => [
  ...Object.values(shape).map(([type]) => type),
  ...Array.from({ length: known + 2 }, () => 'TIMESTAMP'),
];

interface Trip {
  town: string | null;
  bus: number | null;
  leaves: number;
  delay: number;
}
interface Bus {
  number: number;
  seats: number;
  color: string;
  known: [number, number];
}

const quoted = (value: string | null) => (value === null ? 'NULL' : `'${value.replaceAll("'", "''")}'`);

/** A trip is planned ten hours ahead, gets its bus two hours before it leaves, and arrives after one hour and its delay. */
async function publish(trips: Trip[], buses: Bus[]): Promise<Record<string, Snapshot>> {
  const tripRows = trips.map(({ town, bus, leaves, delay }, i) => {
    const arrives = time(leaves + 1 + delay);
    return [
      `'t${i}'`,
      quoted(town),
      String(bus ?? 'NULL'),
      time(leaves),
      arrives,
      String(delay),
      time(leaves - 10),
      time(leaves - 2),
      arrives,
      time(leaves),
      time(Infinity),
    ];
  });
  const busRows = buses.map(({ number, seats, color, known }) => [
    String(number),
    String(seats),
    quoted(color),
    ...known.map(time),
    time(null),
    time(Infinity),
  ]);
  return {
    trips: await bench.publish('trips', TRIPS, [rowsSql(columnsOf(TRIPS, 3), typesOf(TRIPS, 3), tripRows)]),
    buses: await bench.publish('buses', BUSES, [rowsSql(columnsOf(BUSES, 2), typesOf(BUSES, 2), busRows)]),
  };
}

const SPINE: SpineSpec = {
  source: 'trips',
  key: ['id'],
  predictAt: 'leaves',
  label: 'delay > 1',
  labelKnownAt: 'arrives',
};
const VIEWS: FeatureView[] = [
  {
    kind: 'fields',
    name: 'own',
    source: 'trips',
    fields: [
      { name: 'town', expr: 'town' },
      { name: 'odd', expr: 'bus % 2 = 1' },
      { name: 'hour', expr: 'hour(leaves)', cyclical: 24 },
    ],
  },
  {
    kind: 'latest',
    name: 'of_bus',
    source: 'buses',
    by: { bus: 'number' },
    fields: [
      { name: 'seats', expr: 'seats' },
      { name: 'color', expr: 'color' },
      { name: 'bus', expr: 'number' },
    ],
  },
  {
    kind: 'latest',
    name: 'last',
    source: 'trips',
    by: { bus: 'bus' },
    on: 'arrives',
    ttl: '6h',
    fields: [{ name: 'last_delay', expr: 'delay / 3' }],
  },
  {
    ...{ kind: 'window', name: 'around', source: 'trips', by: { town: 'town', bus: 'bus' }, on: 'arrives', over: '8h' },
    aggregate: [
      { name: 'n', fn: 'count' },
      { name: 'mean', fn: 'avg', expr: 'delay / 7' },
      { name: 'worst', fn: 'max', expr: 'delay' },
    ],
  },
];
const INPUT = { spine: SPINE, views: VIEWS };

const trip = fc.record<Trip>({
  town: fc.option(fc.constantFrom('oslo', "l'aquila", '"x"'), { freq: 10 }),
  bus: fc.option(fc.integer({ min: 1, max: 3 }), { freq: 10 }),
  leaves: fc.integer({ min: 0, max: 30 }),
  delay: fc.integer({ min: 0, max: 5 }),
});
const bus = fc.record<Bus>({
  number: fc.integer({ min: 1, max: 3 }),
  seats: fc.integer({ min: 10, max: 60 }),
  color: fc.constantFrom('red', 'blue'),
  known: fc.tuple(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 30 })),
});

test('online and offline give the same features, to the last bit, on random data', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(trip, { minLength: 1, maxLength: 25 }),
      fc.array(bus, { maxLength: 6 }),
      fc.integer({ min: 5, max: 30 }),
      async (trips, buses, hour) => {
        const snapshots = await publish(trips, buses);
        const scratch = path.join(bench.scratch, `parity-${folders++}`);
        await mkdir(scratch);
        const sample = await sampleOnlineParity.run(
          { ...INPUT, snapshots, asOf: iso(hour), sample: 10 },
          { ...bench.context(), scratch },
        );
        const [offline, online] = await withDuckDb({ scratch }, async (db) => {
          const read = async (blob: typeof sample.offline) =>
            valuesOf(db, `SELECT * FROM read_parquet('${await bench.blobs.path(blob)}')`);
          return [await read(sample.offline), await read(sample.online)];
        });
        expect(online).toEqual(offline);
        expect(offline).toHaveLength(Math.min(10, trips.filter(({ leaves }) => leaves - 10 <= hour).length));
      },
    ),
    { numRuns: 25 },
  );
}, 120_000);

describe('online features', () => {
  const trips: Trip[] = [
    { town: 'oslo', bus: 1, leaves: 2, delay: 2 },
    { town: 'oslo', bus: 1, leaves: 11, delay: 0 },
    { town: 'oslo', bus: 2, leaves: 13, delay: 4 },
    { town: 'oslo', bus: 1, leaves: 400, delay: 0 },
  ];
  const buses: Bus[] = [{ number: 1, seats: 40, color: 'red', known: [0, 20] }];

  test('are read by the spine key, through to the other views, as known at asOf', async () => {
    const snapshots = await publish(trips, buses);
    const store = openStore();
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
    const snapshots = await publish(trips, buses);
    const store = openStore();
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
    const snapshots = await publish(trips, buses);
    const store = openStore();
    const run = (hour: number) =>
      materializeOnline({ ...INPUT, pipeline: 'p', snapshots, asOf: iso(hour) }, store, bench.context());
    const { namespace } = await run(10);
    await run(6);
    const { asOf, vectors } = await readFeatures(store, namespace, [{ id: 't1' }], iso(10));
    expect(asOf).toBe(iso(10));
    expect(vectors[0]?.values).toMatchObject({ n: 1, worst: 2, odd: 1 });
  });

  test('of another set of views lie elsewhere', async () => {
    const snapshots = await publish(trips, buses);
    const store = openStore();
    const run = (views: FeatureView[]) =>
      materializeOnline({ spine: SPINE, views, pipeline: 'p', snapshots, asOf: iso(10) }, store, bench.context());
    const [all, fewer] = [await run(VIEWS), await run(VIEWS.slice(0, 1))];
    expect(fewer.namespace).not.toBe(all.namespace);
    expect((await readFeatures(store, fewer.namespace, [{ id: 't1' }], iso(10))).features).toHaveLength(4);
  });

  test('that were never written are named, and so is a missing key column', async () => {
    const snapshots = await publish(trips, buses);
    const store = openStore();
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
  const snapshots = await publish(
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
