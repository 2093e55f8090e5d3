import fc from 'fast-check';
import { expect, test } from 'vitest';
import { floor32, withFloat32Thresholds, withoutParameters } from '../../core/training/model-text.ts';

test('the largest float32 not above a number', () => {
  expect(floor32(0.1)).toBe(0.09999999403953552);
  expect(floor32(-0.1)).toBe(-0.10000000149011612);
  expect(floor32(0.5)).toBe(0.5);
  expect(floor32(1e300)).toBe(3.4028234663852886e38);
  expect(floor32(-1e-60)).toBe(-1.401298464324817e-45);
});

test('for every float32 input, the rounded threshold asks the same question', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true }), fc.float({ noNaN: true }), (threshold, input) => {
      expect(input <= floor32(threshold)).toBe(input <= threshold);
    }),
  );
  // Inputs right beside the threshold are the ones that matter.
  fc.assert(
    fc.property(
      fc.float({ noNaN: true, noDefaultInfinity: true }),
      fc.double({ min: -1e-8, max: 1e-8, noNaN: true }),
      (x, by) => {
        const threshold = x * (1 + by);
        expect(x <= floor32(threshold)).toBe(x <= threshold);
      },
    ),
  );
});

const TEXT = `tree
version=v4
tree_sizes=61 30

Tree=0
num_leaves=2
threshold=0.10000000000000001 2
leaf_value=0.1 0.2

Tree=1
num_leaves=1
leaf_value=0

end of trees

feature_importances:
a=1

parameters:
[num_threads: 2]

end of parameters
`;

test('thresholds are rounded, the sizes of the trees follow, nothing else changes', () => {
  const changed = withFloat32Thresholds(TEXT);
  const tree = 'Tree=0\nnum_leaves=2\nthreshold=0.09999999403953552 2\nleaf_value=0.1 0.2\n\n';
  expect(changed).toContain(tree);
  expect(changed).toContain(`tree_sizes=${tree.length} 34\n`);
  expect(changed).toContain('leaf_value=0.1 0.2');
  expect(withFloat32Thresholds(changed)).toBe(changed);
});

test('the parameters block goes, with the thread count in it', () => {
  expect(withoutParameters(TEXT)).not.toContain('num_threads');
  expect(withoutParameters(TEXT).endsWith('feature_importances:\na=1\n')).toBe(true);
});
