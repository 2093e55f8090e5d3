/** From raw rows through transforms and selection to a model that is asked for raw features: the real trainers, the real runtime. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readTrainingSet } from '../../core/features/read-table.ts';
import { exportOnnx } from '../../core/onnx/export-model.ts';
import { openOnnxModel } from '../../core/onnx/session.ts';
import type { FittedModel, Prepared, TrainingSet } from '../../core/spec/artifacts.ts';
import * as declare from '../../core/spec/define-transforms.ts';
import type { FittedTransforms, SelectionReport, SelectSpec, TransformSpec } from '../../core/spec/transforms.ts';
import { createCheckpoints } from '../../core/store/checkpoints.ts';
import { createFitModel } from '../../core/training/fit-model.ts';
import { createRunTrial } from '../../core/training/run-trial.ts';
import type { ModelSlice } from '../../core/training/trainer.ts';
import { fitTransforms, keyOfFolds } from '../../core/transforms/fit-transforms.ts';
import { createSelectFeatures } from '../../core/transforms/select-features.ts';
import { createTrainingFixture, LIBRARY, MODEL, type TrainingFixture } from './training.fixture.ts';
import { trainingProcesses, until } from './training.processes.ts';

const TRANSFORMS: TransformSpec[] = [
  declare.impute('gaps', { with: 'median', indicator: true }),
  declare.cap('gaps', { quantiles: [0.01, 0.99] }),
  declare.log('gaps', { keep: true }),
  declare.polynomial(['gaps', 'smooth']),
  declare.bin('hour', { quantiles: 6, keep: true }),
  declare.oneHot('hour_bin'),
  declare.targetEncode('plane', { by: 'key', folds: 4 }),
  declare.frequency('carrier', { keep: true }),
  declare.impute('carrier', { with: 'mostFrequent' }),
  declare.scale('*', { by: 'robust' }),
];
const PLACE = { library: LIBRARY, threads: 1 };
const SELECT: SelectSpec = { always: [], rounds: 20 };

let fixture: TrainingFixture;
let raw: TrainingSet;
let prepared: Prepared;
let attempts = 0;
const context = (name: string) => fixture.context(`${name}-${attempts++}`.padEnd(64, '0'));
const prepare = async () =>
  fitTransforms.run(
    { trainingSet: raw, transforms: TRANSFORMS, key: keyOfFolds(TRANSFORMS, ['id']) },
    await context('transforms'),
  );

beforeAll(async () => {
  fixture = await createTrainingFixture(6_000);
  raw = fixture.trainingSet;
  prepared = await prepare();
});
afterAll(() => fixture.remove());

/** The largest difference between the trainer's predictions and the ONNX graph that is given raw features. */
async function parityOf(fitted: FittedModel): Promise<{ difference: number; inputs: string[] }> {
  const { blobs, ...rest } = await context('export');
  const { onnx } = await exportOnnx.run({ model: fitted }, { blobs, ...rest });
  const session = await openOnnxModel(await blobs.path(onnx), fitted.features);
  const table = await readTrainingSet(fixture.data, raw, { splits: ['validate', 'test'] });
  const served = await session.predict(table);
  const inputs = session.signature().inputs.map(({ name }) => name);
  await session.close();
  const bytes = await blobs.bytes(fitted.predictions);
  const trained = new Float64Array(new Uint8Array(bytes).buffer);
  expect(trained).toHaveLength(served.length);
  return { difference: Math.max(...trained.map((p, row) => Math.abs(p - (served[row] ?? 9)))), inputs };
}

test('the same rows give the same fitted transforms and columns, to the byte', async () => {
  expect(await prepare()).toEqual(prepared);
});

test('what is fitted does not change with rows that are not for training', async () => {
  // The validation rows become training rows: now everything is another.
  const { train, validate, test: held } = raw.rows;
  const more = { ...raw, rows: { train: train + validate, validate: held, test: 0 } };
  await expect(
    fitTransforms.run({ trainingSet: more, transforms: TRANSFORMS, key: ['id'] }, await context('more')),
  ).rejects.toThrow(/does not begin with its training rows/);
  const { blobs } = await context('read');
  const fitted = await blobs.json<FittedTransforms>(prepared.transforms as NonNullable<Prepared['transforms']>);
  const gaps = fitted.stages[0];
  const table = await readTrainingSet(fixture.data, raw, { splits: ['train'], columns: ['gaps'] });
  const sorted = [...(table.numbers.gaps ?? [])].filter(Number.isFinite).sort((a, b) => a - b);
  const middle =
    ((sorted[Math.floor((sorted.length - 1) / 2)] ?? 0) + (sorted[Math.ceil((sorted.length - 1) / 2)] ?? 0)) / 2;
  expect(gaps).toEqual({
    op: 'impute',
    items: [{ column: 'gaps', to: 'gaps', fill: Math.fround(middle), indicator: 'gaps_missing' }],
  });
});

describe.each<[string, ModelSlice]>([
  ['trees', { ...MODEL, rounds: 40, chunk: 15 }],
  ['a logistic regression', { ...MODEL, trainer: 'logistic', params: {}, rounds: 1, chunk: 1 }],
])('%s on transformed columns', (_, model) => {
  test('is served raw features and answers as in training', async () => {
    const trainingSet = { ...raw, prepared };
    const fitted = await createFitModel(PLACE).run({ trainingSet, model }, await context('fit'));
    expect(fitted.importance.map(({ feature }) => feature)).toEqual(
      expect.arrayContaining(['gaps_log', 'hour_bin_0', 'plane']),
    );
    const { difference, inputs } = await parityOf(fitted);
    expect(difference).toBeLessThan(1e-5);
    expect(inputs.sort()).toEqual(['carrier', 'gaps', 'hour', 'noise', 'plane', 'smooth']);
  });
});

test('a trial sees a share of the transformed training rows, and no test row', async () => {
  const { rounds: _r, chunk: _c, ...model } = MODEL;
  const input = {
    trainingSet: { ...raw, prepared },
    model,
    trial: { index: 0, params: {} },
    rounds: 10,
    rowShare: 0.5,
  };
  const trial = await createRunTrial(PLACE).run(input, await context('trial'));
  expect(trial.logLoss).toBeGreaterThan(0.3);
  expect(trial.logLoss).toBeLessThan(0.69);
});

describe('selection', () => {
  const input = (select: Partial<SelectSpec>, trainingSet: TrainingSet = { ...raw, prepared }) => ({
    trainingSet,
    select: { ...SELECT, ...select },
    model: { objective: MODEL.objective, seed: MODEL.seed, params: MODEL.params },
  });

  test('of raw features: the model is asked for those that stay and for no other', async () => {
    const selecting = input({ eliminate: { keep: 2, step: 0.5 } }, raw);
    const selected = await createSelectFeatures(PLACE).run(selecting, await context('raw'));
    expect(selected.features.map(({ name }) => name)).toEqual(['gaps', 'smooth']);
    const trainingSet = { ...raw, prepared: selected };
    const fitted = await createFitModel(PLACE).run({ trainingSet, model: MODEL }, await context('fit-raw'));
    expect(await parityOf(fitted)).toMatchObject({ inputs: ['gaps', 'smooth'] });
    expect(fitted.selection).toEqual(selected.selection);
  });

  test('of transformed columns: a raw feature that none of them needs is no input any more', async () => {
    const select = { correlation: 0.9, eliminate: { keep: 4, step: 0.3 }, always: ['gaps_log'] };
    const selected = await createSelectFeatures(PLACE).run(input(select), await context('made'));
    expect(selected.features).toHaveLength(4);
    expect(selected.features.map(({ name }) => name)).toContain('gaps_log');
    const fitted = await createFitModel(PLACE).run(
      { trainingSet: { ...raw, prepared: selected }, model: MODEL },
      await context('fit-made'),
    );
    const { difference, inputs } = await parityOf(fitted);
    expect(difference).toBeLessThan(1e-5);
    expect(inputs).not.toContain('noise');
    const { blobs } = await context('read');
    const report = await blobs.json<SelectionReport>(selected.selection as NonNullable<Prepared['selection']>);
    expect(report.inputs).toEqual(selected.inputs.map(({ name }) => name));
    expect(report.unused).toContain('noise');
    const twins = report.dropped.filter(({ by }) => by === 'correlation');
    expect(twins.map(({ with: twin }) => twin)).toContain('gaps_log');
  });

  test('killed in the middle, it goes on after the trainings that were done', async () => {
    const select = { eliminate: { keep: 1, step: 0.1 } };
    const whole = await createSelectFeatures(PLACE).run(input(select), await context('whole'));
    const first = await context('killed');
    const checkpoints = createCheckpoints(first.blobs.objects, 'select-features', first.key);
    const running = createSelectFeatures(PLACE)
      .run(input(select), first)
      .then(
        () => 'finished',
        (error: unknown) => error,
      );
    await until(async () => ((await checkpoints.latest())?.index ?? -1) >= 2);
    await until(async () => (await trainingProcesses()).length > 0);
    for (const pid of await trainingProcesses()) process.kill(pid, 'SIGKILL');
    expect(await running).toMatchObject({ code: 'REFIT_TRAINER_CRASHED' });

    const trainings: unknown[] = [];
    const again = await fixture.context(first.key, undefined, ({ training }) => trainings.push(training));
    expect(await createSelectFeatures(PLACE).run(input(select), again)).toEqual(whole);
    expect(Math.min(...trainings.map(Number))).toBeGreaterThan(3);
  });

  test('a column that must stay and does not exist is named', async () => {
    const attempt = createSelectFeatures(PLACE).run(
      input({ importance: 0.01, always: ['gap_log'] }),
      await context('no'),
    );
    await expect(attempt).rejects.toThrow(/no column "gap_log" after the transforms \(did you mean "gaps_log"\?\)/);
  });
});
