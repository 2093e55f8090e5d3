import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withDuckDb } from '../../core/dataset/duckdb.ts';
import { appendNumbers, streamNumbers } from '../../core/dataset/number-columns.ts';

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(path.join(tmpdir(), 'refit-numbers-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

test('blocks of any length are added as they are, and read again in their order', async () => {
  const lengths = [0, 1, 2048, 5000];
  const read: [bigint, number][] = [];
  await withDuckDb({ scratch }, async (db) => {
    await db.run('CREATE TEMP TABLE numbers (a BIGINT, b FLOAT)');
    const blocks = lengths.map((length) => [
      BigInt64Array.from({ length }, (_one, i) => BigInt(length * 10_000 + i)),
      Float32Array.from({ length }, (_one, i) => i / 4),
    ]);
    await appendNumbers(db, 'numbers', blocks);
    await streamNumbers(db, 'FROM numbers', ([a, b], length) => {
      for (let i = 0; i < length; i++) read.push([(a as BigInt64Array)[i] as bigint, (b as Float32Array)[i] as number]);
    });
  });
  expect(read).toEqual(
    lengths.flatMap((length) => Array.from({ length }, (_one, i) => [BigInt(length * 10_000 + i), i / 4])),
  );
});

test('a query that fails on its way fails the reading, and so does who reads; the database can be asked again', async () => {
  const sql = "SELECT CASE WHEN i > 900000 THEN error('too late')::BIGINT ELSE i END FROM range(1000000) t(i)";
  await withDuckDb({ scratch }, async (db) => {
    await expect(streamNumbers(db, sql, () => undefined)).rejects.toThrow('too late');
    const reader = () => {
      throw new Error('enough');
    };
    await expect(streamNumbers(db, 'SELECT i FROM range(1000000) t(i)', reader)).rejects.toThrow('enough');
    expect(await db.rows('SELECT 7 AS n')).toEqual([{ n: 7 }]);
  });
});
