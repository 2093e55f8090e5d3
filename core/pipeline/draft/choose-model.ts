/** A model and gates that fit the number of rows: modest where there are few, so that chance is not learned by heart. */
import type { ChosenSplit, Counts } from './choose-split.ts';

export interface ChosenModel {
  rounds: number;
  params: Record<string, number>;
  /** Absent: the parameters are taken as they are. */
  search?: { trials: number; rounds: number; rowShare: number };
  gates: { auc: number; tolerance: number; minRows: number };
}

/** Fewer training rows than this are too few to tell one set of parameters from another. */
const SEARCH_FROM = 20_000;

export function chooseModel({ train, test }: ChosenSplit): ChosenModel {
  const leaf = clamp(Math.round(train.rows / 100), 5, 100);
  return {
    rounds: 300,
    params: {
      learning_rate: 0.05,
      num_leaves: train.rows < 1000 ? 7 : train.rows < 10_000 ? 15 : 31,
      min_data_in_leaf: leaf,
      // LightGBM's own default of 100 rows would leave small tables without categories.
      min_data_per_group: leaf,
      feature_fraction: 0.8,
      lambda_l2: 1,
    },
    ...(train.rows < SEARCH_FROM
      ? {}
      : { search: { trials: 4, rounds: 100, rowShare: train.rows > 200_000 ? 0.5 : 1 } }),
    gates: {
      auc: chanceAuc(test),
      tolerance: test.rows < 1000 ? 0.05 : 0.01,
      minRows: clamp(Math.round(test.rows / 4), 10, 1000),
    },
  };
}

/**
 * The AUC below which a model is surely worse than guessing: 0.5 minus three standard errors of guessing, which are
 * √((n₁ + n₀ + 1) / (12 n₁ n₀)) (Mann–Whitney). 50 of 100 rows: 0.5 − 3 × 0.058 → 0.32; 5,000 of 10,000: 0.48.
 */
export function chanceAuc({ rows, positives }: Counts): number {
  const error = Math.sqrt((rows + 1) / (12 * positives * (rows - positives)));
  return Math.max(0, Math.floor((0.5 - 3 * error) * 100) / 100);
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
