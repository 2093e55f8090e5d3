/** Spearman's rank correlations of a sample, pair by pair over the rows where both have a value. */
import { setImmediate as turn } from 'node:timers/promises';
import type { Exploration } from '../spec/exploration.ts';

/** Features on the map; the list of pairs covers all. */
const SHOWN = 36;
const PAIRS = 20;
/** Fewer common rows say nothing. */
const LEAST = 10;

export interface Series {
  name: string;
  values: ArrayLike<number>;
}

/** The map and the strongest pairs. `label` is the first on the map where it varies. */
export async function correlate(
  numbers: readonly Series[],
  label: Series | undefined,
): Promise<Pick<Exploration, 'correlations' | 'pairs'>> {
  const series = [...(label ? [label] : []), ...numbers].map(({ name, values }) => ({ name, ranks: ranksOf(values) }));
  const matrix: (number | null)[][] = series.map(() => new Array<number | null>(series.length).fill(null));
  const pairs: Exploration['pairs'] = [];
  for (const [i, a] of series.entries()) {
    for (let j = i; j < series.length; j++) {
      const b = series[j] as (typeof series)[number];
      const r = pearson(a.ranks, b.ranks);
      (matrix[i] as (number | null)[])[j] = r;
      (matrix[j] as (number | null)[])[i] = r;
      if (i !== j && r !== null && (!label || i > 0)) pairs.push({ a: a.name, b: b.name, r });
    }
    // Heartbeats go out in between.
    await turn();
  }
  pairs.sort((a, b) => Math.abs(b.r) - Math.abs(a.r) || (a.a < b.a ? -1 : 1));
  const shown = chosen(matrix, label !== undefined);
  return {
    correlations: {
      names: shown.map((at) => (series[at] as { name: string }).name),
      matrix: shown.map((i) => shown.map((j) => rounded(matrix[i]?.[j] ?? null))),
    },
    pairs: pairs.slice(0, PAIRS).map(({ r, ...pair }) => ({ ...pair, r: rounded(r) ?? 0 })),
  };
}

const rounded = (r: number | null) => (r === null ? null : Math.round(r * 1000) / 1000);

/** Those with the strongest ties where there are too many; in the order they came. */
function chosen(matrix: (number | null)[][], labelled: boolean): number[] {
  const all = matrix.map((_, at) => at);
  const most = SHOWN + (labelled ? 1 : 0);
  if (all.length <= most) return all;
  const strength = (at: number) =>
    Math.max(0, ...all.flatMap((other) => (other === at ? [] : [Math.abs(matrix[at]?.[other] ?? 0)])));
  const strongest = all.filter((at) => !labelled || at > 0).sort((a, b) => strength(b) - strength(a));
  return [...(labelled ? [0] : []), ...strongest.slice(0, SHOWN)].sort((a, b) => a - b);
}

/** Mean ranks from 0; NaN where there is no value. [3, 1, 3, NaN] → [1.5, 0, 1.5, NaN]. */
export function ranksOf(values: ArrayLike<number>): Float64Array {
  const ranks = new Float64Array(values.length).fill(Number.NaN);
  const rows = Uint32Array.from({ length: values.length }, (_, row) => row).filter((row) =>
    Number.isFinite(values[row]),
  );
  rows.sort((a, b) => (values[a] as number) - (values[b] as number));
  for (let start = 0; start < rows.length; ) {
    let end = start + 1;
    while (end < rows.length && values[rows[end] as number] === values[rows[start] as number]) end++;
    for (let at = start; at < end; at++) ranks[rows[at] as number] = (start + end - 1) / 2;
    start = end;
  }
  return ranks;
}

/** Over the rows where both are numbers; null where one of them does not vary there. */
function pearson(a: Float64Array, b: Float64Array): number | null {
  let [n, sumA, sumB, sumAB, sumAA, sumBB] = [0, 0, 0, 0, 0, 0];
  for (let row = 0; row < a.length; row++) {
    const x = a[row] as number;
    const y = b[row] as number;
    if (Number.isNaN(x) || Number.isNaN(y)) continue;
    n += 1;
    sumA += x;
    sumB += y;
    sumAB += x * y;
    sumAA += x * x;
    sumBB += y * y;
  }
  if (n < LEAST) return null;
  const spreadA = n * sumAA - sumA * sumA;
  const spreadB = n * sumBB - sumB * sumB;
  // Sums of whole ranks are exact; what is left of a constant is rounding.
  if (spreadA <= 1e-9 * n * sumAA || spreadB <= 1e-9 * n * sumBB) return null;
  return Math.max(-1, Math.min(1, (n * sumAB - sumA * sumB) / Math.sqrt(spreadA * spreadB)));
}
