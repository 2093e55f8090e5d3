import { describe, expect, test } from 'vitest';
import { validatePipeline } from '../../core/pipeline/validate.ts';
import { featureNames } from '../../core/pipeline/view-features.ts';
import { bin, cap, impute, oneHot, scale, targetEncode } from '../../core/spec/define-transforms.ts';
import type { TransformSpec } from '../../core/spec/transforms.ts';
import { pipelineSpec } from './pipeline.fixture.ts';

/** The pipeline with something else at a path; undefined takes it out. */
function broken(path: string, value: unknown): unknown {
  const spec = pipelineSpec() as unknown as Record<string, unknown>;
  const parts = path.split('.');
  const last = parts.pop() ?? '';
  const at = parts.reduce<Record<string, unknown>>((node, part) => node[part] as Record<string, unknown>, spec);
  if (value === undefined) delete at[last];
  else at[last] = value;
  return spec;
}

describe('a pipeline is refused with one sentence that names the place', () => {
  test.each<[string, unknown, RegExp]>([
    ['model.rnds', 5, /^here: model has an unknown property "rnds" \(did you mean "rounds"\?\)\.$/],
    ['split', undefined, /^here: the pipeline lacks "split"\.$/],
    ['model.earlyStopping', -1, /model\.earlyStopping is -1, but must be >= 0/],
    ['model.trainer', 'xgboost', /model\.trainer is "xgboost", but may be gbdt, logistic/],
    ['features.1.ttl', '6 hours', /features\.1\.ttl is "6 hours"/],
    ['features.2.aggregate.0.fn', 'median', /features\.2\.aggregate\.0\.fn is "median", but may be count, sum/],
    ['features', [], /features is \[\], but must NOT have fewer than 1 items/],
    ['spine.key', [], /spine\.key is \[\]/],
    ['spine.source', 'trip', /spine\.source: source "trip" is not declared \(did you mean "trips"\?\)/],
    ['features.1.source', 'twons', /features\.1: source "twons" is not declared \(did you mean "towns"\?\)/],
    ['sources.trips.eventTime', undefined, /asOf "latest" needs an eventTime on source "trips"/],
    ['features.0.source', 'towns', /features\.0: fields\(\) takes columns of the spine's source "trips"/],
    ['features.1.name', 'trips_fields', /features\.1: two views are named "trips_fields"/],
    ['features.1.fields.0.name', 'town', /features\.1: two features are named "town"; rename one/],
    ['split.train.min', '61d', /split\.train: min 61d is longer than max 60d/],
    ['search.space.num_leaves.min', 64, /search\.space\.num_leaves: min 64 is above max 63/],
    ['search.space.num_leaves', { min: 0, max: 1, log: true }, /a logarithmic range starts above 0/],
  ])('%s = %j', (path, value, message) => {
    const attempt = () => validatePipeline(broken(path, value), 'here');
    expect(attempt).toThrow(message);
    expect(attempt).toThrow(expect.objectContaining({ code: 'REFIT_PIPELINE_INVALID' }));
  });

  test.each([null, 5, 'text', []])('%j', (value) => {
    expect(() => validatePipeline(value, 'here')).toThrow(/^here: /);
  });
});

test('all that is missing in a place is named at once', () => {
  const { split: _split, model: _model, ...spec } = pipelineSpec();
  expect(() => validatePipeline(spec, 'here')).toThrow(/^here: the pipeline lacks "split", "model"\.$/);
});

test('a whole one passes as it is', () => {
  expect(validatePipeline(pipelineSpec(), 'here')).toEqual(pipelineSpec());
});

test('names of features: cyclical fields give two', () => {
  const fields = [
    { name: 'a', expr: 'a' },
    { name: 'b', expr: 'b', cyclical: 24 },
  ];
  expect(featureNames({ kind: 'fields', name: 'v', source: 's', fields })).toEqual(['a', 'b_sin', 'b_cos']);
});

describe('transforms and selection are checked before anything runs', () => {
  const withTransforms = (transforms: TransformSpec[]) => () =>
    validatePipeline({ ...pipelineSpec(), transforms }, 'here');
  const [first = ''] = pipelineSpec().features.flatMap(featureNames);

  test.each<[string, TransformSpec[], RegExp]>([
    ['an unknown column', [scale('nobody')], /^here: transforms\.0: there is no column "nobody" here \(there is: /],
    ['a column that an earlier one took away', [oneHot(first), scale(first)], /transforms\.1: there is no column/],
    ['a name that is taken', [scale(first, { keep: true }), scale(first, { keep: true })], /_scaled" already/],
    ['edges in disorder', [bin(first, { edges: [3, 1] })], /the edges of bin are not ascending/],
    ['quantiles in disorder', [cap(first, { quantiles: [0.9, 0.1] })], /the lower quantile 0\.9 is not below/],
    [
      'a category where a number is made',
      [impute(first, { value: 'none' }), targetEncode('*'), bin('*', { quantiles: 1 })],
      /transforms\.2\.bins is 1/,
    ],
    [
      'a wrong word',
      [{ ...scale(first), by: 'max' } as unknown as TransformSpec],
      /transforms\.0\.by is "max", but may be standard/,
    ],
    ['a wrong option', [{ ...scale(first), with: 'mean' } as unknown as TransformSpec], /unknown property "with"/],
    ['an empty list', [], /transforms is \[\], but must NOT have fewer than 1/],
  ])('%s', (_, transforms, message) => {
    expect(withTransforms(transforms)).toThrow(message);
  });

  test('a chain that may be right passes: kinds of most features show only in the data', () => {
    const chain = [
      impute('*', { with: 'median', indicator: true }),
      scale(`${first}_missing`),
      targetEncode(first, { keep: true }),
      scale(`${first}_target`),
    ];
    expect(withTransforms(chain)).not.toThrow();
  });

  test('a selection that says nothing, and one that keeps what is not there', () => {
    const attempt = (select: object) => () =>
      validatePipeline({ ...pipelineSpec(), select: { always: [], rounds: 50, ...select } }, 'here');
    expect(attempt({})).toThrow(/^here: select: it says nothing to select by/);
    expect(attempt({ importance: 0.01, always: ['nobody'] })).toThrow(/select\.always: there is no feature "nobody"/);
    expect(attempt({ correlation: 1.5 })).toThrow(/select\.correlation is 1\.5/);
    expect(attempt({ eliminate: { keep: 'best', step: 0.2 } })).not.toThrow();
  });
});
