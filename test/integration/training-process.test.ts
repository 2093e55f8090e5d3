/** A training is a process: it is cancelled, dies and fails as one, and leaves nothing behind. */
import { spawn } from 'node:child_process';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auc } from '../../core/evaluation/metrics.ts';
import { readTrainingSet } from '../../core/features/read-table.ts';
import type { ErrorCode } from '../../core/spec/errors.ts';
import { createFitLogistic } from '../../core/training/fit-logistic.ts';
import { createFitModel } from '../../core/training/fit-model.ts';
import type { Parameters } from '../../core/training/lightgbm-parameters.ts';
import type { NativeModel } from '../../core/training/native-model.ts';
import { createRunTrial, trialSlice } from '../../core/training/run-trial.ts';
import { createTrainingFixture, LIBRARY, MODEL, type TrainingFixture } from './training.fixture.ts';
import { isAlive, trainingProcesses, until } from './training.processes.ts';

const ROWS = 20_000;
/** Hours of work: whoever runs it will be stopped. */
const ENDLESS = { ...MODEL, rounds: 100_000, chunk: 1000, params: { num_leaves: 255, min_data_in_leaf: 5 } };
const place = { library: LIBRARY, threads: 2 };
let fixture: TrainingFixture;
beforeAll(async () => {
  fixture = await createTrainingFixture(ROWS);
});
afterAll(() => fixture.remove());

/** Step keys are made up: each test has a store of checkpoints to itself. */
const key = (name: string) => name.padEnd(64, '0');
const fitModel = async (name: string, params: Parameters) =>
  createFitModel(place).run(
    { trainingSet: fixture.trainingSet, model: { ...MODEL, params } },
    await fixture.context(key(name)),
  );

async function qualityOf(predictions: Uint8Array): Promise<{ validate: number; test: number; scores: Float64Array }> {
  const scores = new Float64Array(predictions.slice().buffer);
  const labelsOf = async (split: 'validate' | 'test') =>
    (await readTrainingSet(fixture.data, fixture.trainingSet, { splits: [split], columns: [] })).label;
  const validate = await labelsOf('validate');
  const held = await labelsOf('test');
  expect(scores).toHaveLength(validate.length + held.length);
  return {
    validate: auc(scores.subarray(0, validate.length), validate) ?? 0,
    test: auc(scores.subarray(validate.length), held) ?? 0,
    scores,
  };
}

test('a model learns what explains the label, and says so', async () => {
  const model = await fitModel('learns', { num_leaves: 15, learning_rate: 0.2 });
  const { blobs } = await fixture.context(key('learns'));
  const quality = await qualityOf(await blobs.bytes(model.predictions));
  expect(quality.validate).toBeGreaterThan(0.75);
  expect(quality.test).toBeGreaterThan(0.75);
  const shares = Object.fromEntries(model.importance.map(({ feature, share }) => [feature, share]));
  expect(shares.smooth).toBeGreaterThan(shares.noise ?? 1);
  expect(model.importance.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1);
  expect(model).toMatchObject({ rounds: 23, roundsTrained: 23, seenUntil: fixture.trainingSet.periods.test.from });
  const native = await blobs.json<NativeModel>(model.native);
  expect(native.format === 'lightgbm' && native.model).not.toContain('parameters:');
});

test('the logistic baseline learns too, and its predictions are those of its own formula', async () => {
  const context = await fixture.context(key('logistic'));
  const model = await createFitLogistic(place).run({ trainingSet: fixture.trainingSet }, context);
  const { test: quality, scores } = await qualityOf(await context.blobs.bytes(model.predictions));
  expect(quality).toBeGreaterThan(0.7);
  const native = await context.blobs.json<NativeModel>(model.native);
  if (native.format !== 'logistic') throw new Error(native.format);
  const rows = await readTrainingSet(fixture.data, fixture.trainingSet, { splits: ['validate'] });
  for (let row = 0; row < 500; row++) {
    let z = native.intercept;
    for (const { feature, mean, scale, impute, weight, missingWeight } of native.numbers) {
      const x = rows.numbers[feature]?.[row] as number;
      z += (weight * ((Number.isNaN(x) ? impute : x) - mean)) / scale + (Number.isNaN(x) ? missingWeight : 0);
    }
    for (const { feature, levels, weights, otherWeight } of native.categories) {
      z += weights[levels.indexOf(rows.categories[feature]?.[row] ?? '')] ?? otherWeight;
    }
    expect(scores[row]).toBeCloseTo(1 / (1 + Math.exp(-z)), 12);
  }
});

test('a trial trains on the newest rows with its own parameters and tells its loss', async () => {
  const trial = async (name: string, params: Record<string, number>, rowShare: number) =>
    createRunTrial(place).run(
      {
        trainingSet: fixture.trainingSet,
        model: trialSlice({ ...MODEL, resources: 'cpu', earlyStopping: 5 }),
        trial: { index: 3, params },
        rounds: 40,
        rowShare,
      },
      await fixture.context(key(name)),
    );
  const good = await trial('good', { learning_rate: 0.1 }, 1);
  expect(good).toMatchObject({ trial: 3, params: { learning_rate: 0.1 } });
  expect(good.rounds).toBeLessThanOrEqual(40);
  // A useless learning rate and a handful of rows are both worse.
  expect((await trial('slow', { learning_rate: 0.0001 }, 1)).logLoss).toBeGreaterThan(good.logLoss);
  expect((await trial('few', { learning_rate: 0.1 }, 0.01)).logLoss).toBeGreaterThan(good.logLoss);
});

describe('parameters that cannot be used are refused by name', () => {
  test.each<[Parameters, ErrorCode, RegExp]>([
    [{ num_leafs: 31 }, 'REFIT_MODEL_UNSUPPORTED', /"num_leafs".*did you mean "num_lea/],
    [{ boosting: 'dart' }, 'REFIT_MODEL_UNSUPPORTED', /"boosting".*"dart"/],
    [{ boosting_type: 'goss' }, 'REFIT_MODEL_UNSUPPORTED', /"boosting_type".*"goss"/],
    [{ data_sample_strategy: 'goss' }, 'REFIT_MODEL_UNSUPPORTED', /"data_sample_strategy".*"goss"/],
    [{ n_jobs: 4 }, 'REFIT_MODEL_UNSUPPORTED', /"n_jobs".*worker/],
    [{ random_state: 1 }, 'REFIT_MODEL_UNSUPPORTED', /"random_state".*model.seed/],
    [{ linear_tree: true }, 'REFIT_MODEL_UNSUPPORTED', /"linear_tree"/],
    [{ num_leaves: 1 }, 'REFIT_TRAINING_FAILED', /LightGBM: .*num_leaves/],
  ])('%j', async (params, code, message) => {
    await expect(fitModel('refused', params)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });
});

test('a library that is not there is a set-up problem, said so', async () => {
  const step = createFitModel({ library: join(tmpdir(), 'no-such-library.so'), threads: 1 });
  const context = await fixture.context(key('library'));
  await expect(step.run({ trainingSet: fixture.trainingSet, model: MODEL }, context)).rejects.toMatchObject({
    code: 'REFIT_SETUP_MISSING',
  });
});

test('a cancel ends the training process before the step gives up', async () => {
  const abort = new AbortController();
  let training = (): void => undefined;
  const started = new Promise<void>((resolve) => {
    training = resolve;
  });
  const context = await fixture.context(
    key('cancel'),
    abort.signal,
    ({ round }) => void (Number(round) > 0 && training()),
  );
  const running = createFitModel(place).run({ trainingSet: fixture.trainingSet, model: ENDLESS }, context);
  const outcome = running.catch((error: unknown) => error);
  await started;
  const [pid] = await trainingProcesses();
  if (pid === undefined) throw new Error('no training process');
  const reason = new Error('cancelled by the operator');
  abort.abort(reason);
  expect(await outcome).toBe(reason);
  expect(await isAlive(pid)).toBe(false);
});

test('when its parent is killed, the training process dies with it; it starts from any folder', async () => {
  const context = await fixture.context(key('orphan'));
  const elsewhere = await mkdtemp(join(tmpdir(), 'refit-elsewhere-'));
  const url = (path: string) => JSON.stringify(pathToFileURL(join(import.meta.dirname, '../..', path)).href);
  const script = join(context.scratch, 'parent.mjs');
  await writeFile(
    script,
    `import { runTrainerProcess } from ${url('core/training/trainer-process.ts')};
     const signal = new AbortController().signal;
     const onProgress = ({ round }) => { if (round > 0) console.log('training'); };
     await runTrainerProcess(JSON.parse(process.argv[2]), { signal, onProgress, publish: async () => undefined });`,
  );
  const job = {
    data: fixture.data,
    trainingSet: fixture.trainingSet,
    model: ENDLESS,
    rowShare: 1,
    splits: ['train', 'validate'],
    ...place,
  };
  const tsx = import.meta.resolve('tsx');
  const argument = JSON.stringify({ ...job, scratch: context.scratch });
  const parent = spawn(process.execPath, ['--import', tsx, script, argument], {
    cwd: elsewhere,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => void parent.once('exit', resolve));
  await new Promise<void>((resolve) => void parent.stdout.once('data', () => resolve()));
  const [pid] = await trainingProcesses(parent.pid);
  if (pid === undefined) throw new Error('no training process');
  expect(await isAlive(pid)).toBe(true);
  parent.kill('SIGKILL');
  await ended;
  await until(async () => !(await isAlive(pid)));
});
