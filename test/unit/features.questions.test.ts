import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withDuckDb } from '../../core/dataset/duckdb.ts';
import type { KeyPair } from '../../core/features/join-keys.ts';
import { readQuestions, SpineQuestions } from '../../core/features/questions.ts';

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(path.join(tmpdir(), 'refit-questions-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

test('however many keys a spine has, the questions by one of them are in memory at a time', async () => {
  await withDuckDb({ scratch }, async (db) => {
    await db.run(`CREATE TEMP TABLE spine AS
      SELECT i AS __row, TIMESTAMP '2024-01-01' + to_seconds(i) AS __at, i % 3 AS a, i % 5 AS b FROM range(60) r(i)`);
    const questions = new SpineQuestions('spine');
    const by = (name: string) => questions.byKeys(db, [{ spineSql: `s.${name}` } as KeyPair]);
    const read = async (name: string) => {
      const asked = await by(name);
      const { lastKey, times } = await readQuestions(db, asked, 0, asked.count);
      return [lastKey + 1, times.length];
    };
    expect(await read('a')).toEqual([3, 60]);
    expect((await by('a')).read).toBeDefined();
    const first = await by('a');
    expect(await read('b')).toEqual([5, 60]);
    expect(first.read).toBeUndefined();
    expect(await read('a')).toEqual([3, 60]);
  });
});
