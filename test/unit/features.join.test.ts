import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DuckDb, withDuckDb } from '../../core/dataset/duckdb.ts';
import { aggregateValues } from '../../core/features/aggregate.ts';
import { joinViews, type Spine } from '../../core/features/compile.ts';
import { ageOf } from '../../core/features/latest-view.ts';
import { openSource, type SourceTables } from '../../core/features/source-table.ts';
import type { FeatureView } from '../../core/spec/pipeline.ts';
import { iso, rowsSql, type Shape, snapshotOf, time, valuesOf } from './features.fixture.ts';
import { type Asked, type Fact, type Fn, latestOracle, newestOracle, windowOracle } from './features.oracle.ts';

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(path.join(tmpdir(), 'refit-join-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

const SHAPE: Shape = {
  key: ['VARCHAR', '__known_0'],
  happened: ['TIMESTAMP', '__known_0'],
  x: ['DOUBLE', '__known_0', '__known_1'],
  y: ['DOUBLE', '__known_0', '__known_2'],
};
const COLUMNS = [
  'key',
  'happened',
  'x',
  'y',
  '__known_0',
  '__known_1',
  '__known_2',
  '__event_at',
  '__bad_known_at',
  '__gone_at',
];
const TYPES = ['VARCHAR', 'TIMESTAMP', 'DOUBLE', 'DOUBLE', ...Array.from({ length: 6 }, () => 'TIMESTAMP')];
const text = (value: string | null) => (value === null ? 'NULL' : `'${value}'`);
const number = (value: number | null) => (value === null ? 'NULL' : String(value));

async function load(db: DuckDb, facts: Fact[], asked: Asked[], asOf: number, reference = false, shape = SHAPE) {
  const ends = facts.some(({ gone }) => gone !== undefined);
  const rows = facts.map(({ key, event, known, bad, x, y, gone = Infinity }) => {
    const own = [text(key), time(event), number(x), number(y), ...known.map(time)];
    return [...own, time(reference ? null : event), time(bad), time(gone)];
  });
  await db.run(`CREATE OR REPLACE TABLE facts AS ${rowsSql(COLUMNS, TYPES, rows)}`);
  const spineRows = asked.map(({ key, at }, i) => [String(i), time(at), text(key)]);
  await db.run(
    `CREATE OR REPLACE TABLE spine AS ${rowsSql(['__row', '__at', 'id'], ['BIGINT', 'TIMESTAMP', 'VARCHAR'], spineRows)}`,
  );
  const sources: SourceTables = new Map([
    ['facts', await openSource(db, { ...snapshotOf('facts', shape), ...(ends ? { ends } : {}) }, 'facts', iso(asOf))],
  ]);
  const spine: Spine = { relation: 'spine', columns: new Map([['id', 'VARCHAR']]), fields: [] };
  return { sources, spine };
}

/** With so little memory, questions are answered one by one. */
const tight = (db: DuckDb): DuckDb => ({ ...db, memoryBytes: 1 });

async function join(
  db: DuckDb,
  views: FeatureView[],
  loaded: { sources: SourceTables; spine: Spine },
): Promise<(number | null)[][]> {
  const { relation, features } = await joinViews({ ...loaded, views });
  const columns = features.map(({ name }) => `"${name}"`).join(', ');
  return (await valuesOf(db, `SELECT ${columns} FROM ${relation} ORDER BY __row`)) as (number | null)[][];
}

const HOUR_US = 36e8;
const hour = fc.integer({ min: 0, max: 12 });
const knownAt = fc.oneof(
  { weight: 6, arbitrary: hour },
  { weight: 1, arbitrary: fc.constantFrom(Infinity, -Infinity) },
);
const value = fc.option(
  fc.integer({ min: -20, max: 20 }).map((n) => n / 4),
  { freq: 6 },
);
const key = fc.option(fc.constantFrom('a', 'b'), { freq: 12 });
const fact: fc.Arbitrary<Fact> = fc.record({
  key,
  event: fc.option(hour, { freq: 10 }),
  known: fc.tuple(knownAt, knownAt, knownAt),
  bad: fc.oneof({ weight: 8, arbitrary: fc.constant(Infinity) }, { weight: 1, arbitrary: hour }),
  x: value,
  y: value,
});
const world = fc.record({
  facts: fc.array(fact, { maxLength: 14 }),
  asked: fc.array(fc.record({ key, at: fc.integer({ min: 0, max: 14 }) }), { minLength: 1, maxLength: 14 }),
  asOf: fc.integer({ min: 6, max: 14 }),
  ample: fc.boolean(),
});

/** Facts of which some are deleted or replaced. */
const mortals = world.chain(({ facts, ...rest }) =>
  fc.array(fc.option(hour, { nil: undefined }), { minLength: facts.length, maxLength: facts.length }).map((gone) => ({
    ...rest,
    facts: facts.map((fact, i) => (gone[i] === undefined ? fact : { ...fact, gone: gone[i] })),
  })),
);

const BY = { id: 'key' };
const fields = [
  { name: 'fx', expr: 'x' },
  { name: 'fy', expr: 'y' },
];
/** A text that is known with x. */
const written = { name: 'tx', expr: 'x::VARCHAR' };

describe('against a plain reading of the definition, on random tables with ties, late rows and missing keys', () => {
  test('latest: with and without a ttl, by own and declared event time, of reference tables', async () => {
    await withDuckDb({ scratch }, async (db) => {
      await fc.assert(
        fc.asyncProperty(world, fc.integer({ min: 1, max: 5 }), async ({ facts, asked, asOf, ample }, ttl) => {
          const plain: FeatureView = { kind: 'latest', name: 'plain', source: 'facts', by: BY, fields };
          const short: FeatureView = {
            ...{ kind: 'latest', name: 'short', source: 'facts', by: BY, on: 'happened', ttl: `${ttl}h` },
            fields: fields.map(({ name, expr }) => ({ name: `${name}_short`, expr })),
          };
          const expected = asked.map((row) => [
            ...(['x', 'y'] as const).map((column) => latestOracle(facts, row, { asOf, column })),
            ...(['x', 'y'] as const).map((column) => latestOracle(facts, row, { asOf, column, ttl })),
          ]);
          // A table without a single event would be a reference table.
          const events = [...facts, { ...row(0, 0, 0), key: 'of nobody' }];
          const memory = ample ? db : tight(db);
          expect(await join(db, [plain, short], await load(memory, events, asked, asOf))).toEqual(expected);
          const reference = asked.map((row) =>
            (['x', 'y'] as const).map((column) => latestOracle(facts, row, { asOf, column, reference: true })),
          );
          expect(await join(db, [plain], await load(db, facts, asked, asOf, true))).toEqual(reference);
        }),
        { numRuns: 60 },
      );
    });
  }, 120_000);

  test('latest: rows that end, forecasts, and the age of the row that answers', async () => {
    await withDuckDb({ scratch }, async (db) => {
      const given = [
        mortals,
        fc.constantFrom(0, 2),
        fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
      ] as const;
      await fc.assert(
        fc.asyncProperty(...given, async ({ facts, asked, asOf, ample }, ahead, ttl) => {
          const view: FeatureView = {
            ...{
              kind: 'latest',
              name: 'v',
              source: 'facts',
              by: BY,
              fields: [...fields, written],
              age: [{ name: 'old', unit: 'h' }],
            },
            ...(ahead > 0 ? { ahead: `${ahead}h` } : {}),
            ...(ttl ? { ttl: `${ttl}h` } : {}),
          };
          const options = { asOf, ahead, ...(ttl ? { ttl } : {}) };
          const expected = asked.map((row) => {
            const newest = newestOracle(facts, row, { ...options, column: undefined });
            const values = (['x', 'y'] as const).map((column) => latestOracle(facts, row, { ...options, column }));
            const text = values[0] == null ? null : Number.isInteger(values[0]) ? `${values[0]}.0` : String(values[0]);
            return [...values, text, newest ? ageOf('h', row.at * HOUR_US, (newest.event as number) * HOUR_US) : null];
          });
          const events = [...facts, { ...row(0, 0, 0), key: 'of nobody' }];
          const memory = ample ? db : tight(db);
          expect(await join(db, [view], await load(memory, events, asked, asOf))).toEqual(expected);
          const reference: FeatureView = { kind: 'latest', name: 'r', source: 'facts', by: BY, fields };
          const always = asked.map((row) =>
            (['x', 'y'] as const).map((column) => latestOracle(facts, row, { asOf, column, reference: true })),
          );
          expect(await join(db, [reference], await load(db, facts, asked, asOf, true))).toEqual(always);
        }),
        { numRuns: 60 },
      );
    });
  }, 120_000);

  test('window: every aggregate, by time, by count and over all history, over columns that are known at different times', async () => {
    const wanted: [Fn, 'x' | 'y' | undefined, q?: number][] = [['count', undefined]];
    for (const column of ['x', 'y'] as const) {
      for (const fn of ['count', 'sum', 'avg', 'min', 'max', 'std', 'distinct', 'last', 'share'] as const)
        wanted.push([fn, column]);
      wanted.push(['quantile', column, 0.5], ['quantile', column, 0.9]);
    }
    const aggregate = wanted.map(([fn, column, q]) => ({
      ...{ name: `${fn}_${column}_${q}`, fn },
      ...(column ? { expr: fn === 'share' ? `${column} > 0` : column } : {}),
      ...(q === undefined ? {} : { q }),
    }));
    const length = fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined });
    await withDuckDb({ scratch }, async (db) => {
      await fc.assert(
        fc.asyncProperty(fc.oneof(world, mortals), length, length, async ({ facts, asked, asOf }, over, last) => {
          const view: FeatureView = {
            ...{ kind: 'window', name: 'w', source: 'facts', by: BY, on: 'happened', aggregate },
            ...(over === undefined ? {} : { over: `${over}h` }),
            ...(last === undefined ? {} : { last }),
          };
          const found = await join(db, [view], await load(db, facts, asked, asOf));
          for (const [i, row] of asked.entries()) {
            for (const [j, [fn, column, q]] of wanted.entries()) {
              const expected = windowOracle(facts, row, { asOf, column, over, last, fn, q });
              const message = `${fn}(${column}) of row ${i}`;
              if (fn === 'std' && expected !== null) expect(found[i]?.[j], message).toBeCloseTo(expected, 5);
              else expect(found[i]?.[j], message).toBe(expected);
            }
          }
        }),
        { numRuns: 100 },
      );
    });
  }, 120_000);
});

const known = (at: number): Fact['known'] => [at, at, at];
const row = (event: number, at: number, x: number): Fact => ({
  key: 'a',
  event,
  known: known(at),
  bad: Infinity,
  x,
  y: x,
});

describe('by example', () => {
  const latest = (ttl?: string): FeatureView => ({
    kind: 'latest',
    name: 'v',
    source: 'facts',
    by: BY,
    fields: [{ name: 'f', expr: 'x' }],
    ...(ttl ? { ttl } : {}),
  });
  const ask = (facts: Fact[], hours: number[], view: FeatureView) =>
    withDuckDb({ scratch }, async (db) => {
      const asked = hours.map((at) => ({ key: 'a', at }));
      return (await join(db, [view], await load(db, facts, asked, 100))).map(([found]) => found);
    });

  test('an older row answers while the newest is not known yet, and one that comes late never wins', async () => {
    const facts = [row(8, 8.5, 1), row(9, 12, 2), row(7, 12.5, 3)];
    expect(await ask(facts, [8, 8.5, 10, 12, 13], latest())).toEqual([null, 1, 1, 2, 2]);
  });

  test('a row exactly as old as the ttl still answers', async () => {
    expect(await ask([row(8, 8, 1)], [8, 14, 15], latest('6h'))).toEqual([1, 1, null]);
  });

  test('a row about the future is no answer before it happens, even where it is known', async () => {
    expect(await ask([row(8, 1, 1), row(12, 1, 2)], [9, 11, 12], latest())).toEqual([1, 1, 2]);
  });

  test('a row whose key is known only later does not match before', async () => {
    await withDuckDb({ scratch }, async (db) => {
      const asked = [7, 8, 9].map((at) => ({ key: 'a', at }));
      const shape: Shape = { ...SHAPE, key: ['VARCHAR', '__known_2'] };
      const loaded = await load(db, [{ ...row(1, 1, 5), known: [1, 1, 8] }], asked, 100, false, shape);
      const view: FeatureView = {
        kind: 'window',
        name: 'w',
        source: 'facts',
        by: BY,
        over: '9h',
        aggregate: [{ name: 'n', fn: 'count' }],
      };
      expect(await join(db, [latest(), view], loaded)).toEqual([
        [null, 0],
        [5, 1],
        [5, 1],
      ]);
    });
  });

  test('std keeps its digits beside a large mean', async () => {
    const view: FeatureView = {
      kind: 'window',
      name: 'w',
      source: 'facts',
      by: BY,
      over: '5h',
      aggregate: [{ name: 's', fn: 'std', expr: 'x' }],
    };
    const facts = [row(1, 1, 1e9 + 1), row(2, 2, 1e9 + 2), row(3, 3, 1e9 + 3)];
    expect(await ask(facts, [3], view)).toEqual([1]);
  });

  test('all rows under one key: sums stay exact', async () => {
    await withDuckDb({ scratch }, async (db) => {
      const { sources, spine } = await load(db, [row(0, 0, 0)], [{ key: 'a', at: 0 }], 1_000_000);
      await db.run(`CREATE OR REPLACE TABLE facts AS SELECT 'a' AS key, ${time(0)} + to_seconds(i) AS happened, 0.1 * (i % 10) AS x, 0.5 AS y,
        happened AS __known_0, happened + INTERVAL 90 SECOND AS __known_1, happened AS __known_2, happened AS __event_at,
        'infinity'::TIMESTAMP AS __bad_known_at FROM range(50000) r(i)`);
      await db.run(
        `CREATE OR REPLACE TABLE spine AS SELECT i AS __row, ${time(0)} + to_seconds(i) AS __at, 'a' AS id FROM range(50000) r(i)`,
      );
      const views: FeatureView[] = [
        {
          kind: 'window',
          name: 'w',
          source: 'facts',
          by: BY,
          over: '1h',
          aggregate: [
            { name: 'n', fn: 'count' },
            { name: 'm', fn: 'avg', expr: 'x' },
          ],
        },
        latest(),
      ];
      const found = await join(db, views, { sources, spine });
      // The window of an hour, of which the newest 90 s have no x yet: ten values 0 … 0.9, each as often as the others.
      expect(found[40_000]).toEqual([3600, Math.fround(0.45), Math.fround(0.1 * (39_910 % 10))]);
      expect(found).toHaveLength(50_000);
    });
  });

  test.each([
    ['sums', [1e30, 2.5e30, -1e30, 7, -0.5]],
    ['sums beyond float32', [3e38, 3e38, -3e38]],
    ['squares of ids and times', [1.7e12, 1.7e12 + 4096, 1.7e15, null, 3]],
    ['squares that just fit', [2 ** 42, -(2 ** 42), 2 ** 41]],
  ])('large values have their %s, or none where there can be none; others are as they were', async (_what, values) => {
    await withDuckDb({ scratch }, async (db) => {
      const facts = values.map((x, i) => ({ ...row(i, i, i), x }));
      const small = facts.map((fact, i) => ({ ...fact, key: 'b', x: i / 4 }));
      const asked = ['a', 'b'].flatMap((key) => values.map((_x, at) => ({ key, at })));
      const loaded = await load(db, [...facts, ...small], asked, 1_000_000);
      const fns = ['sum', 'avg', 'std', 'count'] as const;
      const aggregate = fns.map((fn) => ({ name: fn, fn, expr: 'x' }));
      for (const over of [2, undefined]) {
        const window = {
          kind: 'window',
          name: 'w',
          source: 'facts',
          by: BY,
          ...(over ? { over: `${over}h` } : {}),
          aggregate,
        } as const;
        const found = await join(db, [window], loaded);
        for (const [i, { key, at }] of asked.entries()) {
          const of = key === 'a' ? values : values.map((_x, j) => j / 4);
          const seen = of.slice(over ? Math.max(0, at + 1 - over) : 0, at + 1);
          expect([key, at, ...(found[i] ?? [])]).toEqual([key, at, ...fns.map((fn) => aggregateValues({ fn }, seen))]);
        }
      }
    });
  });

  test('a key with all its rows and questions at one instant costs no more than others; known last wins, then the greater value', async () => {
    await withDuckDb({ scratch }, async (db) => {
      const { sources, spine } = await load(db, [row(0, 0, 0)], [{ key: 'a', at: 0 }], 1_000_000);
      await db.run(`CREATE OR REPLACE TABLE facts AS SELECT 'a' AS key, ${time(1)} AS happened, i AS x, i AS y, ${time(1)} AS __known_0,
        ${time(2)} - to_seconds(i) AS __known_1, __known_0 AS __known_2, happened AS __event_at, 'infinity'::TIMESTAMP AS __bad_known_at
        FROM range(50000) r(i)`);
      await db.run(
        `CREATE OR REPLACE TABLE spine AS SELECT i AS __row, ${time(2)} AS __at, 'a' AS id FROM range(50000) r(i)`,
      );
      const view: FeatureView = { kind: 'latest', name: 'v', source: 'facts', by: BY, fields };
      const found = await join(db, [view], { sources, spine });
      expect(found).toHaveLength(50_000);
      expect(new Set(found.map((values) => values.join()))).toEqual(new Set(['0,49999']));
    });
  });

  test('many rows that are learned newest first, happen at one instant or end at one instant cost no more than others', async () => {
    await withDuckDb({ scratch }, async (db) => {
      const loaded = await load(db, [{ ...row(0, 0, 0), gone: 1 }], [{ key: 'a', at: 0 }], 1_000_000);
      // The first half is learned from the newest to the oldest, the second happens at once; all end at once, but the first two rows.
      await db.run(`CREATE OR REPLACE TABLE facts AS SELECT 'a' AS key, ${time(1)} + to_seconds(least(i, 50000)) AS happened,
        i AS x, nullif(i, 0) * 0 AS y, ${time(100)} - to_seconds(i) AS __known_0, __known_0 AS __known_1, __known_0 AS __known_2,
        happened AS __event_at, 'infinity'::TIMESTAMP AS __bad_known_at,
        CASE WHEN i < 2 THEN 'infinity'::TIMESTAMP ELSE ${time(200)} END AS __gone_at FROM range(100000) r(i)`);
      await db.run(`CREATE OR REPLACE TABLE spine AS
        SELECT i AS __row, CASE WHEN i < 50000 THEN ${time(150)} ELSE ${time(200)} END AS __at, 'a' AS id FROM range(100000) r(i)`);
      const swept: [Fn, string, number?][] = [
        ['last', 'x'],
        ['min', 'x'],
        ['quantile', 'x', 0.5],
        ['distinct', 'x'],
      ];
      const aggregate = swept.map(([fn, expr, q]) => ({ name: fn, fn, expr, ...(q === undefined ? {} : { q }) }));
      const views: FeatureView[] = [
        { kind: 'window', name: 'w', source: 'facts', by: BY, over: '9000h', aggregate },
        { ...latest(), kind: 'latest', name: 'l', fields: [{ name: 'newest', expr: 'x' }] } as FeatureView,
      ];
      const found = await join(db, views, loaded);
      expect(new Set(found.slice(0, 50_000).map((values) => values.join()))).toEqual(
        new Set([`50000,0,49999.5,100000,50000`]),
      );
      expect(new Set(found.slice(50_000).map((values) => values.join()))).toEqual(new Set(['1,0,0.5,2,1']));
    });
  });

  test('keys of different number types meet; a number and a text meet by how the number is written', async () => {
    await withDuckDb({ scratch }, async (db) => {
      const { sources } = await load(db, [{ ...row(1, 1, 5), key: '7' }], [], 100);
      await db.run(`CREATE OR REPLACE TABLE spine AS SELECT 1 AS __row, ${time(2)} AS __at, 7::BIGINT AS id`);
      const found = await join(db, [latest()], {
        sources,
        spine: { relation: 'spine', columns: new Map([['id', 'BIGINT']]), fields: [] },
      });
      expect(found).toEqual([[5]]);
    });
  });

  test.each([
    ['happened', 'TIMESTAMP'],
    ['[x, y]', 'DOUBLE[]'],
  ])('%s is refused as a feature', async (expr, type) => {
    const view: FeatureView = { kind: 'latest', name: 'v', source: 'facts', by: BY, fields: [{ name: 'f', expr }] };
    await expect(ask([row(1, 1, 1)], [1], view)).rejects.toMatchObject({
      code: 'REFIT_EXPRESSION_INVALID',
      details: { type },
    });
  });

  test('a number that float32 cannot hold is missing', async () => {
    const view: FeatureView = {
      kind: 'latest',
      name: 'v',
      source: 'facts',
      by: BY,
      fields: [{ name: 'f', expr: 'x * 1e300' }],
    };
    expect(await ask([row(1, 1, 1), row(2, 2, 0)], [1, 2], view)).toEqual([null, 0]);
  });
});
