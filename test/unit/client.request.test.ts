import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runInput, sameRequest, workflowIdOf } from '../../client/request.ts';
import type { RefitError } from '../../core/spec/errors.ts';

const idOf = (request: Parameters<typeof runInput>[0]) => workflowIdOf(runInput(request));
const codeOf = (work: () => unknown) => {
  try {
    work();
  } catch (error) {
    return (error as RefitError).code;
  }
  return undefined;
};

describe('the workflow id of a request', () => {
  test('names the pipeline and the date', () => {
    expect(idOf({ pipeline: 'flight-delays' })).toBe('train/flight-delays/latest');
    expect(idOf({ pipeline: 'flight-delays', asOf: '2014-01-01' })).toBe('train/flight-delays/2014-01-01');
    expect(idOf({ pipeline: 'flight-delays', asOf: '2014-01-01T06:30:00Z' })).toBe(
      'train/flight-delays/2014-01-01T06:30:00Z',
    );
  });

  test('is one for every way to write the same date', () => {
    const ways = ['2014-01-01', '2014-01-01T00:00:00Z', '2014-01-01T01:00:00+01:00', new Date('2014-01-01')];
    expect(new Set(ways.map((asOf) => idOf({ pipeline: 'p', asOf })))).toEqual(new Set(['train/p/2014-01-01']));
  });

  test('does not depend on the order of the settings, at any depth, nor on absent ones', () => {
    const one = idOf({ pipeline: 'p', set: { 'model.rounds': 400, 'search.space': { a: { min: 1, max: 2 }, b: 1 } } });
    const other = idOf({
      pipeline: 'p',
      set: { 'search.space': { b: 1, a: { max: 2, min: 1 } }, 'model.seed': undefined, 'model.rounds': 400 },
    });
    expect(one).toMatch(/^train\/p\/latest\/set-[0-9a-f]{12}$/);
    expect(other).toBe(one);
    expect(idOf({ pipeline: 'p', set: {} })).toBe('train/p/latest');
  });

  test('tells apart what computes something else: settings, force, the stage it starts from', () => {
    const requests = [
      { pipeline: 'p' },
      { pipeline: 'p', set: { 'model.rounds': 400 } },
      { pipeline: 'p', set: { 'model.rounds': 401 } },
      { pipeline: 'p', set: { 'model.rounds': '400' } },
      { pipeline: 'p', force: true },
      { pipeline: 'p', from: 'train' as const },
      { pipeline: 'p', from: 'evaluate' as const },
      { pipeline: 'p', set: { 'model.rounds': 400 }, force: true },
    ];
    expect(new Set(requests.map(idOf)).size).toBe(requests.length);
    expect(idOf({ pipeline: 'p', force: false, reason: 'why not' })).toBe('train/p/latest');
  });

  test('with a key has the key alone as its suffix, so that another argument meets the first run', () => {
    expect(idOf({ pipeline: 'p', asOf: '2014-01-01', set: { 'model.rounds': 4 }, force: true, key: 'order:17' })).toBe(
      'train/p/2014-01-01/key-order:17',
    );
  });
});

describe('the same request', () => {
  test('is the same whatever its reason and the order of its names', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (set) => {
        const shuffled = Object.fromEntries(Object.entries(set).reverse());
        const one = { pipeline: 'p', set, key: 'k', reason: 'one' };
        expect(sameRequest(one, { reason: 'other', key: 'k', set: shuffled, pipeline: 'p' })).toBe(true);
      }),
    );
  });
  test('is another with another setting, date or force', () => {
    const first = { pipeline: 'p', key: 'k' };
    for (const more of [{ set: { a: 1 } }, { asOf: '2014-01-01T00:00:00Z' }, { force: true }, { from: 'train' }]) {
      expect(sameRequest(first, { ...first, ...more })).toBe(false);
    }
  });
});

describe('what is refused before anything starts', () => {
  test.each([
    ['no pipeline', { pipeline: '' }, 'REFIT_USAGE'],
    ['a date that is none', { pipeline: 'p', asOf: 'yesterday' }, 'REFIT_AS_OF_INVALID'],
    ['a day that the month lacks', { pipeline: 'p', asOf: '2013-02-30' }, 'REFIT_AS_OF_INVALID'],
    ['the same with a time', { pipeline: 'p', asOf: '2013-02-30T06:00:00Z' }, 'REFIT_AS_OF_INVALID'],
    ['an invalid Date', { pipeline: 'p', asOf: new Date('never') }, 'REFIT_AS_OF_INVALID'],
    ['a key with a slash', { pipeline: 'p', key: 'a/b' }, 'REFIT_USAGE'],
    ['an empty key', { pipeline: 'p', key: '' }, 'REFIT_USAGE'],
    ['an argument that does not exist', { pipeline: 'p', asof: '2014-01-01' }, 'REFIT_USAGE'],
  ])('%s', (_, request, code) => {
    expect(codeOf(() => runInput(request))).toBe(code);
  });
  test('a misspelt argument is told the right one', () => {
    expect(() => runInput({ pipeline: 'p', asof: '2014-01-01' } as { pipeline: string })).toThrow(
      'A run has no argument "asof" (did you mean "asOf"?).',
    );
  });
});
