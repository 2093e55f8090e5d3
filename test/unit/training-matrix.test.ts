import { expect, test } from 'vitest';
import { logLoss } from '../../core/training/log-loss.ts';
import { rowsOf, type TrainingTable, toMatrix, trainingLabelsOf, vocabularies } from '../../core/training/matrix.ts';

const table: TrainingTable = {
  rows: 6,
  features: [
    { name: 'temp', kind: 'number', view: 'v' },
    { name: 'carrier', kind: 'category', view: 'v' },
  ],
  numbers: { temp: Float32Array.of(1, Number.NaN, 3, 4, 5, 6) },
  categories: { carrier: ['UA', 'AA', null, 'UA', 'ZZ', 'AA'] },
  label: Uint8Array.of(0, 1, 0, 1, 1, 0),
  split: Uint8Array.of(0, 0, 0, 0, 1, 2),
};

test('levels come from the training rows, in order of name; what is unseen or missing later is NaN', () => {
  const train = rowsOf(table, 'train');
  const levels = vocabularies(table, train);
  expect(levels).toEqual({ carrier: ['AA', 'UA'] });
  expect([...toMatrix(table, train, levels).values]).toEqual([1, 1, Number.NaN, 0, 3, Number.NaN, 4, 1]);
  expect([...toMatrix(table, rowsOf(table, 'validate'), levels).values]).toEqual([5, Number.NaN]);
  expect([...toMatrix(table, rowsOf(table, 'test'), levels).values]).toEqual([6, 0]);
});

test("'' is no level, and '' and infinities are missing", () => {
  const odd: TrainingTable = {
    ...table,
    numbers: { temp: Float32Array.of(1, Infinity, 3, 4, -Infinity, 6) },
    categories: { carrier: ['UA', 'AA', '', 'UA', 'ZZ', ''] },
  };
  const rows = Uint32Array.from([0, 1, 2, 3, 4, 5]);
  expect(vocabularies(odd, rowsOf(odd, 'train'))).toEqual({ carrier: ['AA', 'UA'] });
  const missing = { ...odd, numbers: { temp: Float32Array.of(1, Number.NaN, 3, 4, Number.NaN, 6) } };
  const levels = { carrier: ['AA', 'UA'] };
  expect(toMatrix(odd, rows, levels)).toEqual(
    toMatrix({ ...missing, categories: { carrier: ['UA', 'AA', null, 'UA', 'ZZ', null] } }, rows, levels),
  );
});

test('a share of rows is the newest of them', () => {
  expect([...rowsOf(table, 'train', 0.5)]).toEqual([2, 3]);
  expect([...rowsOf(table, 'train', 0.01)]).toEqual([3]);
});

test('of very many levels the most frequent are kept, ties by name', () => {
  const values = Array.from({ length: 1200 }, (_, i) => `L${String(i).padStart(4, '0')}`);
  const many: TrainingTable = {
    ...table,
    rows: 1201,
    categories: { carrier: [...values, 'L1199'] },
    split: new Uint8Array(1201),
  };
  const { carrier } = vocabularies(many, rowsOf(many, 'train'));
  expect(carrier).toHaveLength(1000);
  expect(carrier?.at(-1)).toBe('L1199');
  expect(carrier?.at(-2)).toBe('L0998');
});

test('rows of one outcome only cannot be learnt from', () => {
  expect(() => trainingLabelsOf(table, Uint32Array.of(0, 2))).toThrow('do not hold both outcomes');
});

test('log loss of a known example', () => {
  expect(logLoss(Float64Array.of(0.9, 0.2), [1, 0])).toBeCloseTo(-(Math.log(0.9) + Math.log(0.8)) / 2, 15);
  expect(Number.isFinite(logLoss(Float64Array.of(0, 1), [1, 0]))).toBe(true);
});
