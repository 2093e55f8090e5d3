/** What each transform learns, on rows small enough to check by hand. Only the training rows count. */
import { describe, expect, test } from 'vitest';
import * as declare from '../../core/spec/define-transforms.ts';
import type { TransformSpec } from '../../core/spec/transforms.ts';
import { fitChain } from '../../core/transforms/fit-chain.ts';
import { type Cell, shown, tableOf } from './transforms.fixture.ts';

/** Columns after the transforms; the rows from `train` on are later than training. */
async function transformed(
  columns: Record<string, Cell[]>,
  specs: TransformSpec[],
  options: Parameters<typeof tableOf>[1] = {},
) {
  const table = tableOf(columns, options);
  const stages = await fitChain(specs, table);
  return { stages, columns: Object.fromEntries(table.columns.map(({ name, values }) => [name, shown(values)])) };
}

describe('numbers', () => {
  test('missing values are filled with a figure of the training rows, whatever comes later', async () => {
    const x = [1, 2, null, 9, 9, 1000, null];
    const fill = async (how: Parameters<typeof declare.impute>[1]) =>
      (await transformed({ x }, [declare.impute('x', how)], { train: 5 })).columns;
    expect((await fill({ with: 'mean' })).x).toEqual([1, 2, 5.25, 9, 9, 1000, 5.25]);
    expect((await fill({ with: 'median' })).x).toEqual([1, 2, 5.5, 9, 9, 1000, 5.5]);
    expect((await fill({ with: 'mostFrequent' })).x).toEqual([1, 2, 9, 9, 9, 1000, 9]);
    expect((await fill({ value: -1 })).x).toEqual([1, 2, -1, 9, 9, 1000, -1]);
    expect(await fill({ value: 0, indicator: true, keep: true })).toEqual({
      x: [1, 2, null, 9, 9, 1000, null],
      x_imputed: [1, 2, 0, 9, 9, 1000, 0],
      x_missing: [0, 0, 1, 0, 0, 0, 1],
    });
  });

  test('scaling: standard, minMax, robust; a constant is shifted, missing stays missing', async () => {
    const of = async (x: Cell[], by: 'standard' | 'minMax' | 'robust') =>
      (await transformed({ x }, [declare.scale('x', { by })], { train: 5 })).columns.x;
    expect(await of([1, 3, 1, 3, null, 7], 'standard')).toEqual([-1, 1, -1, 1, null, 5]);
    expect(await of([2, 4, 6, 10, null, 14], 'minMax')).toEqual([0, 0.25, 0.5, 1, null, 1.5]);
    expect(await of([0, 1, 2, 3, 4, 100], 'robust')).toEqual([-1, -0.5, 0, 0.5, 1, 49]);
    expect(await of([5, 5, 5, 5, 5, 6], 'standard')).toEqual([0, 0, 0, 0, 0, 1]);
  });

  test('logarithm: of 1 + x, nothing from -1 down; signed for both sides', async () => {
    const x = [0, Math.E - 1, -1, -5];
    expect((await transformed({ x }, [declare.log('x')])).columns.x).toEqual([0, 1, null, null]);
    const signed = (await transformed({ x }, [declare.log('x', { signed: true })])).columns.x;
    expect(signed).toEqual([0, 1, Math.fround(-Math.log(2)), Math.fround(-Math.log(6))]);
  });

  test('polynomial: squares and products beside the columns', async () => {
    const { columns } = await transformed({ a: [2, 3e30, null], b: [5, 7, 1] }, [declare.polynomial(['a', 'b'])]);
    expect(columns).toMatchObject({
      a_squared: [4, null, null],
      b_squared: [25, 49, 1],
      a_x_b: [10, Math.fround(7 * Math.fround(3e30)), null],
    });
  });

  test('bins: an edge belongs to the bin above, later values to the outer bins', async () => {
    const x = [1, 2, 3, 4, 5, -10, 100, null];
    const of = async (how: Parameters<typeof declare.bin>[1]) =>
      (await transformed({ x }, [declare.bin('x', how)], { train: 5 })).columns.x;
    expect(await of({ quantiles: 4 })).toEqual([0, 1, 2, 3, 3, 0, 3, null]);
    expect(await of({ uniform: 2 })).toEqual([0, 0, 1, 1, 1, 0, 1, null]);
    expect(await of({ edges: [2, 4.5] })).toEqual([0, 1, 1, 1, 2, 0, 2, null]);
  });

  test('outliers are brought to the edge of the training rows', async () => {
    const x = [0, 1, 2, 3, 4, -50, 50, null];
    const quantiles = await transformed({ x }, [declare.cap('x', { quantiles: [0.25, 0.75] })], { train: 5 });
    expect(quantiles.columns.x).toEqual([1, 1, 2, 3, 3, 1, 3, null]);
    const iqr = await transformed({ x }, [declare.cap('x', { iqr: 1.5 })], { train: 5 });
    expect(iqr.columns.x).toEqual([0, 1, 2, 3, 4, -2, 6, null]);
  });
});

describe('values as labels', () => {
  const c = ['a', 'b', 'a', null, 'c', 'new', ''];

  test('one-hot: frequent values get a column; rare, unseen and missing ones are 0 everywhere', async () => {
    const { columns } = await transformed({ c }, [declare.oneHot('c', { minShare: 0.3 })], { train: 5 });
    expect(columns).toEqual({ c_a: [1, 0, 1, 0, 0, 0, 0] });
    const all = await transformed({ c, c_b: [1, 2, 3, 4, 5, 6, 7] }, [declare.oneHot('c', { keep: true })], {
      train: 5,
    });
    expect(Object.keys(all.columns)).toEqual(['c', 'c_b', 'c_a', 'c_b_2', 'c_c']);
  });

  test('one-hot of names with odd letters gives columns that differ', async () => {
    const { columns } = await transformed({ c: ['a b', 'a/b', 'a_b'] }, [declare.oneHot('c')]);
    expect(Object.values(columns)).toEqual([
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ]);
  });

  test('ordinal and frequency; a number may be a label too', async () => {
    expect((await transformed({ c }, [declare.ordinal('c')], { train: 5 })).columns.c).toEqual([
      0,
      1,
      0,
      null,
      2,
      null,
      null,
    ]);
    const order = declare.ordinal('c', { order: ['c', 'b', 'a'] });
    expect((await transformed({ c }, [order], { train: 5 })).columns.c).toEqual([2, 1, 2, null, 0, null, null]);
    const share = (await transformed({ c }, [declare.frequency('c')], { train: 5 })).columns.c;
    expect(share).toEqual([0.4, 0.2, 0.4, 0.2, 0.2, 0, 0.2].map(Math.fround));
    const hour = (await transformed({ h: [7, 7, 0, -0, 5] }, [declare.frequency('h')], { train: 4 })).columns.h;
    expect(hour).toEqual([0.5, 0.5, 0.5, 0.5, 0]);
  });

  test('target encoding: later rows get the rate of all training rows, drawn to the overall rate', async () => {
    const { columns } = await transformed(
      { c: ['a', 'a', 'a', 'a', 'b', 'b', 'b', 'b', 'a', 'new', null] },
      [declare.targetEncode('c', { smoothing: 4, folds: 2 })],
      { train: 8, label: [1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0] },
    );
    expect(columns.c?.slice(8)).toEqual([0.625, 0.5, 0.5]);
  });

  test('target encoding: no training row sees its own label', async () => {
    // A value that every row has for itself: in its own fold there is nothing to learn from, so nothing of the label is left.
    const label = [1, 0, 1, 1, 0, 0, 1, 0];
    const c = label.map((_, row) => `only ${row}`);
    for (const by of ['time', 'key'] as const) {
      const encoded = await transformed({ c }, [declare.targetEncode('c', { by, folds: 4, smoothing: 1 })], {
        label,
        keys: c,
      });
      const changed = label.with(3, 0);
      const other = await transformed({ c }, [declare.targetEncode('c', { by, folds: 4, smoothing: 1 })], {
        label: changed,
        keys: c,
      });
      expect(other.columns.c?.[3]).toBe(encoded.columns.c?.[3]);
      expect(other.columns.c).not.toEqual(encoded.columns.c);
    }
  });

  test('folds by key follow the key and not the row', async () => {
    const label = [1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0, 1];
    const keys = label.map((_, row) => `k${row}`);
    const c = label.map((_, row) => 'xyz'[row % 3] ?? 'x');
    const encode = async (order: number[]) => {
      const pick = <T>(values: T[]) => order.map((row) => values[row] as T);
      const specs = [declare.targetEncode('c', { by: 'key', folds: 3 })];
      const { columns } = await transformed({ c: pick(c) }, specs, { label: pick(label), keys: pick(keys) });
      return Object.fromEntries(order.map((row, place) => [row, columns.c?.[place]]));
    };
    const straight = await encode([...label.keys()]);
    expect(await encode([...label.keys()].reverse())).toEqual(straight);
    expect(new Set(Object.values(straight)).size).toBeGreaterThan(3);
  });

  test('missing texts are filled', async () => {
    expect((await transformed({ c }, [declare.impute('c', { with: 'mostFrequent' })], { train: 5 })).columns.c).toEqual(
      ['a', 'b', 'a', 'a', 'c', 'new', 'a'],
    );
    const none = await transformed({ c }, [declare.impute('c', { value: 'none', indicator: true })], { train: 5 });
    expect(none.columns).toEqual({ c: ['a', 'b', 'a', 'none', 'c', 'new', 'none'], c_missing: [0, 0, 0, 1, 0, 0, 1] });
  });
});

test('a chain works on what was made before, and "*" takes every column of the kind, but no indicator', async () => {
  const { columns } = await transformed({ x: [0, null, 2], c: ['a', 'b', 'a'] }, [
    declare.impute('*', { value: 1, indicator: true }),
    declare.targetEncode('c', { keep: true }),
    declare.scale('*', { by: 'minMax' }),
    declare.oneHot('*'),
  ]);
  expect(Object.keys(columns)).toEqual(['x', 'x_missing', 'c_target', 'c_a', 'c_b']);
  expect(columns.x).toEqual([0, 0.5, 1]);
  expect(columns.x_missing).toEqual([0, 1, 0]);
});

test.each<[string, TransformSpec, RegExp]>([
  [
    'an unknown column',
    declare.scale('sped'),
    /^transforms\.0: there is no column "sped" here \(did you mean "speed"\?\)\.$/,
  ],
  ['a category as a number', declare.scale('c'), /scale takes numbers, but "c" is a category; make it a number first/],
  [
    'the mean of a category',
    declare.impute('c', { with: 'mean' }),
    /impute takes numbers, but "c" is a category; fill it with/,
  ],
  [
    'a text in a number',
    declare.impute('speed', { value: 'none' }),
    /"speed" is a number and cannot be filled with the text "none"/,
  ],
  ['a name that is taken', declare.log('speed', { keep: true }), /there is a column "speed_log" already/],
  ['a column twice', declare.scale(['speed', 'speed']), /column "speed" is named twice/],
])('%s is refused by place and name', async (_, spec, message) => {
  const attempt = transformed({ speed: [1, 2], speed_log: [1, 2], c: ['a', 'b'] }, [spec]);
  await expect(attempt).rejects.toThrow(message);
  await expect(attempt).rejects.toMatchObject({ code: 'REFIT_PIPELINE_INVALID' });
});
