/** Trips and the buses they take, as tables with known-at times, for tests of online features. */

import path from 'node:path';
import fc from 'fast-check';
import { identifier, withDuckDb } from '../../core/dataset/duckdb.ts';
import { timestampLiteral } from '../../core/dataset/time-sql.ts';
import { joinViews } from '../../core/features/compile.ts';
import { createLmdbOnlineStore } from '../../core/features/lmdb-online-store.ts';
import type { OnlineStore } from '../../core/features/online-store.ts';
import { openSources } from '../../core/features/open-sources.ts';
import { sourceOf } from '../../core/features/source-table.ts';
import { foreignSpine } from '../../core/features/spine.ts';
import type { Snapshot } from '../../core/spec/artifacts.ts';
import type { FeatureView, SpineSpec } from '../../core/spec/pipeline.ts';
import { type Bench, createBench, iso, rowsSql, type Shape, time } from './features.fixture.ts';

export interface OnlineBench extends Bench {
  openStore(): OnlineStore;
  /** A folder's name below `scratch` that nobody had before. */
  fresh(name: string): string;
  /**
   * A trip is planned ten hours ahead, gets its bus two hours before it leaves, and arrives after one hour and its delay. What
   * becomes known later than `knownBy` is not known yet. */
  publishTrips(trips: Trip[], buses: Bus[], knownBy?: number): Promise<Record<string, Snapshot>>;
}

export async function createOnlineBench(): Promise<OnlineBench> {
  const bench = await createBench();
  const stores: OnlineStore[] = [];
  let folders = 0;
  const fresh = (name: string) => path.join(bench.scratch, `${name}-${folders++}`);
  return {
    ...bench,
    fresh,
    openStore() {
      const store = createLmdbOnlineStore(fresh('store'));
      stores.push(store);
      return store;
    },
    publishTrips: (trips, buses, knownBy = Infinity) => publish(bench, trips, buses, knownBy),
    async remove() {
      await Promise.all(stores.map((store) => store.close()));
      await bench.remove();
    },
  };
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

export interface Trip {
  town: string | null;
  bus: number | null;
  leaves: number;
  delay: number;
  /** Its id, unless that is `t<index>`; and the partition it lies in. */
  id?: string;
  part?: number;
  /** Hour at which it was deleted. */
  gone?: number | null;
}
export interface Bus {
  number: number;
  seats: number;
  color: string | null;
  known: [number, number];
}

const quoted = (value: string | null) => (value === null ? 'NULL' : `'${value.replaceAll("'", "''")}'`);

async function publish(bench: Bench, trips: Trip[], buses: Bus[], knownBy: number): Promise<Record<string, Snapshot>> {
  const known = (hour: number) => time(hour > knownBy ? Infinity : hour);
  const ends = trips.some(({ gone }) => typeof gone === 'number');
  const tripRows = trips.map(({ town, bus, leaves, delay, id, gone }, i) => {
    const arrives = time(leaves + 1 + delay);
    return [
      `'${id ?? `t${i}`}'`,
      quoted(town),
      String(bus ?? 'NULL'),
      time(leaves),
      arrives,
      String(delay),
      known(leaves - 10),
      known(leaves - 2),
      known(leaves + 1 + delay),
      time(leaves),
      time(Infinity),
      ...(ends ? [known(gone ?? Infinity)] : []),
    ];
  });
  const busRows = buses.map(({ number, seats, color, known: times }) => [
    String(number),
    String(seats),
    quoted(color),
    ...times.map(known),
    time(null),
    time(Infinity),
  ]);
  const end = ends ? { names: ['__gone_at'], types: ['TIMESTAMP'] } : { names: [], types: [] };
  const parts = [...new Set([0, ...trips.map(({ part = 0 }) => part)])].sort((a, b) => a - b);
  return {
    trips: {
      ...(ends ? { ends } : {}),
      ...(await bench.publish(
        'trips',
        TRIPS,
        parts.map((part) => {
          const own = tripRows.filter((_row, i) => (trips[i]?.part ?? 0) === part);
          return rowsSql([...columnsOf(TRIPS, 3), ...end.names], [...typesOf(TRIPS, 3), ...end.types], own);
        }),
      )),
    },
    buses: await bench.publish('buses', BUSES, [rowsSql(columnsOf(BUSES, 2), typesOf(BUSES, 2), busRows)]),
  };
}

export const SPINE: SpineSpec = {
  source: 'trips',
  key: ['id'],
  predictAt: 'leaves',
  label: 'delay > 1',
  labelKnownAt: 'arrives',
};
export const VIEWS: FeatureView[] = [
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
export const INPUT = { spine: SPINE, views: VIEWS };

/** Entities that can be asked for long after they left. */
export const LASTING = { pipeline: 'p', spine: { ...SPINE, online: '30d' }, views: VIEWS };
export const THREE_BUSES: Bus[] = [1, 2, 3].map((number) => ({
  number,
  seats: 10 * number,
  color: 'red',
  known: [0, 12],
}));

/** `lasting`: how many times likelier a trip stays than that it is deleted or replaced. */
export const anyTrip = (lasting: number) =>
  fc.record<Trip>({
    town: fc.constantFrom('oslo', 'rome'),
    bus: fc.option(fc.integer({ min: 1, max: 3 }), { freq: 10 }),
    leaves: fc.integer({ min: 0, max: 30 }),
    delay: fc.integer({ min: 0, max: 5 }),
    gone: fc.option(fc.integer({ min: 0, max: 30 }), { freq: lasting, nil: null }),
    part: fc.integer({ min: 0, max: 3 }),
  });

export interface Asked {
  views: FeatureView[];
  trips: Trip[];
  buses: Bus[];
  written: number;
  /** Hours, in order; sources are opened as of the last. */
  read: number[];
}

/** Offline: joined at the times of reading, over what was known at the time of writing. */
export async function joinOffline(bench: OnlineBench, { views, trips, buses, written, read }: Asked, keys: string[]) {
  const snapshots: Record<string, Snapshot> = await bench.publishTrips(trips, buses, written);
  return withDuckDb({ scratch: bench.scratch }, async (db) => {
    const sources = await openSources(db, snapshots, bench.blobs, iso(Math.max(...read)));
    const ids = `unnest([${keys.map((key) => `'${key}'`).join(', ')}]) AS id`;
    const relation = `(${read.map((hour) => `SELECT ${timestampLiteral(iso(hour))} AS predict_at, ${ids}`).join(' UNION ALL ')})`;
    const source = sourceOf(sources, 'trips', '');
    const spine = await foreignSpine(db, { spec: SPINE, views, source, table: '__asked_later', relation });
    const { relation: joined, features } = await joinViews({ spine, views, sources });
    const names = features.map(({ name }) => `f.${identifier(name)}`).join(', ');
    const rows = await db.rows(
      `SELECT ${names} FROM __asked_later s JOIN ${joined} f USING (__row) ORDER BY s.__at, s.id[2:]::INTEGER`,
    );
    return read.map((_hour, i) => rows.slice(i * keys.length, (i + 1) * keys.length));
  });
}
