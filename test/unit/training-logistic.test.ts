import { describe, expect, test } from 'vitest';
import { createLogisticTrainer } from '../../core/training/logistic-trainer.ts';
import type { TrainingTable } from '../../core/training/matrix.ts';
import type { LogisticNative } from '../../core/training/native-model.ts';
import { solve } from '../../core/training/newton.ts';
import type { ModelSlice, TrainerResult } from '../../core/training/trainer.ts';

async function fitted(table: Partial<TrainingTable>, params: ModelSlice['params'] = { l2: 1e-9 }) {
  const rows = table.label?.length ?? 0;
  const whole = {
    rows,
    features: [],
    numbers: {},
    categories: {},
    label: new Uint8Array(0),
    split: new Uint8Array(rows),
  };
  const model: ModelSlice = {
    ...{ trainer: 'logistic', objective: 'binary', rounds: 1, chunk: 1, earlyStopping: 0, seed: 0 },
    params,
  };
  const result: TrainerResult = await createLogisticTrainer().fit(
    { table: { ...whole, ...table }, model, rowShare: 1, threads: 1 },
    { progress: () => Promise.resolve(), checkpoint: () => Promise.resolve() },
  );
  return { ...result, native: result.native as LogisticNative };
}

const logit = (p: number): number => Math.log(p / (1 - p));
const number = (name: string) => ({ name, kind: 'number' as const, view: 'v' });
const category = (name: string) => ({ name, kind: 'category' as const, view: 'v' });

test('one category: each level gets the log odds of its rows', async () => {
  // AA: 3 of 4 positive, UA: 1 of 5.
  const values = [...Array(4).fill('AA'), ...Array(5).fill('UA')] as string[];
  const label = Uint8Array.of(1, 1, 1, 0, 1, 0, 0, 0, 0);
  const { native } = await fitted({ features: [category('carrier')], categories: { carrier: values }, label });
  const [carrier] = native.categories;
  expect(carrier?.levels).toEqual(['AA', 'UA']);
  expect(native.intercept + (carrier?.weights[0] ?? 0)).toBeCloseTo(logit(3 / 4), 6);
  expect(native.intercept + (carrier?.weights[1] ?? 0)).toBeCloseTo(logit(1 / 5), 6);
});

test('missing numbers get a weight of their own', async () => {
  // x = 0: 1 of 4 positive, x = 1: 3 of 4, missing: 2 of 3.
  const x = Float32Array.of(0, 0, 0, 0, 1, 1, 1, 1, Number.NaN, Number.NaN, Number.NaN);
  const label = Uint8Array.of(1, 0, 0, 0, 1, 1, 1, 0, 1, 1, 0);
  const { native } = await fitted({ features: [number('x')], numbers: { x }, label });
  const [term] = native.numbers;
  if (!term) throw new Error('no term');
  const at = (value: number): number => native.intercept + (term.weight * (value - term.mean)) / term.scale;
  expect(term).toMatchObject({ mean: 0.5, scale: 0.5, impute: 0.5 });
  expect(at(0)).toBeCloseTo(logit(1 / 4), 6);
  expect(at(1)).toBeCloseTo(logit(3 / 4), 6);
  expect(at(term.impute) + term.missingWeight).toBeCloseTo(logit(2 / 3), 6);
});

test('an infinite number is a missing one', async () => {
  const x = (odd: number) => Float32Array.of(0, 0, 1, 1, odd, -odd, 2, odd);
  const label = Uint8Array.of(0, 1, 0, 1, 1, 1, 1, 0);
  const model = (odd: number) => fitted({ features: [number('x')], numbers: { x: x(odd) }, label });
  const { native, predictions } = await model(Infinity);
  expect(native).toEqual((await model(Number.NaN)).native);
  expect(predictions.every(Number.isFinite)).toBe(true);
});

test('at the optimum the penalised gradient is zero, also with a strong penalty and separable data', async () => {
  const x = Float32Array.of(-3, -2, -1, 1, 2, 3);
  const label = Uint8Array.of(0, 0, 0, 1, 1, 1);
  const { native } = await fitted({ features: [number('x')], numbers: { x }, label }, { l2: 2 });
  const [term] = native.numbers;
  if (!term) throw new Error('no term');
  let gradient = 2 * term.weight;
  let residuals = 0;
  for (const [i, value] of x.entries()) {
    const standard = (value - term.mean) / term.scale;
    const residual = 1 / (1 + Math.exp(-native.intercept - term.weight * standard)) - (label[i] as number);
    gradient += residual * standard;
    residuals += residual;
  }
  expect(gradient).toBeCloseTo(0, 7);
  expect(residuals).toBeCloseTo(0, 7);
});

test('a constant, an empty column and a copied one do no harm', async () => {
  const x = Float32Array.of(0, 1, 2, 3, 4, 5);
  const { native, predictions } = await fitted(
    {
      features: ['x', 'copy', 'constant', 'empty'].map(number),
      numbers: { x, copy: x, constant: new Float32Array(6).fill(7), empty: new Float32Array(6).fill(Number.NaN) },
      label: Uint8Array.of(0, 0, 1, 0, 1, 1),
      split: Uint8Array.of(0, 0, 0, 0, 0, 0),
    },
    {},
  );
  expect(native.numbers.map(({ weight }) => Number.isFinite(weight))).toEqual([true, true, true, true]);
  expect(native.numbers[0]?.weight).toBeCloseTo(native.numbers[1]?.weight ?? 0, 9);
  expect(predictions).toHaveLength(0);
});

test('importance adds up to 1 and leads with the feature that matters', async () => {
  const label = Uint8Array.from({ length: 200 }, (_, i) => (i % 10 < 4 ? 1 : 0));
  const strong = Float32Array.from(label, (y, i) => y + (i % 3));
  const weak = Float32Array.from(label, (_, i) => i % 7);
  const { importance } = await fitted(
    { features: [number('weak'), number('strong')], numbers: { strong, weak }, label },
    {},
  );
  expect(importance[0]?.feature).toBe('strong');
  expect(importance.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 12);
});

describe('parameters', () => {
  test.each([
    [{ num_leaves: 3 }, /no parameter "num_leaves"/],
    [{ l2: 0 }, /"l2" must be a number above 0/],
  ])('%j is refused', async (params, message) => {
    await expect(fitted({ label: Uint8Array.of(0, 1) }, params)).rejects.toThrow(message);
  });
});

test('a system of equations is solved', () => {
  // [[4, 2], [2, 3]] x = [10, 8] → x = [1.75, 1.5]
  const x = solve(Float64Array.of(4, 0, 2, 3), Float64Array.of(10, 8), 2);
  expect([...x]).toEqual([expect.closeTo(1.75, 12), expect.closeTo(1.5, 12)]);
});
