/** What is served is what the offline join answers: after whatever was materialised, stopped half way or raced. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type MaterializeInput, materializeOnline } from '../../core/features/materialize.ts';
import { readLayout } from '../../core/features/online-layout.ts';
import type { OnlineRow, OnlineStore } from '../../core/features/online-store.ts';
import { readFeatures } from '../../core/features/read-features.ts';
import { iso } from '../unit/features.fixture.ts';
import {
  anyTrip,
  createOnlineBench,
  joinOffline,
  LASTING,
  type OnlineBench,
  THREE_BUSES,
  type Trip,
  VIEWS,
} from '../unit/online.fixture.ts';

const trip = anyTrip(3);

/** What happens next: some partitions are there, some rows corrected, and somebody materialises. */
const step = fc.record({
  later: fc.integer({ min: 0, max: 4 }),
  parts: fc.subarray([0, 1, 2, 3]),
  corrected: fc.boolean(),
  force: fc.boolean(),
  how: fc.oneof(
    fc.constant({ kind: 'whole' as const }),
    fc.record({ kind: fc.constant('killed' as const), after: fc.integer({ min: 0, max: 14 }), again: fc.boolean() }),
    // At the same time another one, of an earlier date or of other data.
    fc.record({
      kind: fc.constant('raced' as const),
      earlier: fc.integer({ min: 0, max: 3 }),
      parts: fc.subarray([0, 1, 2, 3]),
    }),
  ),
});

/** A store whose process dies at a write: nothing that comes after it is written. */
function dying(store: OnlineStore, after: number): OnlineStore {
  let left = after;
  const alive = () => {
    if (left-- <= 0) throw new Error('died');
  };
  return {
    ...store,
    put: (view: string, rows: readonly OnlineRow[], strictly?: 'strictly') => {
      alive();
      return store.put(view, rows, strictly);
    },
    clear: (view: string) => {
      alive();
      return store.clear(view);
    },
  };
}

export function onlineServing(name: string, open: (bench: OnlineBench) => Promise<OnlineStore>, numRuns: number): void {
  let bench: OnlineBench;
  beforeAll(async () => {
    bench = await createOnlineBench();
  });
  afterAll(() => bench.remove());

  /** Publishes the data at once; what is returned materialises it. */
  async function prepared(trips: Trip[], hour: number, more: Partial<MaterializeInput> = {}) {
    const snapshots = await bench.publishTrips(trips, THREE_BUSES);
    return (store: OnlineStore) =>
      materializeOnline({ ...LASTING, snapshots, asOf: iso(hour), ...more }, store, bench.context());
  }

  async function materialize(store: OnlineStore, trips: Trip[], hour: number, more: Partial<MaterializeInput> = {}) {
    return (await prepared(trips, hour, more))(store);
  }

  async function served(store: OnlineStore, namespace: string, ids: string[], hour: number) {
    const asked = ids.map((id) => ({ id }));
    return (await readFeatures(store, namespace, asked, iso(hour))).vectors.map(({ found, values }) => found && values);
  }

  /** False for who cannot be asked for: not planned yet, or ended, as far as the join knows. */
  async function joined(trips: Trip[], ids: string[], hour: number) {
    const there = trips.flatMap(({ id, leaves, gone }) => {
      return leaves - 10 <= hour && (gone ?? Infinity) > hour && id ? [id] : [];
    });
    const asked = { views: VIEWS, trips, buses: THREE_BUSES, written: hour, read: [hour] };
    const sorted = there.toSorted((a, b) => Number(a.slice(1)) - Number(b.slice(1)));
    const [rows = []] = there.length > 0 ? await joinOffline(bench, asked, sorted) : [];
    return ids.map((id) => rows[sorted.indexOf(id)] ?? false);
  }

  describe(`what ${name} serves`, () => {
    test('is what the join answers, whatever was written before, killed or raced', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(trip, { minLength: 5, maxLength: 25 }),
          fc.array(step, { minLength: 2, maxLength: 5 }),
          async (some, steps) => {
            const all = some.map((one, i) => ({ ...one, id: `t${i}` }));
            const ids = all.map(({ id }) => id);
            const store = await open(bench);
            const { namespace } = await materialize(store, all, 8);
            let hour = 8;
            for (const { later, parts, corrected, force, how } of steps) {
              hour += later;
              const of = (own: number[]) =>
                all
                  .filter(({ part = 0 }) => own.includes(part))
                  .map((one) => (corrected && one.part === 1 ? { ...one, delay: one.delay + 1 } : one));
              const trips = of(parts);
              const more = force ? { force: `${hour} ${JSON.stringify(how)}` } : {};
              let expected = [await joined(trips, ids, hour)];
              if (how.kind === 'killed') {
                const died = await materialize(dying(store, how.after), trips, hour, more).catch(String);
                if (died === 'Error: died' && !how.again) continue;
              }
              if (how.kind === 'raced') {
                const earlier = Math.max(8, hour - how.earlier);
                const one = await prepared(trips, hour, more);
                const other = await prepared(of(how.parts), earlier, { force: 'the other' });
                await Promise.all([one(store), other(store)]);
                // Of the same date either may be the last.
                if (earlier === hour) expected = [...expected, await joined(of(how.parts), ids, hour)];
              } else await materialize(store, trips, hour, more);
              expect(expected).toContainEqual(await served(store, namespace, ids, hour));
            }
          },
        ),
        // Each takes seconds: a failure is told as it is, not made small.
        { numRuns, endOnFailure: true },
      );
    }, 240_000);

    test('forgets an entity that was deleted, and a key whose rows are gone, also where the date is the same', async () => {
      const store = await open(bench);
      const trips: Trip[] = [
        { town: 'oslo', bus: 1, leaves: 3, delay: 1, id: 't0' },
        { town: 'oslo', bus: 1, leaves: 12, delay: 1, id: 't1' },
        { town: 'rome', bus: 2, leaves: 15, delay: 1, id: 't2' },
      ];
      const { namespace } = await materialize(store, trips, 10);
      const [first] = await served(store, namespace, ['t1'], 10);
      expect(first).toMatchObject({ town: 'oslo', n: 1 });
      // The source is loaded anew, without some of its rows.
      await materialize(store, trips.slice(1, 2), 10, { force: 'again' });
      const [there, gone] = await served(store, namespace, ['t1', 't2'], 10);
      expect(there).toMatchObject({ town: 'oslo', n: 0, last_delay: null });
      expect(gone).toBe(false);
    });

    test('is cleared of what nobody can come to any more', async () => {
      const store = await open(bench);
      const trips: Trip[] = [{ town: 'oslo', bus: 1, leaves: 14, delay: 1, id: 't0' }];
      await materialize(dying(store, 6), trips, 9).catch(() => undefined);
      const { namespace } = await materialize(store, trips, 10, { force: '1' });
      for (const force of ['2', '3']) await materialize(store, trips, 10, { force });
      const layout = await readLayout(store, namespace);
      const places = [layout?.entity.id, ...(layout?.lookups.map(({ id }) => id) ?? []), ...(layout?.before ?? [])];
      const left = await store.views(`${namespace}/`);
      expect(left.filter((view) => !places.includes(view))).toEqual([]);
    });
  });
}
