/** Materialising again and again, with what changed only, is the same as materialising everything once. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type MaterializeInput, materializeOnline } from '../../core/features/materialize.ts';
import { readLayout } from '../../core/features/online-layout.ts';
import type { OnlineRow, OnlineStore } from '../../core/features/online-store.ts';
import { readFeatures } from '../../core/features/read-features.ts';
import type { BlobRef } from '../../core/spec/artifacts.ts';
import { RefitError } from '../../core/spec/errors.ts';
import type { FeatureView } from '../../core/spec/pipeline.ts';
import { iso, type Shape } from './features.fixture.ts';
import {
  anyTrip,
  createOnlineBench,
  LASTING,
  type OnlineBench,
  THREE_BUSES,
  type Trip,
  VIEWS,
} from './online.fixture.ts';

let bench: OnlineBench;
beforeAll(async () => {
  bench = await createOnlineBench();
});
afterAll(() => bench.remove());

async function materialize(store: OnlineStore, trips: Trip[], hour: number, more: Partial<MaterializeInput> = {}) {
  const snapshots = await bench.publishTrips(trips, THREE_BUSES);
  return materializeOnline({ ...LASTING, snapshots, asOf: iso(hour), ...more }, store, bench.context());
}

/** What the store serves for trips, at some times. */
async function served(store: OnlineStore, namespace: string, ids: string[], hours: number[]) {
  const asked = ids.map((id) => ({ id }));
  const answers = hours.map(async (hour) => (await readFeatures(store, namespace, asked, iso(hour))).vectors);
  return Promise.all(answers);
}

const trip = anyTrip(2);

describe('materialising what changed', () => {
  test('serves what materialising everything does, whatever partitions came, went or were corrected', async () => {
    let incremental = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(trip, { minLength: 5, maxLength: 30 }),
        fc.array(fc.tuple(fc.integer({ min: 0, max: 4 }), fc.subarray([0, 1, 2, 3]), fc.boolean()), {
          minLength: 2,
          maxLength: 4,
        }),
        async (some, steps) => {
          const all = some.map((one, i) => ({ ...one, id: `t${i}` }));
          const store = bench.openStore();
          let hour = 8;
          let [trips, namespace] = [all, ''];
          for (const [later, parts, corrected] of steps) {
            hour += later;
            trips = all.filter(({ part = 0 }) => parts.includes(part));
            if (corrected) trips = trips.map((one) => (one.part === 1 ? { ...one, delay: one.delay + 1 } : one));
            const done = await materialize(store, trips, hour);
            namespace = done.namespace;
            if (done.incremental) incremental += 1;
          }
          const fresh = bench.openStore();
          await materialize(fresh, trips, hour);
          const ids = trips.flatMap(({ id, leaves }) => (leaves - 10 <= hour && id ? [id] : []));
          const hours = [hour, hour + 2, hour + 7];
          expect(await served(store, namespace, ids, hours)).toEqual(await served(fresh, namespace, ids, hours));
        },
      ),
      { numRuns: 4 },
    );
    expect(incremental).toBeGreaterThan(0);
  }, 120_000);

  test('writes the keys that changed, and no others', async () => {
    const store = bench.openStore();
    const trips: Trip[] = [
      { town: 'oslo', bus: 1, leaves: 2, delay: 0 },
      { town: 'rome', bus: 2, leaves: 3, delay: 1 },
      { town: 'rome', bus: 3, leaves: 40, delay: 1 },
    ];
    const first = await materialize(store, trips, 12);
    expect(first).toMatchObject({ incremental: false, resumed: 0 });
    expect(await materialize(store, trips, 12)).toMatchObject({ incremental: true, rows: first.entities });
    // Bus 1 arrives again, from a partition that was not there before: its last delay, and both parts of its window.
    const more = await materialize(store, [...trips, { town: 'oslo', bus: 1, leaves: 10, delay: 1, part: 1 }], 12);
    expect(more).toMatchObject({ incremental: true, written: more.entities + 3 });
    expect(await materialize(store, trips, 12, { force: 'once' })).toMatchObject({ incremental: false });
  });

  test('tells the newest event of each view, also where it was known before it happened, or is gone', async () => {
    const store = bench.openStore();
    const aggregate = [{ name: 'n', fn: 'count' as const }];
    const by = { town: 'town' };
    const views: FeatureView[] = [
      { kind: 'window', name: 'left', source: 'trips', by, over: '5h', on: 'leaves', aggregate },
      {
        ...{ kind: 'latest', name: 'arrived', source: 'trips', by, on: 'arrives', ttl: '2h' },
        fields: [{ name: 'late', expr: 'delay' }],
      },
      {
        kind: 'latest',
        name: 'bus',
        source: 'buses',
        by: { bus: 'number' },
        fields: [{ name: 'seats', expr: 'seats' }],
      },
    ];
    const trips: Trip[] = [3, 12, 14].map((leaves) => ({ town: 'oslo', bus: 1, leaves, delay: 1, part: leaves % 3 }));
    const newestAt = async (hour: number, some: Trip[], more: Partial<MaterializeInput> = {}) => {
      const { namespace, incremental } = await materialize(store, some, hour, { views, ...more });
      const newest = (await readLayout(store, namespace))?.lookups.map(({ newestUs }) => newestUs);
      return {
        incremental,
        newest: newest?.map((us) => (us === null ? null : (us / 1e6 - Date.parse(iso(0)) / 1e3) / 3600)),
      };
    };
    expect(await newestAt(10, trips)).toEqual({ incremental: false, newest: [3, 5, null] });
    expect(await newestAt(13, trips)).toEqual({ incremental: true, newest: [12, 5, null] });
    expect(await newestAt(16, trips)).toEqual({ incremental: true, newest: [14, 16, null] });
    // A file that is corrected has them no more.
    expect(await newestAt(17, trips.slice(0, 2))).toEqual({ incremental: true, newest: [12, 14, null] });
    expect(await newestAt(17, [], { force: 'all' })).toEqual({ incremental: false, newest: [null, null, null] });
  });

  test('writes a view anew whose keys are asked for as another type, and read as another text', async () => {
    const store = bench.openStore();
    const trips: Trip[] = [{ town: 'oslo', bus: 1, leaves: 14, delay: 0 }];
    const views = VIEWS.filter(({ name }) => name === 'of_bus');
    const { namespace } = await materialize(store, trips, 12, { views });
    const before = await served(store, namespace, ['t0'], [12]);
    expect(before[0]?.[0]?.values).toMatchObject({ seats: 10 });
    const snapshots = await bench.publishTrips(trips, THREE_BUSES);
    const { columns = [], partitions = [] } = snapshots.trips ?? {};
    const file = await bench.blobs.path((partitions[0] as { data: BlobRef }).data);
    const shape = Object.fromEntries(
      columns.map(({ name, type, known }) => [name, [name === 'bus' ? 'DOUBLE' : type, ...known]]),
    ) as unknown as Shape;
    snapshots.trips = await bench.publish('trips', shape, [
      `SELECT * REPLACE (bus::DOUBLE AS bus) FROM read_parquet('${file}')`,
    ]);
    expect(await materialize(store, trips, 12, { views, snapshots })).toMatchObject({ namespace });
    expect(await served(store, namespace, ['t0'], [12])).toEqual(before);
  });

  test('finds the keys that lie there already, in whatever order the columns of a key are written down', async () => {
    const store = bench.openStore();
    const trips: Trip[] = [
      { town: 'oslo', bus: 1, leaves: 9, delay: 1 },
      { town: 'oslo', bus: 1, leaves: 13, delay: 1 },
    ];
    const { namespace } = await materialize(store, trips, 12);
    const views = VIEWS.map((view) =>
      view.kind === 'window' ? { ...view, by: Object.fromEntries(Object.entries(view.by).reverse()) } : view,
    );
    const again = await materialize(store, trips, 12, { views });
    expect(again).toMatchObject({ namespace, incremental: true });
    const [read] = await served(store, namespace, ['t1'], [12]);
    expect(read?.[0]?.values).toMatchObject({ n: 1, worst: 1 });
  });

  test('that was interrupted goes on where it was, and ends as if it had not been', async () => {
    const trips = Array.from(
      { length: 300 },
      (_, i): Trip => ({ town: `town ${i}`, bus: i, leaves: i % 20, delay: i % 5 }),
    );
    const ids = trips.map((_trip, i) => `t${i}`);
    const store = bench.openStore();
    // The fourth write of kept rows fails, as if the process had died; what is written is noted.
    const written: string[] = [];
    let limit = 4;
    const dying: OnlineStore = {
      ...store,
      put: (view: string, rows: readonly OnlineRow[]) => {
        if (view.startsWith('p/') && !/\/(entity|reached)$/.test(view) && rows[0]?.key !== 'whole') {
          if (--limit === 0) throw new Error('died');
          written.push(...rows.map(({ key }) => `${view} ${key}`));
        }
        return store.put(view, rows);
      },
    };
    await expect(materialize(dying, trips, 20)).rejects.toThrow('died');
    const again = await materialize(dying, trips, 20);
    expect(again.resumed).toBeGreaterThan(0);
    expect(new Set(written).size).toBe(written.length);
    const namespace = again.namespace;
    const fresh = bench.openStore();
    const whole = await materialize(fresh, trips, 20);
    expect(written.length + whole.entities).toBe(whole.rows);
    expect(await served(store, namespace, ids, [20, 25])).toEqual(await served(fresh, namespace, ids, [20, 25]));
  });

  test('and was never finished leaves nothing behind that a later one would serve', async () => {
    const store = bench.openStore();
    const wrong: Trip[] = [{ town: 'oslo', bus: 1, leaves: 4, delay: 3, id: 'gone', part: 1 }];
    const right: Trip[] = [
      { town: 'oslo', bus: 1, leaves: 3, delay: 0, id: 'a' },
      { town: 'oslo', bus: 1, leaves: 21, delay: 0, id: 'b' },
    ];
    const { namespace } = await materialize(store, right, 12);
    const dying: OnlineStore = {
      ...store,
      put: (view: string, rows: readonly OnlineRow[]) => {
        if (view.endsWith('/entity')) throw new Error('died');
        return store.put(view, rows);
      },
    };
    await expect(materialize(dying, [...right, ...wrong], 13)).rejects.toThrow('died');
    expect(await materialize(store, right, 14)).toMatchObject({ incremental: false });
    const fresh = bench.openStore();
    await materialize(fresh, right, 14);
    expect(await served(store, namespace, ['b'], [14, 18])).toEqual(await served(fresh, namespace, ['b'], [14, 18]));
    expect(await materialize(store, right, 15)).toMatchObject({ incremental: true });
  });

  test('that was interrupted writes everything where what changed cannot be told any more', async () => {
    const trips = [0, 1, 2, 3].map((i): Trip => {
      return { id: `t${i}`, town: i % 2 ? 'oslo' : 'rome', bus: 1 + (i % 3), leaves: 3 + i, delay: 1, part: i % 2 };
    });
    const store = bench.openStore();
    const before = await bench.publishTrips(trips, THREE_BUSES);
    await materializeOnline({ ...LASTING, snapshots: before, asOf: iso(8) }, store, bench.context());
    const corrected = trips.map((one) => (one.part === 1 ? { ...one, delay: 2 } : one));
    const snapshots = await bench.publishTrips(corrected, THREE_BUSES);
    const there = new Set(Object.values(snapshots).flatMap((one) => one.partitions.map(({ data }) => data.sha256)));
    const died: OnlineStore = {
      ...store,
      put: (view, rows, strictly) => {
        if (view.endsWith('/entity')) throw new Error('died');
        return store.put(view, rows, strictly);
      },
    };
    const input = { ...LASTING, snapshots, asOf: iso(9) };
    await expect(materializeOnline(input, died, bench.context())).rejects.toThrow('died');
    const context = bench.context();
    const without = (code: 'REFIT_STORE_CORRUPT' | 'REFIT_STORE_UNREACHABLE') => ({
      ...context,
      blobs: {
        ...context.blobs,
        path: async (ref: BlobRef) => {
          if (!there.has(ref.sha256)) throw new RefitError(code, 'It is gone.');
          return context.blobs.path(ref);
        },
      },
    });
    // A store that does not answer may do so the next time.
    await expect(materializeOnline(input, store, without('REFIT_STORE_UNREACHABLE'))).rejects.toThrow('It is gone.');
    const { namespace, incremental } = await materializeOnline(input, store, without('REFIT_STORE_CORRUPT'));
    expect(incremental).toBe(false);
    const fresh = bench.openStore();
    await materializeOnline(input, fresh, bench.context());
    const ids = trips.map(({ id }) => String(id));
    expect(await served(store, namespace, ids, [9, 12])).toEqual(await served(fresh, namespace, ids, [9, 12]));
  });

  test('builds on no rows that were evicted, or deleted by hand', async () => {
    const trips: Trip[] = [{ town: 'oslo', bus: 1, leaves: 3, delay: 2, id: 'a' }];
    const store = bench.openStore();
    const { namespace } = await materialize(store, trips, 12);
    const right = await served(store, namespace, ['a'], [12]);
    for (const view of await store.views(`${namespace}/`)) if (!view.endsWith('/entity')) await store.clear(view);
    expect(await served(store, namespace, ['a'], [12])).not.toEqual(right);
    expect(await materialize(store, trips, 12)).toMatchObject({ incremental: false });
    expect(await served(store, namespace, ['a'], [12])).toEqual(right);
  });

  test('writes everything again once rows of keys that expired outnumber the others', async () => {
    const store = bench.openStore();
    const days = [0, 1, 2, 3].map((day) =>
      Array.from({ length: 4000 }, (_, i): Trip => ({ town: `t${day}-${i}`, bus: 1, leaves: day * 24, delay: 1 })),
    );
    const whole: boolean[] = [];
    for (const day of days.keys()) {
      const { incremental } = await materialize(store, days.slice(0, day + 1).flat(), day * 24 + 5);
      whole.push(!incremental);
    }
    expect(whole).toEqual([true, false, false, true]);
  });
});
