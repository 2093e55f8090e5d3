import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { literal, withDuckDb } from '../../core/dataset/duckdb.ts';
import { logicalDigest } from '../../core/dataset/logical-digest.ts';
import { joinViews } from '../../core/features/compile.ts';
import { openSource } from '../../core/features/source-table.ts';
import type { FeatureView } from '../../core/spec/pipeline.ts';
import { iso, snapshotOf, time } from './features.fixture.ts';

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(path.join(tmpdir(), 'refit-spill-'));
  await withDuckDb({ scratch }, async (db) => {
    const pick = (i: string, seed: number, range: number) => `(hash(${i} * 8 + ${seed}) % ${range})`;
    const file = (name: string, sql: string) =>
      db.run(`COPY (${sql}) TO ${literal(path.join(scratch, `${name}.parquet`))} (FORMAT parquet)`);
    await file(
      'facts',
      `SELECT ${pick('i', 0, 20_000)} AS key, ${time(0)} + to_seconds(${pick('i', 1, 360_000)}::BIGINT) AS __event_at,
        __event_at + to_seconds(${pick('i', 2, 9_000)}::BIGINT) AS __known_0, i::DOUBLE AS x, 'the note of ' || i AS note,
        'infinity'::TIMESTAMP AS __bad_known_at FROM range(300000) r(i)`,
    );
    await file(
      'spine',
      `SELECT i AS __row, ${time(0)} + to_seconds(${pick('i', 3, 360_000)}::BIGINT) AS __at, ${pick('i', 4, 20_000)} AS id
        FROM range(300000) r(i)`,
    );
  });
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

const VIEW = { source: 'facts', by: { id: 'key' } };
const VIEWS: FeatureView[] = [
  { ...VIEW, kind: 'latest', name: 'l', fields: ['x', 'note'].map((expr) => ({ name: `newest_${expr}`, expr })) },
  { ...VIEW, kind: 'window', name: 'w', over: '20h', aggregate: [{ name: 'n', fn: 'count' }] },
  {
    ...VIEW,
    kind: 'window',
    name: 'm',
    over: '20h',
    aggregate: [{ name: 'median', fn: 'quantile', expr: 'x', q: 0.5 }],
  },
];

const SUMS = (['count', 'sum', 'avg', 'std', 'share'] as const).map((fn) => ({
  ...{ name: fn, fn },
  expr: fn === 'share' ? 'x > 7' : 'x',
}));

/** Joins with so much memory. @returns digest of the result, and how many bytes lay on disk at most */
function join(memory: string, views = VIEWS) {
  return withDuckDb({ scratch, memory }, async (db) => {
    const shape = {
      key: ['UBIGINT', '__known_0'],
      x: ['DOUBLE', '__known_0'],
      note: ['VARCHAR', '__known_0'],
    } as const;
    await db.run(`CREATE VIEW facts AS SELECT * FROM ${literal(path.join(scratch, 'facts.parquet'))}`);
    await db.run(`CREATE TEMP TABLE spine AS SELECT * FROM ${literal(path.join(scratch, 'spine.parquet'))}`);
    const snapshot = snapshotOf(
      'facts',
      Object.fromEntries(Object.entries(shape).map(([name, of]) => [name, [...of]])),
    );
    const sources = new Map([['facts', await openSource(db, snapshot, 'facts', iso(1_000))]]);
    const columns = new Map([['id', 'UBIGINT']]);
    let spilled = 0;
    const run = async (sql: string) => {
      await db.run(sql);
      const [files] = await db.rows<{ bytes: number }>(
        'SELECT coalesce(sum(size), 0)::DOUBLE AS bytes FROM duckdb_temporary_files()',
      );
      spilled = Math.max(spilled, files?.bytes ?? 0);
    };
    for (const source of sources.values()) source.db = { ...db, run, memoryBytes: db.memoryBytes / 8 };
    const { relation, features } = await joinViews({
      spine: { relation: 'spine', columns, fields: [] },
      views,
      sources,
    });
    await run(`CREATE TEMP TABLE joined AS SELECT * FROM ${relation}`);
    const digest = await logicalDigest(db, 'joined', ['__row'], ['__row', ...features.map(({ name }) => name)]);
    return { digest, spilled };
  });
}

test('a join that needs more memory than it may have spills to disk, takes the questions in slices, and gives the same', async () => {
  const ample = await join('4GB');
  expect(ample.spilled).toBe(0);
  const tight = await join('80MB');
  expect(tight.spilled).toBeGreaterThan(1e6);
  expect(tight.digest).toBe(ample.digest);
}, 120_000);

test('sums of a window need no more memory for more rows', async () => {
  const views: FeatureView[] = [{ ...VIEW, kind: 'window', name: 's', over: '20h', aggregate: SUMS }];
  const tight = await join('96MB', views);
  expect(tight.spilled).toBeGreaterThan(1e6);
  expect(tight.digest).toBe((await join('4GB', views)).digest);
}, 120_000);
