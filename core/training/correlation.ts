/** Which numbers say the same as others. */
import { setImmediate as turn } from 'node:timers/promises';
import type { SelectionReport } from '../spec/transforms.ts';

/** A correlation over fewer rows than this says nothing. */
const FEWEST_ROWS = 30;

/**
 * Pearson's correlation of the rows in which both are finite; 0 where either is constant or fewer than 30 rows are left.
 * Two passes, so that large numbers with small spread keep their digits. [1, 2, 3, …] and [2, 4, 6, …] → 1.
 */
export function correlation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let rows = 0;
  let [sumA, sumB] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] as number, b[i] as number];
    if (!Number.isFinite(x) || !Number.isFinite(y)) continue;
    rows += 1;
    sumA += x;
    sumB += y;
  }
  if (rows < FEWEST_ROWS) return 0;
  const [meanA, meanB] = [sumA / rows, sumB / rows];
  let [squaresA, squaresB, products] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const x = (a[i] as number) - meanA;
    const y = (b[i] as number) - meanB;
    if (!Number.isFinite(x) || !Number.isFinite(y)) continue;
    squaresA += x * x;
    squaresB += y * y;
    products += x * y;
  }
  return squaresA > 0 && squaresB > 0 ? products / Math.sqrt(squaresA * squaresB) : 0;
}

export interface NumberColumn {
  name: string;
  values: Float32Array;
}

/**
 * Goes through the columns from the one that tells most of the label (by correlation; what must stay comes first) and drops each
 * whose absolute correlation with a column kept so far is above `limit`.
 */
export async function dropCorrelated(
  columns: readonly NumberColumn[],
  label: ArrayLike<number>,
  { limit, always }: { limit: number; always: readonly string[] },
): Promise<SelectionReport['dropped']> {
  const ranked = columns
    .map((column) => ({
      ...column,
      stays: always.includes(column.name),
      tells: Math.abs(correlation(column.values, label)),
    }))
    .sort((a, b) => Number(b.stays) - Number(a.stays) || b.tells - a.tells);
  const kept: typeof ranked = [];
  const dropped: SelectionReport['dropped'] = [];
  for (const column of ranked) {
    await turn();
    const twin = column.stays ? undefined : closest(column, kept);
    if (twin && twin.value > limit) {
      dropped.push({ column: column.name, by: 'correlation', value: twin.value, with: twin.name });
    } else {
      kept.push(column);
    }
  }
  return dropped;
}

function closest(column: NumberColumn, kept: readonly NumberColumn[]): { name: string; value: number } | undefined {
  let best: { name: string; value: number } | undefined;
  for (const { name, values } of kept) {
    const value = Math.abs(correlation(column.values, values));
    if (!best || value > best.value) best = { name, value };
  }
  return best;
}
