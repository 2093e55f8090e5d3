/** Distances between a reference and a current distribution. Binning and the sketch are core/evaluation's (profile.ts). */
import { countAtMost, countBelow } from '../evaluation/binning.ts';
import type { QuantileSketch } from '../evaluation/profile.ts';

/** Shares below this count as this much, on both sides, so that an empty bin does not make the index infinite. */
export const PSI_FLOOR = 1e-4;

/**
 * Population stability index over shared bins: sum of (actual - expected) × ln(actual / expected); 0 = identical (Siddiqi 2006;
 * Jeffreys divergence). Rule of thumb: below 0.1 stable, above 0.25 shifted. `[.5, .5]` against `[.9, .1]` ≈ 0.88.
 */
export function psi(expected: readonly number[], actual: readonly number[]): number {
  let sum = 0;
  for (let bin = 0; bin < expected.length; bin++) {
    const e = Math.max(expected[bin] as number, PSI_FLOOR);
    const a = Math.max(actual[bin] as number, PSI_FLOOR);
    sum += (a - e) * Math.log(a / e);
  }
  return sum;
}

/**
 * Two-sample Kolmogorov–Smirnov distance: largest gap between the two empirical distribution functions (Smirnov 1939), for
 * ascending samples. Null where one is empty. `[1, 2, 3, 4]` against `[3, 4, 5, 6]` → 0.5.
 */
export function ksDistance(a: Float64Array, b: Float64Array): number | null {
  if (a.length === 0 || b.length === 0) return null;
  let largest = 0;
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const value = Math.min(a[i] as number, b[j] as number);
    while (i < a.length && a[i] === value) i++;
    while (j < b.length && b[j] === value) j++;
    largest = Math.max(largest, Math.abs(i / a.length - j / b.length));
  }
  return largest;
}

/**
 * The same distance against a stored sketch of the reference. The gap is exact at every value of the sketch and just before
 * it; between two of them the reference rises by at most 1/200, so the result is at most 0.005 below the true distance and
 * never above it. Null where one side has no values.
 */
export function ksFromSketch({ values, below, atMost }: QuantileSketch, current: Float64Array): number | null {
  if (values.length === 0 || current.length === 0) return null;
  let largest = 0;
  for (const [i, value] of values.entries()) {
    const before = Math.abs((below[i] as number) - countBelow(current, value) / current.length);
    const at = Math.abs((atMost[i] as number) - countAtMost(current, value) / current.length);
    largest = Math.max(largest, before, at);
  }
  return largest;
}
