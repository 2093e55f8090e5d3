/** How well one feature alone tells the outcomes apart: honest for categories too, whose rates are measured on other rows. */
import { auc, aucInterval } from '../evaluation/metrics.ts';

export interface Alone {
  /** At least 0.5: which way round the feature points does not matter. */
  auc: number;
  /** Lower end of its 95 % interval. */
  low: number;
}

/** Fewer of one outcome say nothing. */
const LEAST = 5;
const FOLDS = 5;
/** Rows that a category's rate is drawn towards the overall rate by. */
const PRIOR = 10;

/** A number by its order; rows without a value are left out. Null where an outcome has fewer than five rows. */
export function numberAlone(values: ArrayLike<number>, labels: Uint8Array): Alone | null {
  const rows = Uint32Array.from(labels.keys()).filter((row) => Number.isFinite(values[row]));
  return measured(
    Float64Array.from(rows, (row) => values[row] as number),
    Uint8Array.from(rows, (row) => labels[row] as number),
  );
}

/** Whether a value is there at all. */
export function missingAlone(isMissing: (row: number) => boolean, labels: Uint8Array): Alone | null {
  return measured(
    Float64Array.from(labels, (_, row) => (isMissing(row) ? 1 : 0)),
    labels,
  );
}

/**
 * A category by the rate of its value in the other four fifths of the rows, drawn towards the overall rate: thousands of
 * values of one row each tell nothing, and are not said to.
 */
export function categoryAlone(values: readonly (string | null)[], labels: Uint8Array): Alone | null {
  const all = new Map<string | null, { rows: number; positives: number }[]>();
  let positives = 0;
  for (const [row, label] of labels.entries()) {
    positives += label;
    const value = values[row] ?? null;
    const folds = all.get(value) ?? Array.from({ length: FOLDS }, () => ({ rows: 0, positives: 0 }));
    all.set(value, folds);
    const fold = folds[row % FOLDS] as { rows: number; positives: number };
    fold.rows += 1;
    fold.positives += label;
  }
  const rate = labels.length === 0 ? 0 : positives / labels.length;
  const scores = Float64Array.from(labels, (_, row) => {
    let [there, positive] = [0, 0];
    for (const [at, fold] of (all.get(values[row] ?? null) ?? []).entries()) {
      if (at === row % FOLDS) continue;
      there += fold.rows;
      positive += fold.positives;
    }
    return (positive + PRIOR * rate) / (there + PRIOR);
  });
  const found = measured(scores, labels, true);
  return found;
}

function measured(scores: Float64Array, labels: Uint8Array, oneWay = false): Alone | null {
  const positives = labels.reduce((sum, label) => sum + label, 0);
  const negatives = labels.length - positives;
  if (positives < LEAST || negatives < LEAST) return null;
  const area = auc(scores, labels) ?? 0.5;
  const best = Math.max(0.5, oneWay ? area : Math.max(area, 1 - area));
  return { auc: best, low: aucInterval(best, positives, negatives)?.low ?? 0 };
}
