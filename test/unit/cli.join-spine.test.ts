import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tableFile } from '../../cli/features/join.ts';
import { literal, withDuckDb } from '../../core/dataset/duckdb.ts';
import { joinSpine, type SpineJoinInput } from '../../core/features/join-spine.ts';
import { inspectSpine, type TableFile } from '../../core/features/spine-file.ts';
import type { FeatureView } from '../../core/spec/pipeline.ts';
import { type Bench, createBench, iso, type Shape, time } from './features.fixture.ts';

const TRIPS: Shape = {
  id: ['BIGINT', '__known_0'],
  town: ['VARCHAR', '__known_0'],
  leaves: ['TIMESTAMP', '__known_0'],
  delay: ['DOUBLE', '__known_1'],
};
const WEATHER: Shape = { town: ['VARCHAR', '__known_0'], temp: ['DOUBLE', '__known_0'] };
const VIEWS: FeatureView[] = [
  {
    ...{ kind: 'fields', name: 'own', source: 'trips' },
    fields: [
      { name: 'town', expr: 'town' },
      { name: 'doubled', expr: 'delay * 2' },
    ],
  },
  { kind: 'latest', name: 'sky', source: 'weather', by: { town: 'town' }, fields: [{ name: 'temp', expr: 'temp' }] },
  {
    ...{ kind: 'window', name: 'recent', source: 'trips', by: { town: 'town' }, over: '3h' },
    aggregate: [
      { name: 'n', fn: 'count' },
      { name: 'mean', fn: 'avg', expr: 'delay' },
    ],
  },
];

/** A key of each kind, of rows 1 and 2. */
const KINDS = {
  whole: 'i',
  fraction: 'i + 0.5::DOUBLE',
  round: 'i::DOUBLE',
  price: 'i::DECIMAL(9, 2)',
  flag: 'i = 1',
  day: "DATE '2024-01-01' + i::INTEGER",
  moment: "TIMESTAMP '2024-01-01' + to_hours(i)",
  name: "'né ' || i",
};
const kinds = Object.keys(KINDS);
const kindTypes = ['BIGINT', 'DOUBLE', 'DOUBLE', 'DECIMAL(9,2)', 'BOOLEAN', 'DATE', 'TIMESTAMP', 'VARCHAR'];
const keyed = `SELECT ${kinds.map((kind) => `${KINDS[kind as keyof typeof KINDS]} AS ${kind}`).join(', ')}, i::DOUBLE AS v,
  ${time(0)} AS __known_0, ${time(0)} AS __event_at, 'infinity'::TIMESTAMP AS __bad_known_at FROM (VALUES (1), (2)) AS t(i)`;

/** Trips known a day ahead, their delay two hours after they left; number 7 goes twice. */
const trips = [
  [1, 'oslo', 1, 10],
  [2, 'oslo', 2, 20],
  [3, 'rome', 2, 30],
  [7, 'oslo', 3, 40],
  [7, 'rome', 8, 50],
].map(
  ([id, town, leaves, delay]) => `SELECT ${id}::BIGINT AS id, '${town}' AS town, ${time(Number(leaves))} AS leaves,
    ${delay}::DOUBLE AS delay, ${time(Number(leaves) - 24)} AS __known_0, ${time(Number(leaves) + 2)} AS __known_1,
    ${time(Number(leaves))} AS __event_at, 'infinity'::TIMESTAMP AS __bad_known_at`,
);
const weather = `SELECT unnest(['oslo', 'rome']) AS town, i::DOUBLE AS temp, ${time(0)} + to_hours(i) AS __known_0,
  ${time(0)} + to_hours(i) AS __event_at, 'infinity'::TIMESTAMP AS __bad_known_at FROM range(0, 10) r(i)`;

let bench: Bench;
let base: Omit<SpineJoinInput, 'from' | 'to'>;
beforeAll(async () => {
  bench = await createBench();
  const snapshots = {
    trips: await bench.publish('trips', TRIPS, [trips.join(' UNION ALL ')]),
    weather: await bench.publish('weather', WEATHER, [weather]),
  };
  const shape = Object.fromEntries(
    [...kinds.map((kind, i) => [kind, kindTypes[i]]), ['v', 'DOUBLE']].map(([name, type]) => [
      name,
      [type, '__known_0'],
    ]),
  );
  const keyedRows = await bench.publish('keyed', shape as Shape, [keyed]);
  const spine = {
    source: 'trips',
    key: ['id'],
    predictAt: 'leaves - INTERVAL 1 HOUR',
    label: 'delay > 20',
    labelKnownAt: 'leaves',
  };
  base = { spine, views: VIEWS, snapshots: { ...snapshots, keyed: keyedRows }, asOf: iso(48) };
});
afterAll(() => bench.remove());

const keyedSpine = () => ({ ...base.spine, source: 'keyed', key: ['v'] });

let files = 0;
const file = (format: TableFile['format']): TableFile => ({
  path: path.join(bench.scratch, `${files++}.${format}`),
  format,
});

/** Writes the SELECT as a spine and joins it. */
async function join(
  select: string,
  { from = file('parquet'), to = file('parquet'), views = VIEWS, spine = base.spine } = {},
) {
  await withDuckDb({ scratch: bench.scratch }, (db) =>
    db.run(`COPY (${select}) TO ${literal(from.path)} (FORMAT ${from.format})`),
  );
  const joined = await joinSpine({ ...base, spine, views, from, to }, bench.context());
  const rows = await withDuckDb({ scratch: bench.scratch }, (db) =>
    db.rows(
      `SELECT * FROM ${to.format === 'csv' ? `read_csv(${literal(to.path)}, all_varchar = true)` : literal(to.path)}`,
    ),
  );
  return { ...joined, rows };
}

const refused = (select: string, sentence: RegExp) =>
  expect(join(select)).rejects.toMatchObject({
    code: 'REFIT_USAGE',
    message: expect.stringMatching(sentence) as string,
  });

describe('features for a table of keys and times', () => {
  test('by the key of the pipeline: every row, in its order, with values as they were known at its time', async () => {
    const { rows, features } = await join(`FROM (VALUES
      ('b', 2, ${time(5)}), ('a', 1, ${time(2.5)}), ('b again', 2, ${time(5)}), ('who', 99, ${time(5)}), ('none', NULL, ${time(5)})
    ) AS spine(note, id, predict_at)`);
    expect(features.map(({ name }) => name)).toEqual(['town', 'doubled', 'temp', 'n', 'mean']);
    const [b, a, again, unknown, nobody] = rows;
    // At 05:00 the trips that left at 02:00 and 03:00 count (from 02:00 on, not that very hour); the one of 03:00 is known late.
    expect(b).toMatchObject({ note: 'b', id: 2, town: 'oslo', doubled: 40, temp: 5, n: 1 });
    // At 02:30 the delay of trip 1, which left at 01:00, is not known yet.
    expect(a).toMatchObject({ note: 'a', town: 'oslo', doubled: null, temp: 2, mean: null });
    expect(again).toMatchObject({ ...b, note: 'b again' });
    expect(unknown).toMatchObject({ note: 'who', town: null, doubled: null, temp: null, mean: null });
    expect(nobody).toMatchObject({ note: 'none', town: null, doubled: null, temp: null, mean: null });
  });

  test('tabs where the name says so, and packed where it does', async () => {
    const to = tableFile(path.join(bench.scratch, 'joined.tsv.gz'));
    await join(`SELECT 1 AS id, ${time(2.5)} AS predict_at`, { to });
    const [head] = gunzipSync(await readFile(to.path))
      .toString()
      .split('\n');
    expect(head).toBe('id\tpredict_at\ttown\tdoubled\ttemp\tn\tmean');
  });

  test('a key that stands for several rows: the one with that prediction time, as in training', async () => {
    const { rows } = await join(`FROM (VALUES (7, ${time(2)}), (7, ${time(7)})) AS spine(id, predict_at)`);
    expect(rows.map(({ town }) => town)).toEqual(['oslo', 'rome']);
  });

  test('by the keys of the views: features of columns that the spine lacks are empty, those it has are made of them', async () => {
    const { rows, given, empty } = await join(
      `FROM (VALUES ('rome', ${time(4)}), (NULL, ${time(4)})) AS spine(town, predict_at)`,
    );
    expect({ given, empty }).toEqual({ given: ['town'], empty: ['doubled'] });
    expect(rows[0]).toMatchObject({ town: 'rome', doubled: null, temp: 4, mean: 30 });
    expect(rows[1]).toMatchObject({ town: null, temp: null, mean: null });
    const made = await join(`SELECT 'rome' AS town, 21 AS delay, ${time(4)} AS predict_at`);
    expect(made.empty).toEqual([]);
    expect(made.rows[0]).toMatchObject({ town: 'rome', delay: 21, doubled: 42 });
  });

  // What pandas, polars and older writers of Parquet make of the same keys.
  test.each([
    ['of the same types', KINDS],
    [
      'of other widths',
      {
        ...KINDS,
        whole: 'i::UTINYINT',
        fraction: '(i + 0.5)::DECIMAL(4, 1)',
        round: 'i::FLOAT',
        flag: '(i = 1)::TINYINT',
      },
    ],
    [
      'with zones and finer times',
      { ...KINDS, day: KINDS.moment.replace('to_hours', 'to_days'), moment: `(${KINDS.moment})::TIMESTAMPTZ` },
    ],
    [
      'as nanoseconds and bytes',
      { ...KINDS, moment: `(${KINDS.moment})::TIMESTAMP_NS`, name: `encode(${KINDS.name})` },
    ],
    ['as text', Object.fromEntries(Object.entries(KINDS).map(([kind, sql]) => [kind, `(${sql})::VARCHAR`]))],
    [
      'as text of others',
      {
        ...KINDS,
        whole: "i || '.0'",
        fraction: "i || '.500'",
        round: 'i::VARCHAR',
        price: "i || '.0'",
        flag: "CASE i WHEN 1 THEN 'True' ELSE 'False' END",
        moment: `strftime(${KINDS.moment}, '%Y-%m-%dT%H:%M:%S.000000+0000')`,
      },
    ],
  ])('keys are equal, %s', async (_name, spelled) => {
    const views = kinds.map(
      (kind): FeatureView => ({
        kind: 'latest',
        name: `by_${kind}`,
        source: 'keyed',
        by: { [kind]: kind },
        fields: [{ name: `of_${kind}`, expr: 'v' }],
      }),
    );
    const columns = Object.entries(spelled)
      .map(([kind, sql]) => `${sql} AS ${kind}`)
      .join(', ');
    const { rows } = await join(
      `SELECT ${columns}, ${time(1)} AS predict_at FROM (VALUES (2), (1), (3)) AS t(i) WHERE i < 3`,
      { views, spine: keyedSpine() },
    );
    const expected = (v: number) => Object.fromEntries(kinds.map((kind) => [`of_${kind}`, v]));
    expect(rows.map((row) => Object.fromEntries(kinds.map((kind) => [`of_${kind}`, row[`of_${kind}`]])))).toEqual([
      expected(2),
      expected(1),
    ]);
  });

  test('keys that are spelled otherwise are others; a time is no number', async () => {
    const views: FeatureView[] = [
      { kind: 'latest', name: 'by_whole', source: 'keyed', by: { whole: 'whole' }, fields: [{ name: 'v', expr: 'v' }] },
    ];
    const { rows } = await join(
      `SELECT unnest(['01', '1.2.0', '1', '', 'one', NULL]) AS whole, ${time(1)} AS predict_at`,
      { views, spine: keyedSpine() },
    );
    expect(rows.map(({ v }) => v)).toEqual([null, null, 1, null, null, null]);
    await expect(
      join(`SELECT DATE '2024-01-01' AS whole, ${time(1)} AS predict_at`, { views, spine: keyedSpine() }),
    ).rejects.toMatchObject({
      code: 'REFIT_PIPELINE_INVALID',
      message: expect.stringContaining('"whole" (DATE) against "whole"') as string,
    });
  });

  test('what the spine brings goes before what is looked up', async () => {
    const { rows } = await join(`SELECT 2 AS id, 'rome' AS town, ${time(4)} AS predict_at`);
    expect(rows[0]).toMatchObject({ town: 'rome', doubled: 40, mean: 30 });
  });

  test('text of a CSV file stays as it is written; a row without a time has no features', async () => {
    const { rows } = await join(
      `FROM (VALUES ('007', 'oslo', '2024-01-01T05:00:00Z'), ('8', 'oslo', NULL), ('9', 'oslo', '2024-01-01 06:00:00+01:00')) AS spine(note, town, predict_at)`,
      { from: file('csv'), to: file('csv') },
    );
    expect(rows[0]).toMatchObject({ note: '007', predict_at: '2024-01-01T05:00:00Z', temp: '5.0' });
    expect(rows[1]).toMatchObject({ note: '8', temp: null, n: null });
    expect(rows[2]).toMatchObject({ note: '9', temp: '5.0' });
  });

  test('columns of any name are kept', async () => {
    const { rows } = await join(
      `SELECT 'oslo' AS town, ${time(4)} AS predict_at, 1 AS __position, 2 AS __row, 3 AS "a b"`,
    );
    expect(rows[0]).toMatchObject({ __position: 1, __row: 2, 'a b': 3, temp: 4 });
  });

  test('an empty spine gives an empty table with all columns', async () => {
    const to = file('parquet');
    expect((await join(`SELECT 'oslo' AS town, ${time(4)} AS predict_at LIMIT 0`, { to })).rows).toEqual([]);
  });
});

describe('a spine that cannot be joined', () => {
  test('no predict_at', () =>
    refused(
      `SELECT 'oslo' AS town, ${time(1)} AS predicted_at`,
      /no column "predict_at" \(did you mean "predicted_at"/,
    ));
  test('predict_at that is text or a number', async () => {
    await refused(`SELECT 'oslo' AS town, '2024-01-01' AS predict_at`, /predict_at of the spine is VARCHAR/);
    await refused(`SELECT 'oslo' AS town, 1704067200 AS predict_at`, /predict_at of the spine is INTEGER/);
  });
  test('no key of a view, and none to look it up by', () =>
    refused(`SELECT 1 AS other, ${time(1)} AS predict_at`, /no column "town", by which sky is joined, and no id/));
  test('a column named like a feature', () =>
    refused(
      `SELECT 'oslo' AS town, 1 AS Temp, ${time(1)} AS predict_at`,
      /column "Temp", and a feature of sky is called temp/,
    ));
  test('a CSV time that is none, and a file that is none', async () => {
    const from = file('csv');
    await expect(join(`SELECT 'oslo' AS town, 'tomorrow' AS predict_at`, { from })).rejects.toThrow(
      /predict_at of row 1 of the spine is "tomorrow"/,
    );
    await expect(inspectSpine({ path: from.path, format: 'parquet' }, bench.context())).rejects.toMatchObject({
      code: 'REFIT_USAGE',
    });
  });
});

test('a spine tells its newest time, rounded up to the second', async () => {
  const from = file('parquet');
  await withDuckDb({ scratch: bench.scratch }, (db) =>
    db.run(
      `COPY (SELECT unnest([${time(1)}, ${time(2)} + INTERVAL 1 MILLISECOND]) AS predict_at) TO ${literal(from.path)} (FORMAT parquet)`,
    ),
  );
  expect(await inspectSpine(from, bench.context())).toEqual({ rows: 2, newest: '2024-01-01T02:00:01Z' });
});
