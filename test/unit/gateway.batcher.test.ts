import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FeatureInfo } from '../../core/spec/artifacts.ts';
import { RefitError } from '../../core/spec/errors.ts';
import { createBatcher } from '../../gateway/batcher.ts';
import { concatTables, type FeatureTable, modelInput, packRows, rowReader } from '../../gateway/feature-table.ts';

const FEATURES: FeatureInfo[] = [
  { name: 'a', kind: 'number', view: 'v' },
  { name: 'c', kind: 'category', view: 'v' },
  { name: 'b', kind: 'number', view: 'v' },
];
const rowOf = fc.record({
  a: fc.option(fc.float({ noNaN: true, noDefaultInfinity: true })),
  b: fc.option(fc.float({ noNaN: true, noDefaultInfinity: true })),
  c: fc.option(fc.string({ minLength: 1 })),
});
const numbered = (...values: number[]): FeatureTable =>
  packRows(
    FEATURES,
    values.map((a) => ({ a, b: 0 })),
  );

/** A score is the row's `a`; batches end when told. */
function manual(options: Partial<Parameters<typeof createBatcher>[0]> = {}) {
  const batches: { rows: number; end(error?: Error): void }[] = [];
  const batcher = createBatcher({
    ...{ batchRows: 4, queueRows: 8, threads: 1 },
    score: (table) =>
      new Promise((resolve, reject) => {
        const end = (error?: Error) => (error ? reject(error) : resolve(table.numbers.slice(0, table.rows)));
        batches.push({ rows: table.rows, end });
      }),
    ...options,
  });
  return { batcher, batches };
}
const turn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

describe('tables', () => {
  test('give back the rows that went in, in one piece or in many', () => {
    fc.assert(
      fc.property(fc.array(fc.array(rowOf, { maxLength: 5 }), { minLength: 1, maxLength: 5 }), (parts) => {
        const table = concatTables(parts.map((rows) => packRows(FEATURES, rows)));
        const read = rowReader(FEATURES);
        const all = parts.flat();
        expect(Array.from({ length: table.rows }, (_, i) => read(table, i))).toEqual(all);
        const { numbers, categories } = modelInput(FEATURES, table);
        expect(numbers.b).toEqual(Float32Array.from(all, ({ b }) => b ?? Number.NaN));
        expect(categories.c).toEqual(all.map(({ c }) => c));
      }),
    );
  });

  test('take what float32 cannot hold as missing, as training did', () => {
    expect([...packRows(FEATURES, [{ a: 1e300, b: Number.POSITIVE_INFINITY, c: '' }]).numbers]).toEqual([
      Number.NaN,
      Number.NaN,
    ]);
  });
});

describe('the batcher', () => {
  test('scores what comes in one turn together, and gives each its own', async () => {
    const { batcher, batches } = manual();
    const asked = [batcher.submit(numbered(1)), batcher.submit(numbered(2, 3)), batcher.submit(numbered(4))];
    await turn();
    expect(batches.map(({ rows }) => rows)).toEqual([4]);
    batches[0]?.end();
    expect((await Promise.all(asked)).map((scores) => [...scores])).toEqual([[1], [2, 3], [4]]);
  });

  test('gathers while the threads are busy, up to its limit', async () => {
    const { batcher, batches } = manual();
    const first = batcher.submit(numbered(1));
    await turn();
    const later = [batcher.submit(numbered(2, 3)), batcher.submit(numbered(4)), batcher.submit(numbered(5, 6))];
    await turn();
    expect(batches.map(({ rows }) => rows)).toEqual([1]);
    batches[0]?.end();
    await first;
    await turn();
    expect(batches.map(({ rows }) => rows)).toEqual([1, 3]);
    batches[1]?.end();
    await turn();
    batches[2]?.end();
    expect((await Promise.all(later)).map((scores) => [...scores])).toEqual([[2, 3], [4], [5, 6]]);
  });

  test('scores a request that is larger than a batch alone', async () => {
    const { batcher, batches } = manual();
    const asked = [batcher.submit(numbered(1, 2, 3, 4, 5, 6)), batcher.submit(numbered(7))];
    await turn();
    expect(batches.map(({ rows }) => rows)).toEqual([6]);
    batches[0]?.end();
    await turn();
    batches[1]?.end();
    expect((await Promise.all(asked)).map((scores) => scores.length)).toEqual([6, 1]);
  });

  test('asks again for each request of a batch that fails: only the one at fault fails, and it goes on', async () => {
    const { batcher, batches } = manual();
    const asked = [batcher.submit(numbered(1)), batcher.submit(numbered(2))];
    await turn();
    batches[0]?.end(new Error('out of order'));
    await turn();
    batches[1]?.end();
    await turn();
    batches[2]?.end(new Error('out of order'));
    expect(await Promise.allSettled(asked)).toMatchObject([{ status: 'fulfilled' }, { status: 'rejected' }]);
    const next = batcher.submit(numbered(3));
    await turn();
    batches[3]?.end();
    expect([...(await next)]).toEqual([3]);
  });

  test('that took too long is not asked for again', async () => {
    const { batcher, batches } = manual();
    const asked = [batcher.submit(numbered(1)), batcher.submit(numbered(2))];
    await turn();
    batches[0]?.end(new RefitError('REFIT_OVERLOADED', 'The model did not answer.'));
    expect(await Promise.allSettled(asked)).toMatchObject([{ status: 'rejected' }, { status: 'rejected' }]);
    expect(batches).toHaveLength(1);
  });

  test('refuses more rows than may wait, and takes them again later', async () => {
    const { batcher, batches } = manual();
    const first = batcher.submit(numbered(1));
    await turn();
    const waiting = batcher.submit(numbered(1, 2, 3, 4, 5, 6, 7, 8));
    await expect(batcher.submit(numbered(9))).rejects.toMatchObject({ code: 'REFIT_OVERLOADED' });
    batches[0]?.end();
    await first;
    await turn();
    const again = batcher.submit(numbered(9));
    batches[1]?.end();
    await waiting;
    await turn();
    batches[2]?.end();
    expect([...(await again)]).toEqual([9]);
  });

  test('keeps every thread busy', async () => {
    const { batcher, batches } = manual({ threads: 2, batchRows: 1 });
    const asked = [1, 2, 3].map((value) => batcher.submit(numbered(value)));
    await turn();
    expect(batches).toHaveLength(2);
    for (const { end } of batches) end();
    await turn();
    batches[2]?.end();
    expect((await Promise.all(asked)).map(([score]) => score)).toEqual([1, 2, 3]);
  });
});
