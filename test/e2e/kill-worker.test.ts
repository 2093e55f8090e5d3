import { readdir, readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Progress, RunResult } from '../../core/spec/run.ts';
import { createProject, type Project, runJson } from '../support/project.ts';
import { watchRun } from '../support/watched-run.ts';

const ROUNDS = 400;
const ARGS = [
  ...['flight-delays', '--as-of', '2013-05-01', '--set', 'split.test=1mo', '--set', 'split.train.min=1mo'],
  ...['--set', 'search.trials=0', '--set', `model.rounds=${ROUNDS}`, '--set', 'model.earlyStopping=0'],
];

let disturbed: Project;
let undisturbed: Project;
beforeAll(async () => {
  [disturbed, undisturbed] = await Promise.all([createProject({ months: 4 }), createProject({ months: 4 })]);
});
afterAll(async () => {
  await disturbed?.remove();
  await undisturbed?.remove();
});

test('kill -9 of the worker in mid-training: resumed, nothing twice, the same bytes', async () => {
  const run = await watchRun(disturbed, ARGS);
  const round = (progress: Progress) => progress.training?.round;
  const before = await run.reaches(round, (seen) => seen > ROUNDS * 0.3);
  expect(before).toBeLessThan(ROUNDS);
  await run.killWorker();
  const resumedAt = await run.reaches(round, (seen) => seen !== before);
  // The first round told after the crash: at most 15 % of all rounds before the last one told.
  expect(resumedAt).toBeGreaterThan(before - ROUNDS * 0.15);

  const { code, stdout } = await run.ended();
  expect(code).toBe(0);
  const result = JSON.parse(stdout) as RunResult;
  const calm = await runJson(undisturbed, ARGS);
  expect(result.model).toEqual({ ...calm.model, path: result.model.path });
  expect(await modelBytes(result)).toEqual(await modelBytes(calm));
  // One record a step, as in the undisturbed store, and one version.
  expect(await stepRecords(disturbed)).toEqual(await stepRecords(undisturbed));
  expect(await readdir(disturbed.path('.refit/store/models/flight-delays'))).toEqual(['1', 'index.json']);
});

const modelBytes = (result: RunResult) => readFile(`${result.model.path}/model.onnx`);

async function stepRecords(project: Project): Promise<string[]> {
  const names = await readdir(project.path('.refit/store/steps'), { recursive: true });
  return names.filter((name) => name.endsWith('.json')).sort();
}
