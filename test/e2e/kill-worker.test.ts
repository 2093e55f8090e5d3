import { readdir, readFile } from 'node:fs/promises';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Progress, RunResult } from '../../core/spec/run.ts';
import { createProject, type Project, runJson, startRefit } from '../support/project.ts';

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
  const { child, output, outcome } = startRefit(disturbed, ['run', ...ARGS, '--json']);
  const address = await until(() => /Temporal (127\.0\.0\.1:\d+)/.exec(output.stderr)?.[1]);
  const connection = await Connection.connect({ address });
  const workflow = new Client({ connection }).workflow.getHandle(/train\/\S+/.exec(output.stderr)?.[0] ?? '');
  const round = async () => (await workflow.query<Progress>('progress').catch(() => undefined))?.training?.round;

  const before = await until(async () => {
    const seen = await round();
    return seen !== undefined && seen > ROUNDS * 0.3 ? seen : undefined;
  });
  expect(before).toBeLessThan(ROUNDS);
  process.kill(await workerOf(child.pid), 'SIGKILL');
  const resumedAt = await until(async () => {
    const seen = await round();
    return seen !== undefined && seen !== before ? seen : undefined;
  });
  // The first round told after the crash: at most 15 % of all rounds before the last one told.
  expect(resumedAt).toBeGreaterThan(before - ROUNDS * 0.15);

  const { code, stdout } = await outcome;
  expect(code).toBe(0);
  const result = JSON.parse(stdout) as RunResult;
  const calm = await runJson(undisturbed, ARGS);
  expect(result.model).toEqual({ ...calm.model, path: result.model.path });
  expect(await modelBytes(result)).toEqual(await modelBytes(calm));
  // One record a step, as in the undisturbed store, and one version.
  expect(await stepRecords(disturbed)).toEqual(await stepRecords(undisturbed));
  expect(await readdir(disturbed.path('.refit/store/models/flight-delays'))).toEqual(['1', 'index.json']);
  await connection.close();
});

const modelBytes = (result: RunResult) => readFile(`${result.model.path}/model.onnx`);

async function stepRecords(project: Project): Promise<string[]> {
  const names = await readdir(project.path('.refit/store/steps'), { recursive: true });
  return names.filter((name) => name.endsWith('.json')).sort();
}

/** The worker among the children of the command, by the file it runs. */
async function workerOf(parent: number | undefined): Promise<number> {
  const children = (await readFile(`/proc/${parent}/task/${parent}/children`, 'utf8')).trim().split(' ');
  for (const pid of children) {
    if (/\/worker\.js|workers\/all\.ts/.test(await readFile(`/proc/${pid}/cmdline`, 'utf8'))) return Number(pid);
  }
  throw new Error(`no worker among the children of ${parent}`);
}

async function until<T>(probe: () => T | undefined | Promise<T | undefined>): Promise<T> {
  for (let tries = 0; tries < 600; tries++) {
    const found = await probe();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error('did not happen within two minutes');
}
