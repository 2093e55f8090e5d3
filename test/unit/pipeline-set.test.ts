import { describe, expect, test } from 'vitest';
import { applySet } from '../../core/pipeline/set.ts';
import { validatePipeline } from '../../core/pipeline/validate.ts';
import { pipelineSpec } from './pipeline.fixture.ts';

const set = (changes: Record<string, unknown>) => applySet(pipelineSpec(), changes);

describe('--set', () => {
  test('replaces values by path, in lists by number, and leaves the pipeline itself alone', () => {
    const before = pipelineSpec();
    const after = applySet(before, { 'model.rounds': 400, 'features.1.ttl': '3h', 'sources.trips.maxBadShare': 0.2 });
    expect(after).toMatchObject({ model: { rounds: 400 }, sources: { trips: { maxBadShare: 0.2 } } });
    expect(after.features[1]).toMatchObject({ ttl: '3h' });
    expect(before).toEqual(pipelineSpec());
    expect(applySet(before, {})).toEqual(before);
  });

  test('adds parameters, ranges and expressions, where any name may stand', () => {
    const after = set({
      'model.params.lambda_l2': 1,
      'search.space.lambda_l2': { min: 0.1, max: 10, log: true },
      'sources.trips.derive.hour': 'hour(leaves)',
    });
    expect(after.model.params).toEqual({ num_leaves: 31, lambda_l2: 1 });
    expect(validatePipeline(after, 'here').search.space.lambda_l2).toEqual({ min: 0.1, max: 10, log: true });
  });

  test.each<[string, RegExp]>([
    ['model.round', /--set model\.round: "model" has no "round" \(did you mean "rounds"\?\)/],
    ['modle.rounds', /the pipeline has no "modle" \(did you mean "model"\?\)/],
    ['sources.trip.path', /"sources" has no "trip" \(did you mean "trips"\?\)/],
    ['features.7.ttl', /"features" has no "7" \(there is: 0, 1, 2\)/],
    ['model.rounds.x', /"model\.rounds" has no "x"/],
    ['model.params.num_leaves.x', /"model\.params\.num_leaves" has no "x"/],
    ['', /the pipeline has no ""/],
    ['model.', /"model" has no ""/],
    ['__proto__.polluted', /has no "__proto__"/],
    ['constructor.prototype', /has no "constructor"/],
    ['features.length', /"features" has no "length"/],
  ])('of a path that leads nowhere (%s) is refused, with what there is', (path, message) => {
    expect(() => set({ [path]: 1 })).toThrow(message);
    expect(() => set({ [path]: 1 })).toThrow(expect.objectContaining({ code: 'REFIT_SET_INVALID' }));
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  test.each<[string, unknown, RegExp]>([
    ['model.rounds', '400', /model\.rounds is "400", but must be integer/],
    ['model.rounds', 4.5, /model\.rounds is 4\.5, but must be integer/],
    ['model.rounds', 0, /model\.rounds is 0, but must be >= 1/],
    ['model.trainer', 'xgboost', /model\.trainer is "xgboost", but may be gbdt, logistic/],
    ['split.test', '3 months', /split\.test is "3 months"/],
    ['search.space.num_leaves', 31, /search\.space\.num_leaves is 31, but must be object/],
  ])('%s=%j is of the wrong type or out of range: the place and what was given are named', (path, value, message) => {
    const attempt = () => validatePipeline(set({ [path]: value }), 'here');
    expect(attempt).toThrow(message);
    expect(attempt).toThrow(expect.objectContaining({ code: 'REFIT_PIPELINE_INVALID' }));
  });
});
