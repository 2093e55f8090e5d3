import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { withDuckDb } from '../../core/dataset/duckdb.ts';
import { buildTrainingSet, type TrainingSetInput, writeTrainingSet } from '../../core/features/build-training-set.ts';
import { readTrainingSet } from '../../core/features/read-table.ts';
import type { Snapshot } from '../../core/spec/artifacts.ts';
import { type Bench, createBench, iso, type Shape, time, valuesOf } from './features.fixture.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await createBench();
});
afterAll(() => bench.remove());

const TRIPS: Shape = {
  id: ['BIGINT', '__known_0'],
  town: ['VARCHAR', '__known_0'],
  leaves: ['TIMESTAMP', '__known_0'],
  arrives: ['TIMESTAMP', '__known_1'],
  delay: ['DOUBLE', '__known_1'],
};
const WEATHER: Shape = { town: ['VARCHAR', '__known_0'], temp: ['DOUBLE', '__known_0'] };

/** 100 days of a trip every hour: known a day ahead, arrived `hours` after it left, every third one late, every 50th never. */
const trips = (
  from: number,
  to: number,
  hours = 5,
) => `SELECT i AS id, CASE i % 3 WHEN 0 THEN 'oslo' ELSE 'rome' END AS town,
  ${time(0)} + to_hours(i) AS leaves, leaves + to_hours(${hours}) AS arrives,
  CASE WHEN i % 50 <> 7 THEN (CASE WHEN (i // 3) % 3 = 0 THEN 30 ELSE 2 END) + (i % 7) END::DOUBLE AS delay,
  leaves - INTERVAL 1 DAY AS __known_0, arrives AS __known_1, leaves AS __event_at, 'infinity'::TIMESTAMP AS __bad_known_at
  FROM range(${from}, ${to}) r(i)`;
const weather = (
  from: number,
  to: number,
) => `SELECT unnest(['oslo', 'rome']) AS town, (i % 30)::DOUBLE AS temp, ${time(0)} + to_hours(i) AS __known_0,
  ${time(0)} + to_hours(i) AS __event_at, 'infinity'::TIMESTAMP AS __bad_known_at FROM range(${from}, ${to}) r(i)`;

const DAY = 24;
const SPLIT = { test: '20d', validate: '10d', train: { min: '20d', max: '60d' } };

function input(snapshots: Record<string, Snapshot>, changes: Partial<TrainingSetInput> = {}): TrainingSetInput {
  return {
    spine: {
      source: 'trips',
      key: ['id'],
      predictAt: 'leaves - INTERVAL 1 HOUR',
      label: 'delay > 20',
      labelKnownAt: 'arrives',
    },
    views: [
      {
        ...{ kind: 'fields', name: 'own', source: 'trips' },
        fields: [
          { name: 'place', expr: 'town' },
          { name: 'hour', expr: 'hour(leaves)', cyclical: 24 },
          { name: 'peeked', expr: 'delay' },
        ],
      },
      {
        kind: 'latest',
        name: 'w',
        source: 'weather',
        by: { town: 'town' },
        fields: [{ name: 'temp', expr: 'temp' }],
        ttl: '6h',
      },
      {
        ...{ kind: 'window', name: 'd', source: 'trips', by: { town: 'town' }, on: 'arrives', over: '12h' },
        aggregate: [
          { name: 'mean_delay', fn: 'avg', expr: 'delay' },
          { name: 'spread', fn: 'std', expr: 'delay / 3' },
        ],
      },
    ],
    split: SPLIT,
    asOf: iso(100 * DAY),
    snapshots,
    slices: ['place', 'town'],
    ...changes,
  };
}

async function publish(tripSelects: string[], weatherSelects = [weather(0, 2400)]): Promise<Record<string, Snapshot>> {
  return {
    trips: await bench.publish('trips', TRIPS, tripSelects),
    weather: await bench.publish('weather', WEATHER, weatherSelects),
  };
}

test('a row that was replaced before it was asked about has no place in a training set; one replaced later has', async () => {
  const rows = (known: string, gone: string) =>
    `SELECT * REPLACE (${known} AS __known_0), ${gone} AS __gone_at FROM (${trips(0, 2400)})`;
  const first = rows('__known_0', 'CASE WHEN id % 2 = 0 THEN leaves - INTERVAL 2 HOUR ELSE leaves END');
  const second = rows('CASE WHEN id % 2 = 0 THEN leaves - INTERVAL 2 HOUR ELSE leaves END', "'infinity'::TIMESTAMP");
  const { trips: replaced, ...others } = await publish([first, second]);
  const ends = { ...others, trips: { ...(replaced as Snapshot), ends: true } };
  const set = await buildTrainingSet.run(input(ends), bench.context());
  const whole = await buildTrainingSet.run(input(await publish([trips(0, 2400)])), bench.context());
  expect(set.rows).toEqual(whole.rows);
  expect(set.excluded).toEqual(whole.excluded);
});

describe('a training set', () => {
  let snapshots: Record<string, Snapshot>;
  beforeAll(async () => {
    snapshots = await publish([trips(0, 2400)]);
  });

  test('is split by time back from asOf, leaves out labels that came late, and counts what it leaves out', async () => {
    const set = await buildTrainingSet.run(input(snapshots), bench.context());
    expect(set.periods).toEqual({
      train: { from: iso(10 * DAY), to: iso(70 * DAY) },
      validate: { from: iso(70 * DAY), to: iso(80 * DAY) },
      test: { from: iso(80 * DAY), to: iso(100 * DAY) },
    });
    // Trip i is asked about at hour i-1 and known at i+5: the last five of a period come too late for the next one, and four
    // (the data ends) for asOf.
    expect(set.excluded).toEqual({ unlabelled: 43, labelLate: 5 + 5 + 4 });
    expect(set.rows.train + set.rows.validate + set.rows.test).toBe(90 * DAY - 1 - 43 - 14);
    expect(set.rows.validate).toBe(10 * DAY - 5 - 5);
    const table = await readTrainingSet(await bench.blobs.path(set.data), set);
    expect([...table.predictAtMs]).toEqual([...table.predictAtMs].sort((a, b) => a - b));
    expect(table.label.reduce((sum, label) => sum + label, 0)).toBe(
      Object.values(set.positives).reduce((a, b) => a + b),
    );
    const lastOf = (split: number) => Math.max(...table.predictAtMs.filter((_, i) => table.split[i] === split));
    expect(new Date(lastOf(0)).toISOString()).toBe(new Date(Date.parse(iso(70 * DAY - 6))).toISOString());
  });

  test('takes a label as known no earlier than the columns it is made of, whatever the pipeline says', async () => {
    const spine = { ...input(snapshots).spine, labelKnownAt: 'leaves' };
    const set = await buildTrainingSet.run(input(snapshots, { spine }), bench.context());
    expect(set.excluded.labelLate).toBe(14);
  });

  test('has each feature as it was known: own columns of later are missing, names and kinds as declared', async () => {
    const set = await buildTrainingSet.run(input(snapshots), bench.context());
    expect(set.features).toEqual([
      { name: 'place', kind: 'category', view: 'own' },
      { name: 'hour_sin', kind: 'number', view: 'own' },
      { name: 'hour_cos', kind: 'number', view: 'own' },
      { name: 'peeked', kind: 'number', view: 'own' },
      { name: 'temp', kind: 'number', view: 'w' },
      { name: 'mean_delay', kind: 'number', view: 'd' },
      { name: 'spread', kind: 'number', view: 'd' },
    ]);
    const table = await readTrainingSet(await bench.blobs.path(set.data), set, {
      splits: ['test'],
      columns: ['peeked', 'temp', 'hour_sin'],
    });
    expect(table.rows).toBe(set.rows.test);
    expect(Object.keys(table.numbers)).toEqual(['hour_sin', 'peeked', 'temp']);
    expect(table.numbers.peeked?.every(Number.isNaN)).toBe(true);
    const hours = [...table.predictAtMs].map((ms) => (ms - Date.UTC(2024, 0, 1)) / 3_600_000);
    expect([...(table.numbers.temp ?? [])]).toEqual(hours.map((hour) => hour % 30));
    expect(table.slices.town).toEqual(table.slices.place);
  });

  test('of rows that were replaced or deleted: the row as it stood when it was asked about, the label as it stands at asOf', async () => {
    // Of ten trips one changes its town before it is asked about, one gets another delay long after, one is deleted.
    const base = trips(0, 2400);
    const whole = `'infinity'::TIMESTAMP`;
    const versions = `SELECT *, CASE id % 10 WHEN 0 THEN leaves - INTERVAL 3 HOUR WHEN 1 THEN arrives + INTERVAL 9 HOUR
        WHEN 2 THEN leaves + INTERVAL 1 HOUR ELSE ${whole} END AS __gone_at FROM (${base})
      UNION ALL BY NAME SELECT * REPLACE ('bergen' AS town, leaves - INTERVAL 3 HOUR AS __known_0), ${whole} AS __gone_at FROM (${base}) WHERE id % 10 = 0
      UNION ALL BY NAME SELECT * REPLACE (99::DOUBLE AS delay, arrives + INTERVAL 9 HOUR AS __known_0, arrives + INTERVAL 9 HOUR AS __known_1),
        ${whole} AS __gone_at FROM (${base}) WHERE id % 10 = 1`;
    const ended = await publish([versions]);
    const changed = { ...ended, trips: { ...(ended.trips as Snapshot), ends: true } };
    const set = await buildTrainingSet.run(
      input(changed, { views: input(changed).views.slice(0, 1) }),
      bench.context(),
    );
    const found = await withDuckDb({ scratch: bench.scratch }, async (db) => {
      const file = await bench.blobs.path(set.data);
      return valuesOf(
        db,
        `SELECT id % 10, count(*)::DOUBLE, count(*) FILTER (WHERE place = 'bergen')::DOUBLE, bool_and(__label)
        FROM read_parquet('${file}') WHERE predict_at < ${time(99 * DAY)} GROUP BY 1 ORDER BY 1`,
      );
    });
    const of = (digit: number) => found.find(([id]) => Number(id) === digit)?.slice(1) as [number, number, boolean];
    // What was corrected by asOf (a day before the end); each trip once, in the town of the time; the deleted ones are not labelled.
    expect(found.map(([id]) => Number(id))).toEqual([0, 1, 3, 4, 5, 6, 7, 8, 9]);
    expect(of(0)[1]).toBe(of(0)[0]);
    expect(of(3)[1]).toBe(0);
    expect(of(1)[2]).toBe(true);
    expect(of(3)[2]).toBe(false);
    expect(set.excluded.unlabelled).toBeGreaterThan(200);
  });

  test("takes '' and what float32 cannot hold as missing, in fields, in look-ups and in windows", async () => {
    const odd = `SELECT * REPLACE (CASE id % 4 WHEN 0 THEN '' ELSE town END AS town, (CASE id % 5 WHEN 0 THEN 'infinity'::DOUBLE
      WHEN 1 THEN -1e300 WHEN 2 THEN 'nan'::DOUBLE ELSE delay END) AS delay) FROM (${trips(0, 2400)})`;
    const views: TrainingSetInput['views'] = [
      {
        ...{ kind: 'fields', name: 'own', source: 'trips' },
        fields: [
          { name: 'place', expr: 'town' },
          { name: 'large', expr: 'CASE id % 3 WHEN 0 THEN 1e39 WHEN 1 THEN -1e39 ELSE id END' },
          { name: 'huge', expr: '340282366920938463463374607431768211455::UHUGEINT - id::UHUGEINT' },
        ],
      },
      {
        ...{ kind: 'window', name: 'd', source: 'trips', by: { id: 'id' }, on: 'leaves', over: '30d' },
        aggregate: (['sum', 'avg', 'min', 'max'] as const).map((fn) => ({ name: fn, fn, expr: 'delay' })),
      },
    ];
    const spine = { ...input({}).spine, predictAt: 'leaves + INTERVAL 6 HOUR', label: 'id % 3 = 0' };
    const changes = { views, spine, slices: [] };
    const set = await writeTrainingSet(input(await publish([odd]), changes), bench.context());
    const file = await bench.blobs.path(set.data);
    const { categories, numbers } = await readTrainingSet(file, set);
    expect(new Set(categories.place)).toEqual(new Set(['oslo', 'rome', null]));
    const ids = await withDuckDb({ scratch: bench.scratch }, (db) =>
      valuesOf(db, `SELECT id::INTEGER FROM read_parquet('${file}')`),
    );
    for (const [row, [id]] of (ids as number[][]).entries()) {
      const known = (id as number) % 5 > 2 && (id as number) % 50 !== 7;
      expect(numbers.large?.[row]).toEqual((id as number) % 3 === 2 ? id : Number.NaN);
      for (const fn of ['sum', 'avg', 'min', 'max']) expect(Number.isNaN(numbers[fn]?.[row])).toBe(!known);
    }
    expect(numbers.huge?.every((value) => !(Math.abs(value) === Infinity))).toBe(true);
  });

  test('is the same whatever the threads, the files or the order of their rows', async () => {
    const digests = new Set<string>();
    for (const threads of [1, 2, 4])
      digests.add((await writeTrainingSet(input(snapshots), bench.context({ threads }))).digest);
    const shuffled = await publish(
      [
        `SELECT * FROM (${trips(1200, 2400)}) ORDER BY hash(id)`,
        `SELECT * FROM (${trips(0, 1200)}) ORDER BY hash(id + 1)`,
      ],
      [`SELECT * FROM (${weather(0, 2400)}) ORDER BY hash(__event_at, town)`],
    );
    digests.add((await writeTrainingSet(input(shuffled), bench.context())).digest);
    expect(digests.size).toBe(1);
    const other = await writeTrainingSet(input(await publish([trips(0, 2400, 6)])), bench.context());
    expect(digests).not.toContain(other.digest);
  });

  test('keeps rows that repeat a key, each with its own features', async () => {
    const twice = await publish([trips(0, 2400), trips(0, 2400)]);
    const [once, both] = [
      await writeTrainingSet(input(snapshots), bench.context()),
      await writeTrainingSet(input(twice), bench.context()),
    ];
    expect(both.rows.test).toBe(2 * once.rows.test);
  });

  test('leaves out rows that were known to be bad by asOf, and keeps those found bad later', async () => {
    const bad = (at: number) =>
      `SELECT * REPLACE (CASE WHEN id % 2 = 0 THEN ${time(at)} ELSE __bad_known_at END AS __bad_known_at) FROM (${trips(0, 2400)})`;
    const rows = async (select: string) =>
      (await writeTrainingSet(input(await publish([select])), bench.context())).rows.test;
    const all = await rows(trips(0, 2400));
    expect(await rows(bad(101 * DAY))).toBe(all);
    expect(await rows(bad(50 * DAY))).toBeLessThan(all * 0.6);
  });
});

describe('is refused with the reason', () => {
  let snapshots: Record<string, Snapshot>;
  beforeAll(async () => {
    snapshots = await publish([trips(0, 2400)]);
  });
  const build = (changes: Partial<TrainingSetInput>) => writeTrainingSet(input(snapshots, changes), bench.context());

  test('too little data to train on: says what there is', async () => {
    const failed = build({ asOf: iso(45 * DAY) });
    await expect(failed).rejects.toMatchObject({ code: 'REFIT_WINDOW_EMPTY' });
    await expect(failed).rejects.toThrow('there are rows from 2023-12-31T23:00:00Z to 2024-02-14T23:00:00Z');
  });

  test('no row in a period', async () => {
    await expect(build({ asOf: iso(125 * DAY) })).rejects.toMatchObject({
      code: 'REFIT_WINDOW_EMPTY',
      details: { split: 'test' },
    });
  });

  test('one outcome only', async () => {
    const always = { ...input(snapshots).spine, label: 'delay > -1' };
    await expect(build({ spine: always })).rejects.toMatchObject({
      code: 'REFIT_LABEL_ONE_CLASS',
      details: { split: 'train', label: true },
    });
  });

  test.each<[string, string, (views: TrainingSetInput['views']) => TrainingSetInput['views']]>([
    [
      'two features of one name',
      'REFIT_PIPELINE_INVALID',
      (views) => [...views, { ...views[1], name: 'again' } as (typeof views)[0]],
    ],
    [
      'names that differ in case only',
      'REFIT_PIPELINE_INVALID',
      () => [
        {
          kind: 'fields',
          name: 'f',
          source: 'trips',
          fields: [
            { name: 'a', expr: 'town' },
            { name: 'A', expr: 'delay' },
          ],
        },
      ],
    ],
    [
      'a feature named as the key',
      'REFIT_PIPELINE_INVALID',
      () => [{ kind: 'fields', name: 'f', source: 'trips', fields: [{ name: 'id', expr: 'id' }] }],
    ],
    [
      'a time as a feature',
      'REFIT_EXPRESSION_INVALID',
      () => [{ kind: 'fields', name: 'f', source: 'trips', fields: [{ name: 'a', expr: 'leaves' }] }],
    ],
    [
      'a join column that is not there',
      'REFIT_PIPELINE_INVALID',
      (views) => [{ ...views[1], by: { city: 'town' } } as (typeof views)[0]],
    ],
    [
      'a source that is not there',
      'REFIT_PIPELINE_INVALID',
      (views) => [{ ...views[1], source: 'wether' } as (typeof views)[0]],
    ],
    [
      'an expression that fails on a row',
      'REFIT_EXPRESSION_INVALID',
      () => [{ kind: 'fields', name: 'f', source: 'trips', fields: [{ name: 'a', expr: 'town::INTEGER' }] }],
    ],
  ])('%s', async (_, code, views) => {
    await expect(build({ views: views(input(snapshots).views) })).rejects.toMatchObject({ code });
  });

  test('an expression that fails on a row is named', async () => {
    const views: TrainingSetInput['views'] = [
      { kind: 'fields', name: 'f', source: 'trips', fields: [{ name: 'a', expr: 'town::INTEGER' }] },
    ];
    await expect(build({ views })).rejects.toThrow(/features\.f\.a fails on a row of trips: .*'(oslo|rome)'/);
  });

  test('a slice that is no column', async () => {
    await expect(build({ slices: ['nowhere'] })).rejects.toMatchObject({
      code: 'REFIT_PIPELINE_INVALID',
      details: { column: 'nowhere' },
    });
  });

  test('stops when told to', async () => {
    await expect(writeTrainingSet(input(snapshots), bench.context({ signal: AbortSignal.abort() }))).rejects.toThrow(
      /abort/i,
    );
  });
});
