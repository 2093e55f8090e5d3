import { describe, expect, test } from 'vitest';
import { exportNativeModel } from '../../core/onnx/export-model.ts';
import { decodeModel } from '../../core/onnx/onnx-proto.ts';
import { withFloat32Thresholds } from '../../core/training/model-text.ts';
import type { LightGbmNative } from '../../core/training/native-model.ts';
import {
  FIXTURES,
  type Fixture,
  finiteRows,
  largestDifference,
  predictOnnx,
  readFixture,
  withoutInfinities,
} from './onnx.fixture.ts';

describe('the ONNX graph of a LightGBM model', () => {
  test.each(FIXTURES)('answers as LightGBM itself on thresholds, their neighbours and odd values: %s', async (name) => {
    const fixture = readFixture(name);
    const { table, probabilities } = finiteRows(fixture);
    expect(table.rows).toBeGreaterThan(10);
    const answers = await predictOnnx(fixture.native, table);
    expect(largestDifference(answers, probabilities)).toBeLessThanOrEqual(1e-7);
  });

  test.each(FIXTURES)('takes an infinite number as missing, as training does: %s', async (name) => {
    const { native, table } = readFixture(name);
    expect(Object.values(table.numbers).some((values) => values.includes(Infinity))).toBe(true);
    expect(await predictOnnx(native, table)).toEqual(await predictOnnx(native, withoutInfinities(table)));
  });

  test('the fixtures hold what they are for', () => {
    const texts = FIXTURES.map((name) => readFixture(name).native.model);
    const some = (pattern: RegExp) => texts.some((text) => pattern.test(text));
    expect(some(/^threshold=.*\binf\b/m)).toBe(true);
    expect(some(/^num_leaves=1$/m)).toBe(true);
    expect(some(/^cat_boundaries=/m)).toBe(true);
    // decision_type: 0/2 no missing type, 4/6 zero, 8/10 NaN.
    for (const decision of [2, 6, 8, 10])
      expect(some(new RegExp(`^decision_type=.*\\b${decision}\\b`, 'm'))).toBe(true);
    const { table } = readFixture('categories');
    expect(table.categories.category_1).toContain(null);
    expect(table.categories.category_2).toContain('never seen');
  });

  test('thresholds rounded down to float32 change no answer', async () => {
    const { native } = readFixture('numbers-no-missing-type');
    const { table, probabilities } = finiteRows(readFixture('numbers-no-missing-type'));
    const floored = { ...native, model: withFloat32Thresholds(native.model) };
    expect(floored.model).not.toBe(native.model);
    expect(largestDifference(await predictOnnx(floored, table), probabilities)).toBeLessThanOrEqual(1e-7);
  });

  test('an empty string is a missing category', async () => {
    const { native, table } = readFixture('categories');
    const blank = (values: (string | null)[]) => values.map((value) => value ?? '');
    const categories = Object.fromEntries(Object.entries(table.categories).map(([name, v]) => [name, blank(v)]));
    expect(await predictOnnx(native, { ...table, categories })).toEqual(await predictOnnx(native, table));
  });

  test('equal models give equal bytes, whatever the order of keys', () => {
    const { native } = readFixture('categories');
    const turned = Object.fromEntries(Object.entries(native.categories).reverse());
    expect(exportNativeModel({ ...native, categories: turned })).toEqual(exportNativeModel(native));
  });

  test("splits stand depth-first, left side first: ONNX's reference evaluator reads the category sets in that order", () => {
    const { graph } = decodeModel(exportNativeModel(readFixture('categories').native));
    const trees = graph.node.find(({ op_type }) => op_type === 'TreeEnsemble');
    const ints = (name: string) => trees?.attribute.find((one) => one.name === name)?.ints ?? [];
    const inner = ints('nodes_trueleafs').flatMap((leaf, node) => (leaf ? [] : [node]));
    expect(inner.length).toBeGreaterThan(10);
    expect(inner.map((node) => ints('nodes_truenodeids')[node])).toEqual(inner.map((node) => node + 1));
  });

  test('says what it is: opsets, inputs with their units, features in the metadata', () => {
    const { native } = readFixture('categories');
    const model = decodeModel(exportNativeModel(native));
    expect(model.opset_import).toEqual([
      { domain: '', version: 21 },
      { domain: 'ai.onnx.ml', version: 5 },
    ]);
    expect(model.producer_name).toBe('refit');
    expect(model.doc_string).toContain('15 trees');
    expect(model.graph.input.map(({ name }) => name)).toEqual(native.features.map(({ name }) => name));
    expect(model.graph.input[1]?.doc_string).toContain("'' = missing");
    const features = model.metadata_props.find(({ key }) => key === 'refit.features');
    expect(JSON.parse(features?.value ?? '')).toEqual(native.features);
  });
});

describe('what the exporter cannot carry over is refused by name', () => {
  const { native } = readFixture('categories');
  const { native: numbers } = readFixture('one-split');
  const withText = (from: string | RegExp, to: string): Partial<LightGbmNative> => ({
    model: native.model.replace(from, to),
  });
  const cases: [string, Partial<LightGbmNative>, RegExp][] = [
    ['another objective', withText(/^objective=.*$/m, 'objective=regression'), /objective "regression"/],
    ['a custom objective', withText(/^objective=.*\n/m, ''), /objective "none"/],
    ['several classes', withText('num_class=1', 'num_class=3'), /num_class=3/],
    ['random forests', withText('version=v4', 'version=v4\naverage_output'), /"rf"/],
    ['linear trees', withText('is_linear=0', 'is_linear=1'), /linear_tree/],
    ['another format', withText('version=v4', 'version=v5'), /format v5/],
    ['a text that was cut off', { model: native.model.slice(0, -200) }, /incomplete/],
    ['a lost tree', withText(/^Tree=3\n[\s\S]*?(?=^Tree=4$)/m, ''), /15 trees but holds 14/],
    ['a loop', withText(/^left_child=\S+/m, 'left_child=0'), /do not form a tree/],
    ['a threshold that is no number', withText(/^threshold=\S+/m, 'threshold=nan'), /Tree 0: threshold/],
    ['a missing level list', { categories: {} }, /no category list for feature "category_1"/],
    ['a doubled level', { categories: { ...native.categories, category_1: ['JFK', 'JFK'] } }, /category twice/],
    ["'' as a level", { categories: { ...native.categories, category_1: ['', 'JFK'] } }, /'' means missing/],
    ['too few features', { features: native.features.slice(1) }, /5 columns but 4 features/],
    ['a category read as a number', { features: swapKinds(native) }, /splits the number feature/],
    ['a name that is taken', { ...numbers, features: renamed(numbers, 'probability') }, /"probability"/],
    ['a doubled name', { ...numbers, features: renamed(numbers, 'number_1') }, /"number_1"/],
  ];
  test.each(cases)('%s', (_, change, message) => {
    const attempt = () => exportNativeModel({ ...native, ...change });
    expect(attempt).toThrow(message);
    expect(attempt).toThrow(expect.objectContaining({ code: 'REFIT_MODEL_UNSUPPORTED' }));
  });
});

function swapKinds({ features }: Fixture['native']) {
  return features.map((feature) => ({ ...feature, kind: feature.kind === 'number' ? 'category' : 'number' }) as const);
}

function renamed({ features }: Fixture['native'], name: string) {
  return features.map((feature, index) => (index === 0 ? { ...feature, name } : feature));
}
