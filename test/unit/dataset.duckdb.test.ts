import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withDuckDb } from '../../core/dataset/duckdb.ts';

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(path.join(tmpdir(), 'refit-duckdb-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

test('a query that needs more than its memory says so, and nothing of the values', async () => {
  const query = withDuckDb({ scratch, memory: '20MB' }, (db) =>
    db.rows("SELECT len(list('secret' || i)) AS n FROM range(5000000) t(i)"),
  );
  await expect(query).rejects.toMatchObject({
    code: 'REFIT_MEMORY_EXCEEDED',
    message: 'A query needs more memory than the 20MB it may hold, even with the rest on disk.',
  });
});

/** Fails, if at all, long after its first rows have come. */
const late = (value: string) => `SELECT CASE WHEN i > 900000 THEN ${value} ELSE i END AS n FROM range(1000000) t(i)`;

async function counted(value: string, onRows: (rows: number) => void = () => undefined, signal?: AbortSignal) {
  let rows = 0;
  await withDuckDb({ scratch, signal }, async (db) => {
    for await (const { rowCount } of db.chunks(late(value))) {
      rows += rowCount;
      onRows(rows);
    }
  });
  return rows;
}

test('a query that fails on its way is not taken for one that came to its end', async () => {
  expect(await counted('0')).toBe(1_000_000);
  await expect(counted("error('too late')::BIGINT")).rejects.toThrow('too late');
});

test('a query that is stopped on its way is not taken for one that came to its end', async () => {
  const stop = new AbortController();
  await expect(counted('0', () => stop.abort(new Error('stopped')), stop.signal)).rejects.toThrow('stopped');
});

test('who leaves a query on its way may ask another', async () => {
  const last = await withDuckDb({ scratch }, async (db) => {
    for await (const _ of db.chunks(late('0'))) break;
    return db.rows('SELECT 7 AS n');
  });
  expect(last).toEqual([{ n: 7 }]);
});

// Beside what two threads hold of a sort, nobody could write the answers of a look-up: joins with 128MB came to no end.
test.each([
  ['128MB', 1],
  ['2GB', 2],
])('with %s the threads are %i', async (memory, threads) => {
  const [row] = await withDuckDb({ scratch, memory }, (db) => db.rows("SELECT current_setting('threads')::INT AS n"));
  expect(row).toEqual({ n: threads });
});
