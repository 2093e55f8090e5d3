import fc from 'fast-check';
import { expect, test } from 'vitest';
import { withDuckDb } from '../../core/dataset/duckdb.ts';
import { Cover, makeStretches } from '../../core/dataset/fold-stretches.ts';

test('what is not covered is what no stretch before it holds', () => {
  const stretch = fc.tuple(fc.bigInt({ min: 0n, max: 30n }), fc.bigInt({ min: 0n, max: 30n }));
  fc.assert(
    fc.property(fc.array(stretch, { maxLength: 12 }), stretch, (added, [begin, end]) => {
      const cover = new Cover();
      for (const [from, to] of added) cover.add(from, to);
      const gaps = [...cover.gaps(begin, end)];
      for (let at = -1n; at <= 31n; at++) {
        const bare = at >= begin && at < end && !added.some(([from, to]) => at >= from && at < to);
        expect(gaps.filter(([from, to]) => at >= from && at < to)).toHaveLength(bare ? 1 : 0);
      }
      // In order, and none touches the next: each is a row of the history.
      for (const [i, [from]] of gaps.entries()) if (i > 0) expect(from > (gaps[i - 1]?.[1] ?? 0n)).toBe(true);
    }),
  );
});

test('one entity whose every change was corrected at one instant costs no more than many', async () => {
  const count = 50_000;
  const found = await withDuckDb({ scratch: '/nowhere' }, async (db) => {
    // Each change counts a minute after the one before; all old ones ended with the correction, which put as many new ones in.
    const time = (n: string) => `TIMESTAMP '2024-01-01' + to_minutes((${n})::INTEGER)`;
    await db.run(`CREATE TEMP TABLE entered AS
      SELECT 1 AS id, i AS __row, ${time('i')} AS __counts, ${time(`${count} + 10`)} AS __end, 2 * i + 1 AS __rank,
        __end AS __gone_at, false AS __deletes, true AS __mixed FROM range(${count}) t(i)
      UNION ALL SELECT 1, ${count} + i, ${time(`${count} + 10 + i`)}, ${time(`${count} + 11 + i`)}, 2 * i + 2, 'infinity', false, true
        FROM range(${count}) t(i)`);
    await makeStretches(db, ['id']);
    return db.rows<{ rows: number; minutes: number }>(`SELECT count(*)::DOUBLE AS rows,
      sum(epoch(__to - __from) / 60)::DOUBLE AS minutes FROM stretches`);
  });
  // The last of the old ones counts for the ten minutes more until the correction.
  expect(found).toEqual([{ rows: 2 * count, minutes: 2 * count + 10 }]);
});
