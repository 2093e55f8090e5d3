import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RunResult } from '../../core/spec/run.ts';
import { STAGES } from '../../core/spec/stages.ts';
import { copyMonth, createProject, type Project, refit, runJson } from '../support/project.ts';

/** A small life of the flights pipeline: two months of training, one to validate, one to test. */
const SMALL = [
  ...['--set', 'split.test=1mo', '--set', 'split.train.min=1mo', '--set', 'split.train.max=2mo'],
  ...['--set', 'search.trials=2', '--set', 'search.rounds=20', '--set', 'model.rounds=40'],
];
const asOf = (date: string) => ['flight-delays', '--as-of', date, ...SMALL];

const cachedStages = (result: RunResult) => result.stages.filter(({ cached }) => cached).map(({ name }) => name);
const stage = (result: RunResult, name: string) => result.stages.find((one) => one.name === name);

describe('the life of a model', () => {
  let project: Project;
  let first: RunResult;

  beforeAll(async () => {
    // January to April are here; May arrives later.
    project = await createProject({ months: 4 });
    first = await runJson(project, asOf('2013-05-01'));
  });
  afterAll(() => project?.remove());

  test('the first run goes through all six stages and promotes version 1', async () => {
    const check = new Ajv2020({ strict: false }).compile(RunResult);
    expect(check(first), JSON.stringify(check.errors)).toBe(true);
    expect(first.stages.map(({ name }) => name)).toEqual([...STAGES]);
    expect(cachedStages(first)).toEqual([]);
    expect(first).toMatchObject({ verdict: 'promoted', asOf: '2013-05-01T00:00:00Z', model: { version: 1 } });
    expect(first.metrics.test.auc).toBeGreaterThan(0.6);
    expect(await readFile(first.report, 'utf8')).toContain('<svg');
    const routing = JSON.parse(
      await readFile(project.path('.refit/store/routing/flight-delays.json'), 'utf8'),
    ) as object;
    expect(routing).toMatchObject({ champion: { version: 1, sha256: first.model.sha256 } });
  });

  test('a second run with the same inputs computes nothing and is unchanged', async () => {
    const again = await runJson(project, asOf('2013-05-01'));
    expect(again.verdict).toBe('unchanged');
    expect(cachedStages(again)).toEqual([...STAGES]);
    expect(again.model).toEqual(first.model);
    expect(await readdir(project.path('.refit/store/models/flight-delays'))).toEqual(['1', 'index.json']);
  });

  test('another model setting reuses extract and features', async () => {
    const other = await runJson(project, [...asOf('2013-05-01'), '--set', 'model.params.num_leaves=15']);
    expect(cachedStages(other)).toEqual(expect.arrayContaining(['extract', 'features']));
    expect(cachedStages(other)).not.toContain('train');
    expect(other.model.sha256).not.toBe(first.model.sha256);
  });

  test('a month later only the new month is extracted', async () => {
    await copyMonth(project.root, 5);
    const later = await runJson(project, asOf('2013-06-01'));
    // Four months, weather, planes and airports were there; May is new.
    expect(stage(later, 'extract')?.details?.partitions).toEqual({ total: 8, extracted: 1 });
    expect(stage(later, 'extract')?.rows).toBeGreaterThan(stage(first, 'extract')?.rows ?? Infinity);
  });

  test('a gate that fails rejects: exit 3, the version is kept, marked and barred', async () => {
    const args = ['run', ...asOf('2013-05-01'), '--set', 'gates.0.limit=0.99', '--json'];
    const outcome = await refit(project, args);
    expect(outcome.code).toBe(3);
    const result = JSON.parse(outcome.stdout) as RunResult;
    expect(result.verdict).toBe('rejected');
    expect(result.gates[0]).toMatchObject({ passed: false, limit: 0.99 });
    const folder = `.refit/store/models/flight-delays/${result.model.version}`;
    expect(await readdir(project.path(folder))).toEqual(
      expect.arrayContaining(['barred.json', 'manifest.json', 'model.onnx']),
    );
    expect((await refit(project, args)).code).toBe(3);
  });

  test('a cached artefact that was altered or deleted is noticed and made again', async () => {
    const folder = project.path('.refit/store/blobs/sha256');
    const blobs = (await readdir(folder, { recursive: true })).filter((name) => /[0-9a-f]{64}$/.test(name)).sort();
    for (const [index, name] of blobs.entries()) {
      const file = `${folder}/${name}`;
      if (index % 2 === 0)
        await writeFile(
          file,
          (await readFile(file)).map((byte, at) => (at === 10 ? byte ^ 1 : byte)),
        );
      else await rm(file);
    }
    const again = await runJson(project, asOf('2013-05-01'));
    expect(again.model).toEqual(first.model);
    expect(again.metrics).toEqual(first.metrics);
    expect(cachedStages(again)).not.toContain('train');
  });
});
