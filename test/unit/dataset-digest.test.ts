import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { literal } from '../../core/dataset/duckdb.ts';
import { logicalDigest } from '../../core/dataset/logical-digest.ts';
import { database } from './dataset.fixture.ts';

const BIG = `(SELECT i, i % 7 AS k, md5(i::VARCHAR) AS t, i / 3 AS f FROM range(200000) r(i))`;
const digest = (relation: string, orderBy: string[], columns: string[], threads = 1) =>
  database('/tmp', (db) => logicalDigest(db, relation, orderBy, columns), threads);

describe('the logical digest', () => {
  it('does not depend on threads or on where rows lie', async () => {
    const one = await digest(BIG, ['k', 'i'], ['t', 'f']);
    expect(await digest(BIG, ['k', 'i'], ['t', 'f'], 4)).toBe(one);
    expect(await digest(`(SELECT * FROM ${BIG} ORDER BY hash(i))`, ['k', 'i'], ['t', 'f'], 4)).toBe(one);
    // Rows that are equal in the given order are ordered by their values.
    expect(await digest(`(SELECT * FROM ${BIG} ORDER BY hash(i))`, ['k'], ['t', 'f'], 4)).toBe(
      await digest(BIG, ['k'], ['t', 'f']),
    );
  });

  it('changes with any value, order, name, type or row', async () => {
    const tables = [
      BIG,
      BIG.replace('i / 3', 'i / 3 + (CASE WHEN i = 150000 THEN 1e-11 ELSE 0 END)'),
      BIG.replace('200000', '199999'),
      BIG.replace('i / 3 AS f', '(i / 3)::FLOAT AS f'),
    ];
    const digests = await Promise.all(tables.map((table) => digest(table, ['i'], ['t', 'f'])));
    digests.push(
      await digest(BIG, ['t'], ['t', 'f']),
      await digest(BIG, ['i'], ['f', 't']),
      await digest(BIG, ['i'], ['t']),
    );
    expect(new Set(digests).size).toBe(digests.length);
  });

  it('tells any two rows of text apart: separators, empty text and NULL included', async () => {
    const cell = fc.option(fc.string({ unit: fc.constantFrom('~', ':', '1', '2', '\n', ''), maxLength: 3 }));
    const row = fc.tuple(cell, cell);
    const pairs = fc.sample(fc.tuple(row, row), { numRuns: 60, seed: 11 });
    const sql = (values: (string | null)[]) =>
      `(SELECT ${values.map((v) => (v === null ? 'NULL' : literal(v))).join('::VARCHAR AS a, ')}::VARCHAR AS b)`;
    await database('/tmp', async (db) => {
      for (const [left, right] of pairs) {
        const [a, b] = [
          await logicalDigest(db, sql(left), [], ['a', 'b']),
          await logicalDigest(db, sql(right), [], ['a', 'b']),
        ];
        expect(a === b).toBe(JSON.stringify(left) === JSON.stringify(right));
      }
    });
  });
});
