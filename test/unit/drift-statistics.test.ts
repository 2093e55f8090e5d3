import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { categoryDrift, numberDrift } from '../../core/drift/check-drift.ts';
import { ksDistance, ksFromSketch, psi } from '../../core/drift/statistics.ts';
import { binOf, finiteSorted, quantileEdges } from '../../core/evaluation/binning.ts';
import { categoryReference, numberReference, quantileSketch } from '../../core/evaluation/profile.ts';

const LIMIT = 0.2;
const ascending = (values: number[]) => Float64Array.from(values).sort();
const values = fc.array(fc.oneof(fc.integer({ min: -5, max: 5 }), fc.double({ noNaN: true, min: -9, max: 9 })), {
  minLength: 1,
  maxLength: 400,
});

describe('population stability index', () => {
  it('gives the worked example', () => {
    expect(psi([0.5, 0.5], [0.9, 0.1])).toBeCloseTo(0.8789, 4);
  });

  it('is 0 for the same shares, positive otherwise, the same both ways, and finite with empty bins', () => {
    const shares = fc.array(fc.nat(20), { minLength: 5, maxLength: 5 }).map((counts) => {
      const total = counts.reduce((a, b) => a + b, 0);
      return counts.map((count) => (total === 0 ? 0.2 : count / total));
    });
    fc.assert(
      fc.property(shares, shares, (a, b) => {
        expect(psi(a, a)).toBe(0);
        expect(psi(a, b)).toBeGreaterThanOrEqual(0);
        expect(psi(a, b)).toBeCloseTo(psi(b, a), 12);
        expect(Number.isFinite(psi(a, b))).toBe(true);
      }),
    );
  });
});

describe('Kolmogorov–Smirnov distance', () => {
  it('gives worked examples', () => {
    expect(ksDistance(ascending([1, 2, 3, 4]), ascending([3, 4, 5, 6]))).toBe(0.5);
    expect(ksDistance(ascending([1, 2]), ascending([5, 6]))).toBe(1);
    expect(ksDistance(ascending([1, 2]), ascending([]))).toBeNull();
  });

  it('equals the largest gap over all points', () => {
    fc.assert(
      fc.property(values, values, (a, b) => {
        const gap = (x: number) =>
          Math.abs(a.filter((v) => v <= x).length / a.length - b.filter((v) => v <= x).length / b.length);
        expect(ksDistance(ascending(a), ascending(b))).toBeCloseTo(Math.max(...[...a, ...b].map(gap)), 12);
      }),
    );
  });

  it('comes out of a stored sketch at most 0.005 too small and never too large', () => {
    const large = fc.array(fc.double({ noNaN: true, min: 0, max: 1 }), { minLength: 500, maxLength: 1500 });
    fc.assert(
      fc.property(fc.oneof(values, large), fc.oneof(values, large), (a, b) => {
        const exact = ksDistance(ascending(a), ascending(b)) as number;
        const sketched = ksFromSketch(quantileSketch(ascending(a)), ascending(b)) as number;
        expect(sketched).toBeLessThanOrEqual(exact + 1e-12);
        expect(sketched).toBeGreaterThanOrEqual(exact - 0.005 - 1e-12);
      }),
      { numRuns: 60 },
    );
  });
});

describe('quantile bins', () => {
  it('cut ten values into five equal bins', () => {
    expect(quantileEdges(ascending([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), 5)).toEqual([2, 4, 6, 8]);
  });

  it('are never empty on what they were cut from, and hold every value', () => {
    fc.assert(
      fc.property(values, (column) => {
        const edges = quantileEdges(finiteSorted(column), 10);
        const counts = new Array<number>(edges.length + 1).fill(0);
        for (const value of column) counts[binOf(edges, value)] = (counts[binOf(edges, value)] as number) + 1;
        expect(counts.length).toBeLessThanOrEqual(10);
        expect(counts.every((count) => count > 0)).toBe(true);
      }),
    );
  });
});

describe('drift of a number', () => {
  const uniform = Float32Array.from({ length: 5000 }, (_, i) => i / 5000);

  it('is nothing against the very rows it was made from, whatever they are', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constant(Number.NaN)), { minLength: 1 }),
        (column) => {
          const found = numberDrift(numberReference('x', column), column, LIMIT);
          expect(found.psi).toBeCloseTo(0, 12);
          expect(found.ks ?? 0).toBeCloseTo(0, 12);
          expect(found.drifted).toBe(false);
        },
      ),
    );
  });

  it('shows a shift', () => {
    const found = numberDrift(
      numberReference('x', uniform),
      uniform.map((x) => x + 0.3),
      LIMIT,
    );
    expect(found.drifted).toBe(true);
    expect(found.ks).toBeCloseTo(0.3, 2);
  });

  it('shows a constant that moved either way', () => {
    const reference = numberReference('x', new Float32Array(100).fill(7));
    expect(numberDrift(reference, new Float32Array(100).fill(6), LIMIT).drifted).toBe(true);
    expect(numberDrift(reference, new Float32Array(100).fill(8), LIMIT).drifted).toBe(true);
    expect(numberDrift(reference, new Float32Array(100).fill(7), LIMIT).psi).toBe(0);
  });

  it('shows values that went missing, and counts infinities among them', () => {
    const reference = numberReference('x', uniform);
    const half = uniform.map((x, i) => (i % 2 ? x : i % 4 ? Number.NaN : Number.POSITIVE_INFINITY));
    const found = numberDrift(reference, half, LIMIT);
    expect(found.drifted).toBe(true);
    expect(found.ks).toBeLessThan(0.01);
  });

  it('has no KS distance where all values are missing', () => {
    const found = numberDrift(numberReference('x', uniform), new Float32Array(9).fill(Number.NaN), LIMIT);
    expect(found).toMatchObject({ ks: null, drifted: true });
  });

  it('survives being written as JSON', () => {
    const reference = numberReference('x', [Number.NaN, Number.POSITIVE_INFINITY, 1, 2, 2, 5]);
    expect(JSON.parse(JSON.stringify(reference))).toEqual(reference);
    expect(reference.mean).toBe(2.5);
  });
});

describe('drift of a category', () => {
  const column = Array.from({ length: 1000 }, (_, i) => (i % 10 === 0 ? null : i % 3 === 0 ? 'AA' : 'UA'));

  it('is nothing against itself and something when shares swap', () => {
    const reference = categoryReference('carrier', column);
    expect(categoryDrift(reference, column, LIMIT)).toMatchObject({ psi: 0, ks: null, drifted: false });
    const swapped = column.map((value) => (value === 'AA' ? 'UA' : value === 'UA' ? 'AA' : null));
    expect(categoryDrift(reference, swapped, LIMIT).drifted).toBe(true);
  });

  it('keeps the twenty most frequent values and lumps the others', () => {
    const many = Array.from({ length: 3000 }, (_, i) => `v${Math.floor(Math.sqrt(i))}`);
    const reference = categoryReference('many', many);
    expect(reference.values).toHaveLength(20);
    expect(reference.values[0]?.value).toBe('v53');
    const total = reference.values.reduce((sum, { share }) => sum + share, reference.other + reference.missing);
    expect(total).toBeCloseTo(1, 12);
  });

  it('shows a value never seen before', () => {
    const unseen = column.map((value) => (value === 'AA' ? 'ZZ' : value));
    expect(categoryDrift(categoryReference('carrier', column), unseen, LIMIT).drifted).toBe(true);
  });
});
