/**
 * The reference profile: what the features and the score of a model looked like when it was made, small enough to keep with the
 * version and enough to measure drift against later (core/drift). Features: rows of train and validate, what the model was
 * fitted and tuned on. Score: rows of validate and test, which the model was not fitted on, so that its reference is not
 * flattered by overfitting.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Static } from 'typebox';
import Type from 'typebox';
import type { FeatureTable } from '../features/read-table.ts';
import { type FeatureInfo, Period } from '../spec/artifacts.ts';
import { binOf, countAtMost, countBelow, finiteSorted, quantileEdges } from './binning.ts';

/**
 * A distribution in a few hundred numbers: the distinct values at every 1/200 of its rows with the exact shares below and at
 * most each value. A Kolmogorov–Smirnov distance from it is at most 0.005 too small (see core/drift/statistics.ts).
 */
export const QuantileSketch = Type.Object({
  values: Type.Array(Type.Number()),
  below: Type.Array(Type.Number()),
  atMost: Type.Array(Type.Number()),
});
export type QuantileSketch = Static<typeof QuantileSketch>;

export const NumberReference = Type.Object({
  name: Type.String(),
  kind: Type.Literal('number'),
  /** Share of rows without a finite value. */
  missing: Type.Number(),
  /** Bin edges (core/evaluation/binning.ts), and the share of all rows in each of the `edges.length + 1` bins. */
  edges: Type.Array(Type.Number()),
  shares: Type.Array(Type.Number()),
  sketch: QuantileSketch,
  /** Of the values that are there; null where there are none. */
  mean: Type.Union([Type.Number(), Type.Null()]),
});
export type NumberReference = Static<typeof NumberReference>;

export const CategoryReference = Type.Object({
  name: Type.String(),
  kind: Type.Literal('category'),
  missing: Type.Number(),
  /** The most frequent values with their shares of all rows, most frequent first. */
  values: Type.Array(Type.Object({ value: Type.String(), share: Type.Number() })),
  /** Share of rows with any other value. */
  other: Type.Number(),
});
export type CategoryReference = Static<typeof CategoryReference>;

export const ReferenceProfile = Type.Object({
  features: Type.Array(Type.Union([NumberReference, CategoryReference])),
  featureRows: Type.Integer(),
  featurePeriod: Period,
  score: NumberReference,
  scoreRows: Type.Integer(),
  scorePeriod: Period,
});
export type ReferenceProfile = Static<typeof ReferenceProfile>;

const BINS = 10;
const SKETCH_POINTS = 200;
const TOP_CATEGORIES = 20;

/** Sketch of ascending values; empty for none. `[1, 1, 2, 3]` → values 1 2 3, below 0 .5 .75, atMost .5 .75 1. */
export function quantileSketch(sorted: Float64Array, points = SKETCH_POINTS): QuantileSketch {
  const sketch: QuantileSketch = { values: [], below: [], atMost: [] };
  const n = sorted.length;
  if (n === 0) return sketch;
  for (let i = 0; i <= points; i++) {
    const value = sorted[Math.max(0, Math.ceil((n * i) / points) - 1)] as number;
    if (value === sketch.values.at(-1)) continue;
    sketch.values.push(value);
    sketch.below.push(countBelow(sorted, value) / n);
    sketch.atMost.push(countAtMost(sorted, value) / n);
  }
  return sketch;
}

/** Shares of all `rows` in each bin; values that are not finite are in none. */
export function binShares(edges: readonly number[], values: ArrayLike<number>): number[] {
  const counts = new Array<number>(edges.length + 1).fill(0);
  for (let row = 0; row < values.length; row++) {
    const value = values[row] as number;
    if (!Number.isFinite(value)) continue;
    const bin = binOf(edges, value);
    counts[bin] = (counts[bin] as number) + 1;
  }
  return counts.map((count) => (values.length === 0 ? 0 : count / values.length));
}

/** Profile of a number column. A constant c gets the bins below, at and above c, so that any move away from it shows. */
export function numberReference(name: string, values: ArrayLike<number>): NumberReference {
  const sorted = finiteSorted(values);
  let edges = quantileEdges(sorted, BINS);
  const first = sorted[0];
  if (edges.length === 0 && first !== undefined)
    edges = [first - Math.max(Math.abs(first) * 2 ** -40, 2 ** -1022), first];
  let sum = 0;
  for (const value of sorted) sum += value;
  return {
    name,
    kind: 'number',
    missing: values.length === 0 ? 0 : 1 - sorted.length / values.length,
    edges,
    shares: binShares(edges, values),
    sketch: quantileSketch(sorted),
    mean: sorted.length === 0 ? null : sum / sorted.length,
  };
}

/** Shares of the named values, of all others, and of missing ones, in that order: `values.length + 2` entries. */
export function categoryShares(values: readonly string[], column: readonly (string | null)[]): number[] {
  const index = new Map(values.map((value, i) => [value, i]));
  const counts = new Array<number>(values.length + 2).fill(0);
  for (const value of column) {
    const at = value === null ? values.length + 1 : (index.get(value) ?? values.length);
    counts[at] = (counts[at] as number) + 1;
  }
  return counts.map((count) => (column.length === 0 ? 0 : count / column.length));
}

/** Profile of a category column: its 20 most frequent values, equally frequent ones in code point order. */
export function categoryReference(name: string, column: readonly (string | null)[]): CategoryReference {
  const counts = new Map<string, number>();
  for (const value of column) if (value !== null) counts.set(value, (counts.get(value) ?? 0) + 1);
  const top = [...counts]
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    .slice(0, TOP_CATEGORIES)
    .map(([value]) => value);
  const shares = categoryShares(top, column);
  return {
    name,
    kind: 'category',
    missing: shares[top.length + 1] as number,
    values: top.map((value, i) => ({ value, share: shares[i] as number })),
    other: shares[top.length] as number,
  };
}

/**
 * Profile of a model: `fitted` holds the rows of train and validate, `scores` those of validate and test. The event loop gets a
 * turn after every feature (40 ms for 300,000 rows), so that heartbeats go out.
 */
export async function buildProfile(
  features: readonly FeatureInfo[],
  fitted: FeatureTable,
  scores: ArrayLike<number>,
  periods: { features: Period; score: Period },
): Promise<ReferenceProfile> {
  const references: ReferenceProfile['features'] = [];
  for (const { name, kind } of features) {
    references.push(
      kind === 'number'
        ? numberReference(name, fitted.numbers[name] ?? [])
        : categoryReference(name, fitted.categories[name] ?? []),
    );
    await turn();
  }
  return {
    features: references,
    featureRows: fitted.rows,
    featurePeriod: periods.features,
    score: numberReference('score', scores),
    scoreRows: scores.length,
    scorePeriod: periods.score,
  };
}
