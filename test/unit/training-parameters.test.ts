import { expect, test } from 'vitest';
import type { ModelSpec } from '../../core/spec/pipeline.ts';
import { formatParameters } from '../../core/training/lightgbm-parameters.ts';
import { modelSlice, shares } from '../../core/training/trainer.ts';

const KNOWN = new Map([
  ['num_leaves', ['num_leaf', 'max_leaves']],
  ['lambda_l2', ['reg_lambda', 'lambda']],
  ['num_threads', ['n_jobs']],
  ['max_bin', []],
  ['forcedbins_filename', []],
  ['monotone_constraints', ['mc']],
]);

test('parameters are written sorted, by their canonical names', () => {
  expect(formatParameters({ reg_lambda: 0.5, max_bin: 63, mc: '1,0,-1' }, KNOWN)).toBe(
    'lambda_l2=0.5 max_bin=63 monotone_constraints=1,0,-1',
  );
});

test.each([
  [{ num_leafs: 3 }, /"num_leafs" \(did you mean "num_lea/],
  [{ n_jobs: 3 }, /"n_jobs".*the worker/],
  [{ forcedbins_filename: 'bins.json' }, /"forcedbins_filename".*not supported/],
  [{ num_leaves: 3, max_leaves: 4 }, /"max_leaves" is the same as "num_leaves"/],
  [{ num_leaves: Number.NaN }, /"num_leaves" must be a finite number/],
  // One value must not bring further parameters along.
  [{ mc: '1 num_threads=64' }, /"mc" must be one word/],
])('%j is refused by name', (parameters, message) => {
  expect(() => formatParameters(parameters, KNOWN)).toThrow(message);
});

test('the pool that trains a model is no part of what it is', () => {
  const model: ModelSpec = {
    ...{ trainer: 'gbdt', objective: 'binary', rounds: 9, chunk: 3, earlyStopping: 0, seed: 1, params: {} },
    resources: 'gpu',
  };
  expect(modelSlice(model)).not.toHaveProperty('resources');
  expect(modelSlice(model)).toEqual(modelSlice({ ...model, resources: 'cpu' }));
});

test('shares add up to 1, highest first; a model that splits nowhere has none', () => {
  const features = [{ name: 'b' }, { name: 'c' }, { name: 'a' }];
  expect(shares(features, [1, 3, 0])).toEqual([
    { feature: 'c', share: 0.75 },
    { feature: 'b', share: 0.25 },
    { feature: 'a', share: 0 },
  ]);
  expect(shares(features, [0, 0, 0]).map(({ share }) => share)).toEqual([0, 0, 0]);
});
