import { describe, expect, test } from 'vitest';
import { exportNativeModel } from '../../core/onnx/export-model.ts';
import type { LogisticNative } from '../../core/training/native-model.ts';
import { largestDifference, predictOnnx } from './onnx.fixture.ts';

const MODEL: LogisticNative = {
  format: 'logistic',
  intercept: -0.3,
  numbers: [
    { feature: 'delay', mean: 12.5, scale: 40, impute: 12.5, weight: 0.9, missingWeight: -0.2 },
    { feature: 'wind', mean: -3, scale: 0.001, impute: 4, weight: 1e-4, missingWeight: 0 },
  ],
  categories: [
    { feature: 'origin', levels: ['EWR', 'JFK', 'LGA'], weights: [0.1, -0.7, 0.4], otherWeight: 0.05 },
    { feature: 'carrier', levels: [], weights: [], otherWeight: 0.3 },
  ],
  features: [
    { name: 'origin', kind: 'category', view: 'flight' },
    { name: 'delay', kind: 'number', view: 'plane' },
    { name: 'carrier', kind: 'category', view: 'flight' },
    { name: 'wind', kind: 'number', view: 'weather' },
  ],
};

const { NaN: MISSING, POSITIVE_INFINITY: INFINITY } = Number;
const DELAY = [0, 30, MISSING, MISSING, -0, 1e6, INFINITY, -INFINITY];
const WIND = [-3, MISSING, 0, MISSING, 1e-40, -7, 1, 1];
const ORIGIN = ['JFK', null, 'EWR', 'unseen', '', 'LGA', 'JFK', 'JFK'];
const TABLE = {
  rows: 8,
  numbers: { delay: Float32Array.from(DELAY), wind: Float32Array.from(WIND) },
  categories: { origin: ORIGIN, carrier: ORIGIN },
};

/** The formula of NativeModel, row by row. */
function reference(model: LogisticNative, row: number): number {
  let z = model.intercept;
  for (const { feature, mean, scale, impute, weight, missingWeight } of model.numbers) {
    const x = TABLE.numbers[feature as 'delay'][row] as number;
    const missing = !Number.isFinite(x);
    z += (weight * ((missing ? impute : x) - mean)) / scale + (missing ? missingWeight : 0);
  }
  for (const { feature, levels, weights, otherWeight } of model.categories) {
    z += weights[levels.indexOf(TABLE.categories[feature as 'origin'][row] ?? '')] ?? otherWeight;
  }
  return 1 / (1 + Math.exp(-z));
}

describe('the ONNX graph of a logistic regression', () => {
  test('answers as the formula: missing and unseen values, infinities, an empty level list', async () => {
    const expected = DELAY.map((_, row) => reference(MODEL, row));
    expect(largestDifference(await predictOnnx(MODEL, TABLE), expected)).toBeLessThanOrEqual(1e-7);
  });

  test.each<[string, 'number' | 'category', Partial<LogisticNative>]>([
    ['numbers', 'number', { categories: [] }],
    ['categories', 'category', { numbers: [] }],
  ])('works with %s only', async (_, kept, change) => {
    const model = { ...MODEL, ...change, features: MODEL.features.filter(({ kind }) => kind === kept) };
    const expected = DELAY.map((_, row) => reference(model, row));
    expect(largestDifference(await predictOnnx(model, TABLE), expected)).toBeLessThanOrEqual(1e-7);
  });

  const [delay, wind] = MODEL.numbers as [LogisticNative['numbers'][number], LogisticNative['numbers'][number]];
  test.each<[string, Partial<LogisticNative>, RegExp]>([
    ['scale 0', { numbers: [{ ...delay, scale: 0 }, wind] }, /"delay" has scale 0/],
    ['a weight that is no number', { numbers: [{ ...delay, weight: MISSING }, wind] }, /"delay".*not finite/],
    ['a term without its feature', { numbers: [{ ...delay, feature: 'nobody' }] }, /"nobody"/],
    ['two terms for a feature', { numbers: [delay, delay] }, /"delay"/],
    ['no terms at all', { numbers: [], categories: [] }, /without terms/],
    ['no features', { numbers: [], categories: [], features: [] }, /without features/],
  ])('refuses %s', (_, change, message) => {
    const attempt = () => exportNativeModel({ ...MODEL, ...change });
    expect(attempt).toThrow(message);
    expect(attempt).toThrow(expect.objectContaining({ code: 'REFIT_MODEL_UNSUPPORTED' }));
  });
});
