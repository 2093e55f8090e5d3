import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { FeatureInfo } from '../../core/spec/artifacts.ts';
import type { LightGbmNative } from '../../core/training/native-model.ts';
import { largestDifference, predictOnnx } from './onnx.fixture.ts';

const FEATURES: FeatureInfo[] = [
  { name: 'a', kind: 'number', view: 'v' },
  { name: 'b', kind: 'number', view: 'v' },
  { name: 'c', kind: 'category', view: 'v' },
  { name: 'd', kind: 'category', view: 'v' },
];
const LEVELS = Array.from({ length: 140 }, (_, code) => `level ${code}`);

interface Split {
  /** Which of the leaves so far is split. */
  leaf: number;
  feature: number;
  threshold: number;
  defaultLeft: boolean;
  missing: number;
  codes: number[];
}
interface TreeArrays {
  feature: number[];
  threshold: number[];
  decision: number[];
  left: number[];
  right: number[];
  sets: number[][];
  leaves: number[];
}

/** Grows a tree as LightGBM does: a split leaf keeps its number on the left, the new leaf goes right. */
function grow(splits: Split[], leaves: number[]): TreeArrays {
  const tree: TreeArrays = { feature: [], threshold: [], decision: [], left: [], right: [], sets: [], leaves: [] };
  for (const [node, split] of splits.entries()) {
    const leaf = split.leaf % (node + 1);
    for (const side of [tree.left, tree.right]) {
      const at = side.indexOf(~leaf);
      if (at >= 0) side[at] = node;
    }
    const category = split.feature >= 2;
    tree.feature.push(split.feature);
    tree.threshold.push(category ? tree.sets.length : split.threshold);
    tree.decision.push(category ? 1 : (split.missing << 2) | (split.defaultLeft ? 2 : 0));
    if (category) tree.sets.push(split.codes);
    tree.left.push(~leaf);
    tree.right.push(~(node + 1));
  }
  return { ...tree, leaves: leaves.slice(0, splits.length + 1) };
}

function textOf(trees: TreeArrays[]): string {
  const word = (x: number) => (Object.is(x, -0) ? '-0' : String(x).replace('Infinity', 'inf'));
  const line = (key: string, values: number[]) => `${key}=${values.map(word).join(' ')}`;
  const sections = trees.map((tree, index) => {
    const words = tree.sets.map((codes) => {
      const bits = new Uint32Array(Math.floor(Math.max(0, ...codes) / 32) + 1);
      for (const code of codes) bits[code >> 5] = (bits[code >> 5] as number) | (1 << (code & 31));
      return [...bits];
    });
    const ends = [0];
    for (const set of words) ends.push((ends.at(-1) as number) + set.length);
    return [
      `Tree=${index}`,
      line('num_leaves', [tree.leaves.length]),
      line('num_cat', [words.length]),
      line('split_feature', tree.feature),
      line('threshold', tree.threshold),
      line('decision_type', tree.decision),
      line('left_child', tree.left),
      line('right_child', tree.right),
      line('leaf_value', tree.leaves),
      ...(words.length ? [line('cat_boundaries', ends), line('cat_threshold', words.flat())] : []),
      'is_linear=0\nshrinkage=1\n\n',
    ].join('\n');
  });
  const sizes = line(
    'tree_sizes',
    sections.map(({ length }) => length),
  );
  const head = `tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=3\nobjective=binary sigmoid:1\n${sizes}\n\n`;
  return `${head}${sections.join('\n')}end of trees\n`;
}

const ZERO = Math.fround(1e-35);

/** LightGBM's Tree::Predict, on the arrays of the text; its C API reads tiny values as 0 first. Infinite = missing. */
function reference(tree: TreeArrays, row: number[]): number {
  if (tree.feature.length === 0) return tree.leaves[0] as number;
  let node = 0;
  while (node >= 0) {
    const decision = tree.decision[node] as number;
    const given = row[tree.feature[node] as number] as number;
    let value = Math.abs(given) === Infinity ? Number.NaN : given;
    const threshold = tree.threshold[node] as number;
    let left: boolean;
    if (decision & 1) {
      left = (tree.sets[threshold] as number[]).includes(value);
    } else {
      const missing = (decision >> 2) & 3;
      if (Math.abs(value) <= ZERO || (Number.isNaN(value) && missing !== 2)) value = 0;
      const isMissing = (missing === 1 && value === 0) || (missing === 2 && Number.isNaN(value));
      left = isMissing ? (decision & 2) !== 0 : value <= threshold;
    }
    node = ((left ? tree.left : tree.right)[node] ?? 0) as number;
  }
  return tree.leaves[~node] as number;
}

const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);
function neighbour(value: number, step: -1 | 0 | 1): number {
  float[0] = value;
  if (Number.isFinite(float[0]) && float[0] !== 0) bits[0] = (bits[0] as number) + step;
  return float[0] as number;
}

const ODD = [0, -0, 0.1, -0.1, 1e-35, -1e-35, 1.0000000180025095e-35, 1e-40, -1e-45, 1e300, -1e300, 16777217];
const threshold = fc.oneof(
  fc.constantFrom(...ODD, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
  fc.double({ min: -10, max: 10, noNaN: true }),
);
// Around the words of the bit set (32) and the widths of masks that the runtime may use (32, 64).
const code = fc.oneof(fc.constantFrom(0, 1, 30, 31, 32, 33, 62, 63, 64, 65, 127, 128, 139), fc.nat({ max: 139 }));
const split: fc.Arbitrary<Split> = fc.record({
  leaf: fc.nat({ max: 20 }),
  feature: fc.nat({ max: 3 }),
  threshold,
  defaultLeft: fc.boolean(),
  missing: fc.nat({ max: 2 }),
  codes: fc.uniqueArray(code, { maxLength: 50 }),
});
const tree = fc
  .tuple(
    fc.array(split, { maxLength: 10 }),
    fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: 11, maxLength: 11 }),
  )
  .map(([splits, leaves]) => grow(splits, leaves));

test('hand-built trees: the graph answers as the definition of the format says, on every threshold and code', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(tree, { minLength: 1, maxLength: 6 }), fc.integer(), async (trees, seed) => {
      const rows = rowsFor(trees, seed);
      const native: LightGbmNative = {
        format: 'lightgbm',
        model: textOf(trees),
        categories: { c: LEVELS, d: LEVELS.slice(0, 3) },
        features: FEATURES,
      };
      const expected = rows.map((row) => 1 / (1 + Math.exp(-trees.reduce((sum, one) => sum + reference(one, row), 0))));
      const column = (at: number) => rows.map((row) => row[at] as number);
      const named = (at: number) =>
        column(at).map((value) => (Number.isNaN(value) ? null : (LEVELS[value] ?? 'unseen')));
      const answers = await predictOnnx(native, {
        rows: rows.length,
        numbers: { a: Float32Array.from(column(0)), b: Float32Array.from(column(1)) },
        categories: { c: named(2), d: named(3) },
      });
      expect(largestDifference(answers, expected)).toBeLessThanOrEqual(1e-6);
    }),
    { numRuns: 150, seed: 20131101 },
  );
});

/** Rows that go through every threshold, its float32 neighbours, every set's codes, odd values, missing and unseen. */
function rowsFor(trees: TreeArrays[], seed: number): number[][] {
  const numbers = [...ODD, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const codes = [Number.NaN, 0, 1, 2, 31, 32, 63, 64, 128, 139, 999];
  for (const { decision, threshold: limits, sets } of trees) {
    for (const [node, limit] of limits.entries()) if (!((decision[node] as number) & 1)) numbers.push(limit, -limit);
    for (const set of sets) codes.push(...set.slice(0, 5));
  }
  const floats = numbers.flatMap((value) => [neighbour(value, -1), neighbour(value, 0), neighbour(value, 1)]);
  // The last feature has three levels: every other code is unseen there.
  const few = (value: number | undefined) => (value !== undefined && value > 2 ? 999 : (value ?? 0));
  let state = seed;
  const pick = <T>(values: T[]): T => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return values[(state >>> 8) % values.length] as T;
  };
  const row = (): number[] => [pick(floats), pick(floats), pick(codes), few(pick(codes))];
  const replaced = floats.flatMap((value) => [
    [value, ...row().slice(1)],
    [pick(floats), value, ...row().slice(2)],
  ]);
  return [...replaced, ...codes.map((value) => [...row().slice(0, 2), value, few(pick(codes))])];
}
