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
