/** What plots are drawn from: the JSON behind `Evaluation.curves` and `Comparison.curves`. All over the test period. */
import type { CalibrationBin, RocPoint, Scores } from './metrics.ts';
import { calibrationTable, expectedCalibrationError, rocCurve } from './metrics.ts';
import type { WeekMetrics } from './slices.ts';

export interface ModelCurves {
  roc: RocPoint[];
  calibration: CalibrationBin[];
  calibrationError: number;
}

/** Rows by score and label, in bins of equal width over 0..1; bin i holds i/n <= score < (i+1)/n, the last one 1 too. */
export interface ScoreHistogram {
  positives: number[];
  negatives: number[];
}

export interface Curves {
  candidate: ModelCurves;
  baseline: ModelCurves;
  histogram: ScoreHistogram;
  /** Weeks of the validation and the test period. */
  weeks: WeekMetrics[];
  importance: { feature: string; share: number }[];
}

/** ROC curves on the rows that neither model saw. */
export interface ComparisonCurves {
  candidate: RocPoint[];
  champion: RocPoint[];
}

export function modelCurves(scores: Scores, labels: Uint8Array): ModelCurves {
  const calibration = calibrationTable(scores, labels);
  return { roc: rocCurve(scores, labels), calibration, calibrationError: expectedCalibrationError(calibration) };
}

/** Scores 0.05 and 0.99 with labels 0 and 1 in 2 bins → negatives [1, 0], positives [0, 1]. */
export function scoreHistogram(scores: Scores, labels: Uint8Array, bins = 40): ScoreHistogram {
  const positives = new Array<number>(bins).fill(0);
  const negatives = new Array<number>(bins).fill(0);
  for (const [row, score] of scores.entries()) {
    const bin = Math.min(bins - 1, Math.max(0, Math.floor(score * bins)));
    const counts = labels[row] ? positives : negatives;
    counts[bin] = (counts[bin] as number) + 1;
  }
  return { positives, negatives };
}
