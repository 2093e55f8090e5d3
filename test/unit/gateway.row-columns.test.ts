import { expect, test } from 'vitest';
import type { FeatureInfo } from '../../core/spec/artifacts.ts';
import type { PipelineSpec } from '../../core/spec/pipeline.ts';
import { createInstanceReader } from '../../gateway/instances.ts';
import { rowColumns } from '../../gateway/row-columns.ts';

const field = (name: string, expr = name) => ({ name, expr });
const FIELDS = [
  field('tenure'),
  field('price', '"Price (€)"'),
  field('total', 'try_cast("Total" AS DOUBLE)'),
  field('constructor'),
];
const SPEC = {
  spine: { source: 'rows', key: ['customer_no'] },
  sources: { rows: { derive: { customer_no: '"Customer No"' } } },
  features: [{ kind: 'fields', name: 'own', source: 'rows', fields: FIELDS }],
} as unknown as PipelineSpec;
const COLUMNS = ['Customer No', 'tenure', 'Price (€)', 'Total', 'constructor', 'seen_at', 'churned', 'customer_no'];
const FEATURES: FeatureInfo[] = FIELDS.map(({ name }) => ({ name, kind: 'number', view: 'own' }));
const { read } = createInstanceReader(FEATURES, ['customer_no'], rowColumns(SPEC, COLUMNS));

test('a row of the table is a request: its columns by their own names, others ignored', () => {
  const row = {
    'Customer No': 17,
    tenure: 3,
    'Price (€)': 9.5,
    total: 28,
    constructor: 1,
    seen_at: '2024-01-01',
    churned: null,
  };
  expect(read([row])).toEqual([
    { key: { customer_no: '17' }, given: { tenure: 3, price: 9.5, total: 28, constructor: 1 }, lookUp: false },
  ]);
});

test('types are checked under the column’s own name, too', () => {
  expect(() => read([{ 'Price (€)': 'cheap' }])).toThrow(/Price \(€\): must be number/);
});

test('a column that a feature is computed from is not ignored in silence', () => {
  expect(() => read([{ tenure: 3, Total: '28' }])).toThrow(/Unknown field "Total".*did you mean "total"/);
});

test('nothing but ignored columns is nothing, and a typing error is one', () => {
  expect(() => read([{ churned: 'yes' }])).toThrow(/is empty; give/);
  expect(() => read([{ tenuer: 3 }])).toThrow(/did you mean "tenure"/);
});

test('a name that every object has is a field like any other', () => {
  expect(read([{ customer_no: 1 }])).toEqual([{ key: { customer_no: '1' }, given: {}, lookUp: true }]);
});

test('a model that looks things up by columns takes no rows: it would ignore what it joins by', () => {
  const joined = { ...SPEC, features: [...SPEC.features, { kind: 'latest' }] } as unknown as PipelineSpec;
  expect(rowColumns(joined, COLUMNS).ignored.size).toBe(0);
});
