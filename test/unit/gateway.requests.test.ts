import { describe, expect, test } from 'vitest';
import type { FeatureInfo } from '../../core/spec/artifacts.ts';
import { RefitError } from '../../core/spec/errors.ts';
import { packRows } from '../../gateway/feature-table.ts';
import { errorBody, httpError } from '../../gateway/http-errors.ts';
import { createInstanceReader } from '../../gateway/instances.ts';
import { shortest } from '../../gateway/predict.ts';
import { readSettings } from '../../gateway/settings.ts';
import { tableOfInputs } from '../../gateway/v2/signature.ts';

const FEATURES: FeatureInfo[] = [
  { name: 'spend', kind: 'number', view: 'account' },
  { name: 'plan', kind: 'category', view: 'account' },
];
const { read } = createInstanceReader(FEATURES, ['customer', 'shop']);
const one = (instance: object) => read([instance])[0];

describe('an instance', () => {
  test('is looked up when it names its entity and brings less than all inputs', () => {
    expect(one({ customer: 7, shop: 'east' })).toEqual({
      ...{ key: { customer: '7', shop: 'east' }, given: {}, lookUp: true },
    });
    expect(one({ customer: '7', shop: 'east', spend: 3 })).toMatchObject({ given: { spend: 3 }, lookUp: true });
    expect(one({ customer: '7', shop: 'east', spend: 3, plan: null })).toMatchObject({ lookUp: false });
  });

  test('is taken as it is without a key; booleans are numbers', () => {
    expect(one({ spend: true })).toEqual({ key: null, given: { spend: 1 }, lookUp: false });
    expect(one({ plan: 'gold', spend: null })).toEqual({
      key: null,
      given: { plan: 'gold', spend: null },
      lookUp: false,
    });
  });

  test('lacks a feature that is named as something every object has', () => {
    const features: FeatureInfo[] = [
      { name: 'constructor', kind: 'category', view: 'account' },
      { name: 'spend', kind: 'number', view: 'account' },
    ];
    const { read: reader } = createInstanceReader(features, ['customer']);
    const [raw, named] = reader([{ spend: 3 }, { customer: 7, spend: 3 }]);
    expect(named?.lookUp).toBe(true);
    expect(packRows(features, [raw?.given ?? {}]).categories).toEqual([[null]]);
  });

  test('names no other entity than it says: a number that JSON cannot hold exactly is refused as a key', () => {
    const [exact] = read(JSON.parse('[{"customer": 9007199254740991, "shop": "9007199254740993"}]'));
    expect(exact?.key).toEqual({ customer: '9007199254740991', shop: '9007199254740993' });
    expect(() => read(JSON.parse('[{"customer": 9007199254740993, "shop": "east"}]'))).toThrow(
      'instances[0].customer is a number too large to be exact in JSON; send it as a text.',
    );
  });

  test('with an endless field name is refused in a short sentence, at once', () => {
    const name = 'x'.repeat(5_000_000);
    const started = performance.now();
    expect(() => one({ [name]: 1 })).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^.{100,400}$/) }),
    );
    const tensor = { name, shape: [1, 1], datatype: 'FP32', data: [1] };
    expect(() => tableOfInputs(FEATURES, [tensor])).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^.{100,400}$/) }),
    );
    expect(performance.now() - started).toBeLessThan(1000);
  });

  test.each([
    [{ customer: 7 }, 'instances[0] names its entity in part only: shop is missing.'],
    [{ customer: null, shop: 'east' }, 'In instances[0], customer: must be string or number or boolean.'],
    [{ spend: '3' }, 'In instances[0], spend: must be number or boolean or null.'],
    [{ plan: 3 }, 'In instances[0], plan: must be string or null.'],
    [{ plna: 'gold' }, 'Unknown field "plna" in instances[0] (did you mean "plan"?).'],
    [{}, "instances[0] is empty; give the entity's keys or the model's inputs: customer, shop, spend, plan."],
    [[], 'In instances[0]: must be object.'],
  ])('%j is refused', (instance, message) => {
    expect(() => one(instance)).toThrow(expect.objectContaining({ code: 'REFIT_REQUEST_INVALID', message }));
  });
});

test('a score is written with the digits that a float32 has', () => {
  expect(shortest(Math.fround(0.31))).toBe(0.31);
  for (const value of [0, 1, 0.5, 1e-8, 0.123456789, 0.99999994].map(Math.fround)) {
    expect(Math.fround(shortest(value))).toBe(value);
  }
});

test('errors keep their own status; anything else is a defect, and says no more than its message', () => {
  const large = new RefitError('REFIT_REQUEST_INVALID', 'Too many rows.', { status: 413, rows: 7 });
  expect(httpError(large).status).toBe(413);
  expect(errorBody(large).error).toMatchObject({ code: 'REFIT_REQUEST_INVALID', details: { rows: 7 } });
  expect(errorBody(large).error.details).not.toHaveProperty('status');
  expect(httpError(new TypeError('x is undefined'))).toMatchObject({ status: 500, error: { code: 'REFIT_INTERNAL' } });
});

test('settings have defaults, and a wrong one is named', () => {
  expect(readSettings({})).toMatchObject({ host: '127.0.0.1', port: 8080, bodyLimit: 16_777_216, warm: false });
  expect(readSettings({ REFIT_GATEWAY_PORT: '0', REFIT_GATEWAY_WARM: '1' })).toMatchObject({ port: 0, warm: true });
  for (const PORT of ['-1', '65536', '80.5', 'x', '1e3']) {
    expect(() => readSettings({ REFIT_GATEWAY_PORT: PORT })).toThrow('REFIT_GATEWAY_PORT is');
  }
});
