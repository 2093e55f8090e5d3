import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createProject, errorOf, type Project, refit } from '../support/project.ts';

const RUN = ['run', 'flight-delays', '--as-of', '2013-04-01', '--json', '--set', 'split.test=1mo'];
const SMALL = [...RUN, '--set', 'split.train.min=1mo', '--set', 'search.trials=0', '--set', 'model.rounds=10'];
const MARCH = 'data/nycflights13/flights/2013-03.parquet';

let project: Project;
beforeEach(async () => {
  project = await createProject({ months: 3 });
});
afterEach(() => project.remove());

/** One clear sentence with code and cure, the right exit status, no stack trace, nothing published. */
async function expectError(
  args: string[],
  status: number,
  code: string,
  sentence: RegExp,
  env: NodeJS.ProcessEnv = {},
) {
  const outcome = await refit(project, args, env);
  const error = errorOf(outcome);
  expect(error.code).toBe(code);
  expect(error.message).toMatch(sentence);
  expect(error.message.split('\n')).toHaveLength(1);
  expect(error.cure.length).toBeGreaterThan(10);
  expect(outcome.code).toBe(status);
  expect(outcome.stdout + outcome.stderr).not.toMatch(/^\s+at .+:\d+:\d+/m);
  for (const published of ['models', 'routing', 'audit']) {
    expect(existsSync(project.path('.refit/store', published)), published).toBe(false);
  }
}

/** Rewrites the flights of March by a SELECT over them. */
async function rewriteMarch(select: string): Promise<void> {
  const file = project.path(MARCH);
  await copyFile(file, `${file}.before`);
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  await connection.run(
    `COPY (${select.replace('march', `read_parquet('${file}.before')`)}) TO '${file}' (FORMAT parquet)`,
  );
  connection.closeSync();
  instance.closeSync();
}

describe('wrong usage (exit 2)', () => {
  test('unknown pipeline', () =>
    expectError(['run', 'flight-delay', '--json'], 2, 'REFIT_PIPELINE_UNKNOWN', /did you mean "flight-delays"/));

  test('broken spec', async () => {
    const file = project.path('pipelines/flight-delays/pipeline.ts');
    await writeFile(file, (await readFile(file, 'utf8')).replace("test: '3mo'", "test: '3 months'"));
    await expectError(['run', 'flight-delays', '--json'], 2, 'REFIT_PIPELINE_INVALID', /split\.test is "3 months"/);
  });

  test('a pipeline that does not parse', async () => {
    await writeFile(project.path('pipelines/flight-delays/pipeline.ts'), 'export default definePipeline({');
    await expectError(['run', 'flight-delays', '--json'], 2, 'REFIT_PIPELINE_INVALID', /line 1/);
  });

  test('bad asOf, unknown setting, unknown flag', async () => {
    await expectError(
      ['run', 'flight-delays', '--as-of', '2013-02-30', '--json'],
      2,
      'REFIT_AS_OF_INVALID',
      /2013-02-30/,
    );
    await expectError([...RUN, '--set', 'model.round=3'], 2, 'REFIT_SET_INVALID', /did you mean "rounds"/);
    await expectError(['run', 'flight-delays', '--as-off', 'x', '--json'], 2, 'REFIT_USAGE', /--as-off/);
  });

  test('an expression over a column that is not there', () =>
    expectError([...SMALL, '--set', 'spine.label=arr_dely > 15'], 2, 'REFIT_EXPRESSION_INVALID', /arr_dely/));
});

describe('failed runs (exit 1)', () => {
  test('missing column', async () => {
    await rewriteMarch('SELECT * EXCLUDE (dep_delay) FROM march');
    await expectError(
      SMALL,
      1,
      'REFIT_CONTRACT_MISSING_COLUMN',
      /2013-03\.parquet.*dep_delay|dep_delay.*2013-03\.parquet/,
    );
  });

  test('corrupt Parquet', async () => {
    await truncate(project.path(MARCH), 100_000);
    await expectError(SMALL, 1, 'REFIT_SOURCE_UNREADABLE', /2013-03\.parquet/);
  });

  test('too many rows that break the contract', async () => {
    await rewriteMarch('SELECT * REPLACE (CASE WHEN day < 4 THEN -9999 ELSE distance END AS distance) FROM march');
    await expectError(SMALL, 1, 'REFIT_CONTRACT_BAD_ROWS', /distance/);
    expect(existsSync(project.path('.refit/store/datasets/flights'))).toBe(false);
  });

  test('data older than the freshness limit', () =>
    expectError([...SMALL.slice(0, 2), '--as-of', '2013-06-01', ...SMALL.slice(4)], 1, 'REFIT_DATA_STALE', /flights/));

  test('label with one class', () =>
    expectError(
      [...SMALL, '--set', 'spine.label=arr_delay > 5000'],
      1,
      'REFIT_LABEL_ONE_CLASS',
      /rows of the train period .* have the label false/,
    ));

  test('empty window', () => expectError([...RUN, '--set', 'split.train.min=6mo'], 1, 'REFIT_WINDOW_EMPTY', /2013-01/));

  test('a date before all data', () => {
    const early = [...SMALL.slice(0, 2), '--as-of', '2012-06-01', ...SMALL.slice(4)];
    const sentence = /^Source "(flights|weather)" has no data as of 2012-06-01T00:00:00Z: it starts at 201[23]-/;
    return expectError(early, 1, 'REFIT_WINDOW_EMPTY', sentence);
  });

  test('Temporal unreachable', () =>
    expectError(SMALL, 1, 'REFIT_TEMPORAL_UNREACHABLE', /127\.0\.0\.1:9/, { TEMPORAL_ADDRESS: '127.0.0.1:9' }));

  test('full disk', async () => {
    const small = project.path('small-disk');
    await mkdir(small);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', small]);
    expect(mounted.status, 'this test mounts a small disk, which needs root').toBe(0);
    try {
      await expectError(SMALL, 1, 'REFIT_STORE_FULL', /full/, { REFIT_STORE: `file:${small}/store` });
      const names = await readdir(small, { recursive: true });
      expect(names.filter((name) => /^store\/(models|routing|audit)/.test(name))).toEqual([]);
    } finally {
      spawnSync('umount', [small]);
    }
  });
});
