import { Value } from 'typebox/value';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { categoryAlone, numberAlone } from '../../core/exploration/alone.ts';
import { correlate, ranksOf } from '../../core/exploration/correlations.ts';
import { explore } from '../../core/exploration/explore-data.ts';
import { renderExploration } from '../../core/exploration/explore-page.ts';
import { Exploration } from '../../core/spec/exploration.ts';
import type { FeatureView, FieldSpec } from '../../core/spec/pipeline.ts';
import { type Bench, createBench, iso, type Shape, time } from './features.fixture.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await createBench();
});
afterAll(() => bench.remove());

const SHAPE: Shape = {
  id: ['BIGINT', '__known_0'],
  seen_at: ['TIMESTAMP', '__known_0'],
  left_us: ['INTEGER', '__known_1'],
  noise: ['DOUBLE', '__known_0'],
  twin: ['DOUBLE', '__known_0'],
  leak: ['DOUBLE', '__known_0'],
  filled: ['VARCHAR', '__known_0'],
  late: ['DOUBLE', '__known_1'],
  nothing: ['DOUBLE', '__known_0'],
  same: ['DOUBLE', '__known_0'],
  word: ['VARCHAR', '__known_0'],
};
/** A row an hour; the outcome is known five hours later. Every third leaves; `shift` makes all outcomes alike. */
const rows = (
  n: number,
  outcome = 'i % 3 = 0',
) => `SELECT i AS id, ${time(0)} + to_hours(i) AS seen_at, (${outcome})::INTEGER AS left_us,
  (hash(i) % 1000)::DOUBLE AS noise, noise * 2 + 1 AS twin, left_us * 100 + hash(i + 7) % 90 AS leak,
  CASE WHEN left_us = 1 THEN 'because' END AS filled, left_us::DOUBLE AS late, NULL::DOUBLE AS nothing, 7::DOUBLE AS same,
  CASE WHEN i % 100 = 50 THEN '<b>"bold"' ELSE 'w' || i END AS word,
  seen_at AS __known_0, seen_at + INTERVAL 5 HOUR AS __known_1, seen_at AS __event_at, 'infinity'::TIMESTAMP AS __bad_known_at
  FROM range(${n}) r(i)`;

const NAMES = ['noise', 'twin', 'leak', 'filled', 'late', 'nothing', 'same', 'word'];

async function exploration(
  select: string,
  fields: FieldSpec[] = NAMES.map((name) => ({ name, expr: name })),
  hour = 10_000,
  more: Shape = {},
) {
  const snapshots = { visits: await bench.publish('visits', { ...SHAPE, ...more }, [select]) };
  const spine = {
    source: 'visits',
    key: ['id'],
    predictAt: 'seen_at',
    label: 'left_us = 1',
    labelKnownAt: 'seen_at + INTERVAL 5 HOUR',
  };
  const views: FeatureView[] = [{ kind: 'fields', name: 'own', source: 'visits', fields }];
  const found = await explore({ spine, views, asOf: iso(hour), snapshots, limit: 0.9 }, bench.context());
  expect(Value.Errors(Exploration, found)).toEqual([]);
  const page = renderExploration({
    pipeline: 'churn',
    question: 'Will <they> leave?',
    asOf: iso(hour),
    exploration: found,
  });
  expect(page).not.toMatch(/NaN|undefined|Infinity|src=|href=|<script/);
  const feature = (name: string) => found.features.find((one) => one.name === name);
  return { found, page, feature };
}

describe('2,000 rows with all that can be wrong', () => {
  let all: Awaited<ReturnType<typeof exploration>>;
  beforeAll(async () => {
    all = await exploration(rows(2_000));
  });

  test('counts are exact', () => {
    expect(all.found).toMatchObject({ rows: 2_000, labelled: 2_000, positives: 667, from: iso(0), to: iso(1_999) });
    const histogram = all.feature('noise')?.number?.histogram ?? [];
    expect(histogram).toHaveLength(24);
    expect(histogram.reduce((sum, bar) => sum + bar.rows, 0)).toBe(2_000);
    expect(histogram.reduce((sum, bar) => sum + bar.positives, 0)).toBe(667);
    expect(all.found.time.bins.reduce((sum, bar) => sum + bar.rows, 0)).toBe(2_000);
    expect(all.feature('same')).toMatchObject({ missing: 0, distinct: 1, notes: ['constant'] });
    expect(all.feature('nothing')).toMatchObject({ missing: 2_000, auc: null, notes: ['always missing'] });
  });

  test('a feature that alone predicts too well, one that the outcome fills in, and one that is known too late are suspected', () => {
    expect(all.found.suspects.map(({ name, why }) => `${name} ${why}`)).toEqual([
      'filled missing-tells',
      'leak predicts-alone',
      'late known-late',
    ]);
    expect(all.found.suspects.find(({ name }) => name === 'late')?.value).toBe(1);
    // It is left out of every row, as it would be in a run.
    expect(all.feature('late')?.missing).toBe(2_000);
  });

  test('thousands of values of one row each tell nothing', () => {
    expect(all.feature('word')?.auc).toBeLessThan(0.55);
    expect(all.feature('word')?.notes).toContain('nearly one value a row');
    expect(all.feature('word')?.category?.top[0]).toMatchObject({ value: '<b>"bold"', rows: 20 });
  });

  test('twins are found, and the map and the profile of the source are there', () => {
    expect(all.found.pairs[0]).toEqual({ a: 'noise', b: 'twin', r: 1 });
    expect(all.feature('twin')?.notes).toEqual(['orders rows as noise does']);
    expect(all.found.correlations.names[0]).toBe('label');
    const columns = all.found.sources[0]?.columns ?? [];
    expect(columns.find(({ name }) => name === 'late')).toMatchObject({ lateShare: 1, missingShare: 0 });
    expect(columns.find(({ name }) => name === 'noise')).toMatchObject({ lateShare: 0 });
  });

  test('the page shows it all and takes no value for HTML', () => {
    expect(all.page).toContain('Leakage suspects');
    expect(all.page).toContain('&lt;b&gt;&quot;bold&quot;');
    expect(all.page).toContain('Will &lt;they&gt; leave?');
    expect(all.page.match(/class="feature /g)).toHaveLength(NAMES.length);
    expect(all.page).toContain("default-src 'none'");
  });
});

test('what is not known by the date is not looked at', async () => {
  const { found } = await exploration(rows(100), undefined, 50);
  // The last four outcomes are still open.
  expect(found).toMatchObject({ rows: 50, labelled: 46, positives: 16, to: iso(49) });
});

test.each([
  ['no row', rows(0), 0],
  ['one row', rows(1), 1],
  ['a few rows', rows(7), 7],
])('%s makes a page, too, and suspects nobody of predicting', async (_, select, n) => {
  const { found } = await exploration(select);
  expect(found.rows).toBe(n);
  expect(found.suspects.filter(({ why }) => why === 'predicts-alone')).toEqual([]);
});

test('labels that are all alike, or not there, are said to be so', async () => {
  const alike = await exploration(rows(60, 'true'));
  expect(alike.found).toMatchObject({ labelled: 60, positives: 60 });
  expect(alike.page).toContain('all labels are alike');
  expect(alike.found.features.every(({ auc }) => auc === null)).toBe(true);
  const none = await exploration(rows(60, 'NULL::BOOLEAN'));
  expect(none.found).toMatchObject({ rows: 60, labelled: 0, positives: 0 });
});

test('two hundred features fit on a page', async () => {
  const fields = Array.from({ length: 200 }, (_, i) => ({
    name: `n${i}`,
    expr: `noise * ${i + 1} + sin(id * ${i + 1})`,
  }));
  const { found, page } = await exploration(rows(300), fields);
  expect(found.features).toHaveLength(200);
  expect(found.correlations.names).toHaveLength(37);
  expect(found.pairs).toHaveLength(20);
  expect(page.length).toBeLessThan(3_000_000);
});

describe('alone', () => {
  const labels = Uint8Array.from({ length: 100 }, (_, i) => i % 2);
  test('the direction of a number does not matter, and rows without a value do not count', () => {
    const values = Float64Array.from(labels, (label, i) => (i < 10 ? Number.NaN : -label));
    expect(numberAlone(values, labels)?.auc).toBe(1);
    expect(numberAlone(new Float64Array(100), labels)?.auc).toBe(0.5);
    expect(numberAlone(values.subarray(0, 12), labels.subarray(0, 12))).toBeNull();
  });
  test('a category is measured on other rows than its rate', () => {
    expect(categoryAlone(Array.from(labels, String), labels)?.auc).toBe(1);
    expect(
      categoryAlone(
        Array.from(labels, (_, i) => `only ${i}`),
        labels,
      )?.auc,
    ).toBe(0.5);
  });
});

describe('correlations', () => {
  test('ranks share ties', () => expect([...ranksOf([3, 1, 3, Number.NaN])]).toEqual([1.5, 0, 1.5, Number.NaN]));
  test('what rises together correlates fully however bent; a constant cannot be told', async () => {
    const x = Array.from({ length: 50 }, (_, i) => i);
    const series = [
      { name: 'x', values: x },
      { name: 'bent', values: x.map((value) => -Math.exp(value / 9)) },
      { name: 'same', values: x.map(() => 4) },
    ];
    const { correlations, pairs } = await correlate(series, undefined);
    expect(pairs).toEqual([{ a: 'x', b: 'bent', r: -1 }]);
    expect(correlations.matrix[2]).toEqual([null, null, null]);
  });
});

describe('numbers at the edge of what there is', () => {
  const EDGES = {
    huge: '(CASE WHEN id % 2 = 0 THEN 1 ELSE -1 END) * (1e200 + id * 1e190)',
    largest: 'CASE id % 3 WHEN 0 THEN 1.7976931348623157e308 WHEN 1 THEN -1.7976931348623157e308 ELSE id END',
    single: '(CASE WHEN id % 2 = 0 THEN 1 ELSE -1 END) * (3.4e38::DOUBLE - id * 1e35)',
    tiny: 'id * 5e-324::DOUBLE',
    odd: "CASE id % 4 WHEN 0 THEN 'nan'::DOUBLE WHEN 1 THEN 'inf'::DOUBLE WHEN 2 THEN '-inf'::DOUBLE ELSE id END",
    whole: '(CASE WHEN id % 2 = 0 THEN 9223372036854775807 - id ELSE -9223372036854775807 + id END)::BIGINT',
  };
  const shape = Object.fromEntries(
    Object.keys(EDGES).map((name) => [name, [name === 'whole' ? 'BIGINT' : 'DOUBLE', '__known_0']]),
  ) as Shape;
  const fields = Object.keys(EDGES).map((name) => ({ name, expr: name }));

  test.each([1, 2, 300])('%d rows are explored all the same', async (n) => {
    const columns = Object.entries(EDGES).map(([name, sql]) => `${sql} AS ${name}`);
    const { found } = await exploration(`SELECT *, ${columns.join(', ')} FROM (${rows(n)})`, fields, 10_000, shape);
    expect(JSON.stringify(found.features)).not.toMatch(/NaN|Infinity/);
    const sum = (name: string) => found.features.find((one) => one.name === name)?.number?.histogram;
    for (const name of ['single', 'tiny', 'whole'])
      expect(sum(name)?.reduce((total, bar) => total + bar.rows, 0)).toBe(n);
  });
});
