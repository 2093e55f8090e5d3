import fc from 'fast-check';
import { expect, test } from 'vitest';
import { foldChanges } from '../../core/dataset/fold-changes.ts';
import { snapshotRelation } from '../../core/dataset/snapshot-sql.ts';
import { joinViews } from '../../core/features/compile.ts';
import { openSource } from '../../core/features/source-table.ts';
import type { Snapshot } from '../../core/spec/artifacts.ts';
import type { Aggregate, FeatureView } from '../../core/spec/pipeline.ts';
import { ANYTHING, database, workplace } from './dataset.fixture.ts';
import { iso, rowsSql, time, valuesOf } from './features.fixture.ts';
import { type Fact, type Fn, latestOracle, windowOracle } from './features.oracle.ts';

interface Change {
  key: string;
  op: 'insert' | 'update' | 'delete';
  event: number;
  known: number;
  x: number | null;
}

const hour = fc.integer({ min: 0, max: 12 });
/** In the order of their versions; they became known in any order. */
const changes = fc.array(
  fc.record({
    key: fc.constantFrom('a', 'b'),
    op: fc.constantFrom('insert', 'update', 'update', 'delete'),
    event: hour,
    known: hour,
    x: fc.option(fc.integer({ min: -8, max: 8 }), { freq: 6 }),
  }) as fc.Arbitrary<Change>,
  { minLength: 1, maxLength: 14 },
);

const ASKED = ['a', 'b', 'c'].flatMap((key) => Array.from({ length: 15 }, (_hour, at) => ({ key, at })));
const FNS: [Fn, q?: number][] = [['count'], ['sum'], ['min'], ['last'], ['distinct'], ['quantile', 0.5]];
const SPEC = { key: ['key'], op: 'op', version: 'version' };

/** A row counts from when it was known until one of a higher version was; a delete is but the end of others. */
function factsOf(rows: Change[]): Fact[] {
  return rows.flatMap(({ key, op, event, known, x }, version) => {
    const later = rows.slice(version + 1).filter((other) => other.key === key);
    const gone = Math.min(Infinity, ...later.map((other) => other.known));
    if (op === 'delete' || gone <= known) return [];
    return [{ key, event, known: [known, known, known], bad: Infinity, gone, x, y: x }];
  });
}

async function published(place: Awaited<ReturnType<typeof workplace>>, rows: Change[]): Promise<Snapshot> {
  const columns = ['key', 'op', 'version', 'happened', 'heard', 'x'];
  const types = ['VARCHAR', 'VARCHAR', 'BIGINT', 'TIMESTAMP', 'TIMESTAMP', 'DOUBLE'];
  const values = rows.map(({ key, op, event, known, x }, version) => {
    return [`'${key}'`, `'${op}'`, String(version), time(event), time(known), String(x)];
  });
  const partitions = [];
  for (const odd of [1, 0]) {
    const own = values.filter((_row, i) => i % 2 === odd);
    const name = await place.write(`changes/${odd}.parquet`, rowsSql(columns, types, own));
    const slice = { contract: ANYTHING, changes: SPEC, eventTime: 'happened', knownAt: { '*': 'heard' } };
    partitions.push(await place.extract(name, slice));
  }
  const folded = await foldChanges.run({ source: 'facts', partitions, changes: SPEC }, await place.context());
  const nothing = { id: 'test', rules: [], newestEvent: null, manifest: '', rows: 0, quarantined: 0 };
  return { ...nothing, source: 'facts', columns: folded.columns, partitions: [folded], ends: true };
}

test('change data, folded: views see each row until it was updated or deleted, as far as was known', async () => {
  const place = await workplace();
  await fc.assert(
    fc.asyncProperty(changes, fc.integer({ min: 6, max: 14 }), async (rows, asOf) => {
      const aggregate = FNS.map(([fn, q]): Aggregate => ({ name: `${fn}_x`, fn, expr: 'x', ...(q ? { q } : {}) }));
      const view = { name: 'v', source: 'facts', by: { id: 'key' } };
      const views: FeatureView[] = [
        { ...view, kind: 'latest', fields: [{ name: 'newest', expr: 'x' }] },
        { ...view, kind: 'window', over: '4h', aggregate },
      ];
      const facts = factsOf(rows);
      const expected = ASKED.map((asked) => [
        latestOracle(facts, asked, { asOf, column: 'x' }),
        ...FNS.map(([fn, q]) => windowOracle(facts, asked, { asOf, column: 'x', over: 4, fn, q })),
      ]);
      const snapshot = await published(place, rows);
      const found = await database(place.root, async (db) => {
        const source = await openSource(db, snapshot, await snapshotRelation(db, snapshot, place.blobs), iso(asOf));
        const asked = ASKED.map(({ key, at }, i) => [String(i), time(at), `'${key}'`]);
        await db.run(
          `CREATE TABLE spine AS ${rowsSql(['__row', '__at', 'id'], ['BIGINT', 'TIMESTAMP', 'VARCHAR'], asked)}`,
        );
        const spine = { relation: 'spine', columns: new Map([['id', 'VARCHAR']]), fields: [] };
        const { relation } = await joinViews({ spine, views, sources: new Map([['facts', source]]) });
        return valuesOf(db, `SELECT * EXCLUDE (__row) FROM ${relation} ORDER BY __row`);
      });
      expect(found).toEqual(expected);
    }),
    { numRuns: 15 },
  );
}, 120_000);
