/** Features that are read later than they were written: right at the time of reading. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { materializeOnline } from '../../core/features/materialize.ts';
import { readFeatures } from '../../core/features/read-features.ts';
import type { FeatureView, WindowView } from '../../core/spec/pipeline.ts';
import { iso } from './features.fixture.ts';
import {
  type Asked,
  createOnlineBench,
  joinOffline,
  type OnlineBench,
  SPINE,
  type Trip,
  VIEWS,
} from './online.fixture.ts';

let bench: OnlineBench;
beforeAll(async () => {
  bench = await createOnlineBench();
});
afterAll(() => bench.remove());

const ALL: WindowView['aggregate'] = [
  { name: 'count', fn: 'count' },
  { name: 'with_bus', fn: 'count', expr: 'bus' },
  { name: 'sum', fn: 'sum', expr: 'delay / 7' },
  { name: 'avg', fn: 'avg', expr: 'delay / 3' },
  { name: 'std', fn: 'std', expr: 'delay / 3 + 1000' },
  { name: 'min', fn: 'min', expr: 'delay / 3' },
  { name: 'max', fn: 'max', expr: 'delay / 3' },
  { name: 'median', fn: 'quantile', expr: 'delay / 3', q: 0.5 },
  { name: 'p90', fn: 'quantile', expr: 'delay', q: 0.9 },
  { name: 'buses', fn: 'distinct', expr: 'bus' },
  { name: 'newest', fn: 'last', expr: 'delay / 3' },
  { name: 'newest_town', fn: 'last', expr: "nullif(town, 'rome')" },
  { name: 'late', fn: 'share', expr: 'delay > 1' },
];
const aggregate = (prefix: string) => ALL.map((one) => ({ ...one, name: `${prefix}_${one.name}` }));
/** Every kind of view; `leaves` is known ten hours ahead, so that rows come due after they were written. */
const ALL_VIEWS: FeatureView[] = [
  ...VIEWS,
  {
    kind: 'window',
    name: 'w_time',
    source: 'trips',
    by: { town: 'town' },
    over: '6h',
    on: 'leaves',
    aggregate: aggregate('t'),
  },
  {
    kind: 'window',
    name: 'w_count',
    source: 'trips',
    by: { town: 'town' },
    over: '9h',
    last: 3,
    on: 'leaves',
    aggregate: aggregate('c'),
  },
  { kind: 'window', name: 'w_all', source: 'trips', by: { town: 'town' }, on: 'leaves', aggregate: aggregate('a') },
  {
    kind: 'window',
    name: 'w_newest',
    source: 'trips',
    by: { bus: 'bus' },
    last: 2,
    on: 'arrives',
    aggregate: aggregate('n'),
  },
  {
    ...{ kind: 'latest', name: 'l_next', source: 'trips', by: { town: 'town' }, on: 'leaves', ttl: '4h' },
    fields: [
      { name: 'l_bus', expr: 'bus' },
      { name: 'l_id', expr: 'id' },
    ],
    age: [{ name: 'l_age', unit: 'm' }],
  },
  {
    ...{ kind: 'latest', name: 'l_ahead', source: 'trips', by: { town: 'town' }, on: 'leaves', ttl: '5h', ahead: '3h' },
    fields: [
      { name: 'f_id', expr: 'id' },
      { name: 'f_delay', expr: 'delay' },
    ],
  },
  {
    ...{ kind: 'calendar', name: 'clock', zone: 'Europe/Oslo' },
    parts: [
      { name: 'k_hour', part: 'hour', cyclical: true },
      { name: 'k_day', part: 'weekday' },
    ],
  },
  {
    ...{ kind: 'derived', name: 'made' },
    fields: [
      { name: 'm_ratio', op: 'ratio', of: ['t_sum', 't_count'] },
      { name: 'm_cross', op: 'cross', of: ['town', 'k_day'] },
    ],
  },
];

/** Online: written at one time, with everything in the sources, and read at others. */
async function online({ views, trips, buses, written, read }: Asked, keys: string[]) {
  const snapshots = await bench.publishTrips(trips, buses);
  const store = bench.openStore();
  const request = { pipeline: 'p', spine: { ...SPINE, online: '30d' }, views, snapshots, asOf: iso(written) };
  const { namespace } = await materializeOnline(request, store, bench.context());
  const answers = read.map(async (hour) => {
    const asked = keys.map((id) => ({ id }));
    const { vectors } = await readFeatures(store, namespace, asked, iso(hour));
    return vectors.map(({ values }) => values);
  });
  return Promise.all(answers);
}

const trip = fc.record<Trip>({
  town: fc.option(fc.constantFrom('oslo', 'rome'), { freq: 10 }),
  bus: fc.option(fc.integer({ min: 1, max: 3 }), { freq: 10 }),
  leaves: fc.integer({ min: 0, max: 30 }),
  delay: fc.integer({ min: 0, max: 5 }),
  gone: fc.option(fc.integer({ min: 0, max: 30 }), { freq: 2, nil: null }),
});

const hasEnded = ({ gone }: Trip, at: number): boolean => typeof gone === 'number' && gone <= at;

describe('what is read later than it was written', () => {
  test('tells rows of one time apart as the join does, and counts months from where it does', async () => {
    const views: FeatureView[] = [
      {
        ...{ kind: 'window', name: 'w_ties', source: 'trips', by: { town: 'town' }, over: '30d', on: 'leaves' },
        aggregate: [
          { name: 'e_sum', fn: 'sum', expr: '-bus' },
          { name: 'e_newest', fn: 'last', expr: 'bus' },
        ],
      },
      {
        ...{ kind: 'latest', name: 'l_months', source: 'trips', by: { bus: 'bus' }, on: 'leaves' },
        ...{ ttl: '1mo', ahead: '20d', fields: [{ name: 'f_bus', expr: 'bus' }] },
      },
    ];
    const trips: Trip[] = [1, 2, 3].map((bus) => ({ town: 'oslo', bus, leaves: 12, delay: 1 }));
    // In February, 20 days ahead is in March: a month before that is not 20 days after a month before.
    const days = [33, 38, 39, 40, 41, 42, 43, 44].map((day) => day * 24);
    const rows: Trip[] = [
      ...trips,
      ...[1, 2, 3].map((bus) => ({ town: 'rome', bus, leaves: 736 - bus * 12, delay: 0 })),
    ];
    const asked = { views, trips: rows, buses: [], written: 731, read: days };
    const keys = ['t0', 't1', 't2', 't3'];
    expect(await online(asked, keys)).toEqual(await joinOffline(bench, asked, keys));
    const early = { views, trips, buses: [], written: 15, read: [15] };
    expect(await online(early, ['t0'])).toEqual(await joinOffline(bench, early, ['t0']));
  });

  test('has no age where the row that answers happened before all time', async () => {
    const views: FeatureView[] = [
      {
        ...{ kind: 'latest', name: 'l_old', source: 'trips', by: { town: 'town' }, on: 'leaves' },
        fields: [{ name: 'o_bus', expr: 'bus' }],
        age: [{ name: 'o_age', unit: 'd' }],
      },
    ];
    const trips: Trip[] = [-Infinity, 12].map((leaves, i) => ({ town: 'oslo', bus: 7 + i, leaves, delay: 1 }));
    const asked = { views, trips, buses: [], written: 10, read: [11, 13] };
    const answers = await online(asked, ['t1']);
    expect(answers[0]).toEqual([{ o_bus: 7, o_age: null }]);
    expect(answers).toEqual(await joinOffline(bench, asked, ['t1']));
  });

  test('is what a join at the time of reading gives, over what was known at the time of writing', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(trip, { minLength: 20, maxLength: 60 }),
        fc.integer({ min: 5, max: 25 }),
        async (trips, written) => {
          const read = [0, 1, 2, 4, 7, 11].map((later) => written + later);
          const asked = { views: ALL_VIEWS, trips, buses: [], written, read };
          // Only those that could be asked for when it was written: a row that nobody knew, or that had ended, has no place in
          // the store.
          const known = (gone: boolean) =>
            trips.flatMap((one, i) => (one.leaves - 10 <= written && hasEnded(one, written) === gone ? [`t${i}`] : []));
          const [there, ended] = [known(false), known(true)];
          if (there.length > 0) expect(await online(asked, there)).toEqual(await joinOffline(bench, asked, there));
          for (const values of (ended.length > 0 ? await online(asked, ended) : []).flat()) {
            expect(new Set(Object.values(values))).toEqual(new Set([null]));
          }
        },
      ),
      { numRuns: 4 },
    );
  }, 120_000);
});
