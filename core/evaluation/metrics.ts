/**
 * Quality of probabilities for a yes/no question. Shapes: `scores` and `labels` have one entry a row; a score is the
 * probability of label 1. Pure functions of their arguments; confidence intervals of the metrics themselves are not here.
 */
import type { Metrics } from '../spec/evaluation.ts';
import { logLoss } from '../training/log-loss.ts';
import { binOf, finiteSorted, quantileEdges } from './binning.ts';

export type Scores = Float32Array | Float64Array;

/** Ascending scores of the positive and of the negative rows. */
function byLabel(scores: Scores, labels: Uint8Array): { positives: Float64Array; negatives: Float64Array } {
  let p = 0;
  for (const label of labels) p += label;
  const positives = new Float64Array(p);
  const negatives = new Float64Array(labels.length - p);
  let i = 0;
  let j = 0;
  for (let row = 0; row < labels.length; row++) {
    if (labels[row]) positives[i++] = scores[row] as number;
    else negatives[j++] = scores[row] as number;
  }
  return { positives: positives.sort(), negatives: negatives.sort() };
}

/**
 * Area under the ROC curve: the share of (positive, negative) pairs that the score puts in the right order, ties counted as
 * half (Mann–Whitney U; Hanley & McNeil 1982). Null when one class is absent. O(n log n).
 * Scores .1 .4 .35 .8 with labels 0 0 1 1 → 0.75 (3 of 4 pairs).
 */
export function auc(scores: Scores, labels: Uint8Array): number | null {
  const { positives, negatives } = byLabel(scores, labels);
  if (positives.length === 0 || negatives.length === 0) return null;
  let below = 0;
  let atMost = 0;
  let pairs = 0;
  for (const score of positives) {
    while (below < negatives.length && (negatives[below] as number) < score) below++;
    if (atMost < below) atMost = below;
    while (atMost < negatives.length && (negatives[atMost] as number) <= score) atMost++;
    pairs += (below + atMost) / 2;
  }
  return pairs / (positives.length * negatives.length);
}

/**
 * 95 % interval of an AUC from its value and the rows of each class alone (Hanley & McNeil 1982), kept within 0..1. Null for a
 * class without rows. Their example: 0.893 with 51 positives and 58 negatives has a standard error of 0.0325 → [0.829, 0.957].
 */
export function aucInterval(area: number, positives: number, negatives: number): { low: number; high: number } | null {
  if (positives === 0 || negatives === 0) return null;
  const q1 = area / (2 - area);
  const q2 = (2 * area * area) / (1 + area);
  const squared = area * area;
  const spread = area * (1 - area) + (positives - 1) * (q1 - squared) + (negatives - 1) * (q2 - squared);
  const half = 1.959963984540054 * Math.sqrt(Math.max(0, spread) / (positives * negatives));
  return { low: Math.max(0, area - half), high: Math.min(1, area + half) };
}

/** Mean squared difference of score and label (Brier 1950). 0 for no rows. Scores .9 .1 .8 .3, labels 1 0 1 1 → 0.1375. */
export function brier(scores: Scores, labels: Uint8Array): number {
  let sum = 0;
  for (let row = 0; row < labels.length; row++) sum += ((scores[row] as number) - (labels[row] as number)) ** 2;
  return labels.length === 0 ? 0 : sum / labels.length;
}

/** All metrics of one set of rows. */
export function metricsOf(scores: Scores, labels: Uint8Array): Metrics {
  let positives = 0;
  for (const label of labels) positives += label;
  return {
    auc: auc(scores, labels),
    logLoss: logLoss(scores, labels),
    brier: brier(scores, labels),
    rows: labels.length,
    positives,
  };
}

/** `x`: false positive rate, `y`: true positive rate. */
export interface RocPoint {
  x: number;
  y: number;
}

/**
 * ROC curve from (0,0) to (1,1), one vertex a distinct score (Fawcett 2006), thinned to at most `most` of them at about equal
 * steps along the curve. Empty when one class is absent. Scores .1 .4 .35 .8, labels 0 0 1 1 → (0,0) (0,.5) (.5,.5) (.5,1) (1,1).
 */
export function rocCurve(scores: Scores, labels: Uint8Array, most = 200): RocPoint[] {
  const { positives, negatives } = byLabel(scores, labels);
  const p = positives.length;
  const n = negatives.length;
  if (p === 0 || n === 0) return [];
  const points: RocPoint[] = [{ x: 0, y: 0 }];
  // Steps of x + y (0 to 2) between kept vertices; the first and the last vertex are always kept.
  const step = 2 / Math.max(1, most - 2);
  let i = p;
  let j = n;
  let due = step;
  while (i > 0 || j > 0) {
    const score = Math.max(
      i > 0 ? (positives[i - 1] as number) : -Infinity,
      j > 0 ? (negatives[j - 1] as number) : -Infinity,
    );
    while (i > 0 && positives[i - 1] === score) i--;
    while (j > 0 && negatives[j - 1] === score) j--;
    const point = { x: (n - j) / n, y: (p - i) / p };
    const along = point.x + point.y;
    if ((i === 0 && j === 0) || p + n < most || along >= due) {
      points.push(point);
      due = along + step;
    }
  }
  return points;
}

/** One bin of a calibration table; `low` and `high` are the 95 % Wilson interval of the observed share. */
export interface CalibrationBin {
  predicted: number;
  observed: number;
  low: number;
  high: number;
  rows: number;
}

/**
 * Wilson score interval of a share (Wilson 1927): unlike the plain normal one it stays within 0..1 and is honest for few rows.
 * 10 of 100 at 95 % → [0.0552, 0.1744]. `[0, 1]` for no rows.
 */
export function wilson(successes: number, rows: number, z = 1.959963984540054): { low: number; high: number } {
  if (rows === 0) return { low: 0, high: 1 };
  const share = successes / rows;
  const scale = 1 + (z * z) / rows;
  const middle = (share + (z * z) / (2 * rows)) / scale;
  const half = (z * Math.sqrt((share * (1 - share)) / rows + (z * z) / (4 * rows * rows))) / scale;
  return { low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}

/**
 * Mean score against observed share in bins of about equal size by score (a reliability table; Niculescu-Mizil & Caruana
 * 2005), lowest scores first. Ties stay in one bin, so there may be fewer than `bins`.
 * Scores .1 .2 .7 .8, labels 0 0 1 1, 2 bins → predicted .15 and .75, observed 0 and 1.
 */
export function calibrationTable(scores: Scores, labels: Uint8Array, bins = 10): CalibrationBin[] {
  const edges = quantileEdges(finiteSorted(scores), bins);
  const rows = new Float64Array(edges.length + 1);
  const positives = new Float64Array(edges.length + 1);
  const sums = new Float64Array(edges.length + 1);
  for (let row = 0; row < labels.length; row++) {
    const score = scores[row] as number;
    const bin = binOf(edges, score);
    rows[bin] = (rows[bin] as number) + 1;
    positives[bin] = (positives[bin] as number) + (labels[row] as number);
    sums[bin] = (sums[bin] as number) + score;
  }
  return [...rows].flatMap((count, bin) => {
    if (count === 0) return [];
    const hits = positives[bin] as number;
    return [{ predicted: (sums[bin] as number) / count, observed: hits / count, ...wilson(hits, count), rows: count }];
  });
}

/**
 * Expected calibration error: mean distance of predicted and observed share, bins weighted by their rows (Naeini et al. 2015,
 * here over bins of equal size as Nixon et al. 2019 advise). Predicted .15 and .75 against observed 0 and 1 → 0.2.
 */
export function expectedCalibrationError(table: readonly CalibrationBin[]): number {
  let rows = 0;
  let sum = 0;
  for (const bin of table) {
    rows += bin.rows;
    sum += bin.rows * Math.abs(bin.predicted - bin.observed);
  }
  return rows === 0 ? 0 : sum / rows;
}
