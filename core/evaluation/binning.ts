/**
 * Cutting values into bins, one way for everything that bins: calibration, the reference profile, drift.
 * A bin is open below and closed above: bin 0 holds x <= edges[0], bin i holds edges[i-1] < x <= edges[i], the last one the
 * rest. It does not deal with missing values: leave them out first (`finiteSorted`).
 */

/** The finite values of a column, ascending; NaN and infinities count as missing everywhere in evaluation and drift. */
export function finiteSorted(values: ArrayLike<number>): Float64Array {
  const kept = new Float64Array(values.length);
  let n = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (Number.isFinite(value)) kept[n++] = value;
  }
  return kept.subarray(0, n).sort();
}

/** How many of the ascending `sorted` are <= x. */
export function countAtMost(sorted: ArrayLike<number>, x: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) <= x) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** How many of the ascending `sorted` are < x. */
export function countBelow(sorted: ArrayLike<number>, x: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) < x) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Distinct edges that cut ascending values into at most `bins` bins of about equal size, none of them empty. Equal values
 * stay together, so ties give fewer bins; one distinct value gives no edge. `[1..10]` in 5 bins → `[2, 4, 6, 8]`.
 */
export function quantileEdges(sorted: Float64Array, bins: number): number[] {
  const edges: number[] = [];
  const n = sorted.length;
  if (n === 0) return edges;
  const max = sorted[n - 1] as number;
  for (let i = 1; i < bins; i++) {
    let edge = sorted[Math.ceil((n * i) / bins) - 1] as number;
    if (edge >= max) {
      // Many rows at the maximum: cut just below them, or they would be lost in one bin with everything else.
      const below = countBelow(sorted, max);
      if (below === 0) return edges;
      edge = sorted[below - 1] as number;
    }
    const last = edges.at(-1);
    if (last === undefined || edge > last) edges.push(edge);
  }
  return edges;
}

/** Index of the bin that x falls into, 0..edges.length. */
export function binOf(edges: readonly number[], x: number): number {
  return countBelow(edges, x);
}
