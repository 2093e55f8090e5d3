/** Probabilities are kept this far from 0 and 1, as LightGBM and scikit-learn do, so that a loss is finite. */
const EPSILON = 1e-15;

/**
 * Mean negative log-likelihood of 0/1 labels, summed in row order (equal inputs give equal bits, whatever the threads).
 * p = [.9, .2], y = [1, 0] → -(ln .9 + ln .8) / 2 ≈ 0.1643.
 */
export function logLoss(probabilities: Float64Array, labels: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < probabilities.length; i++) {
    const p = Math.min(1 - EPSILON, Math.max(EPSILON, probabilities[i] as number));
    sum -= Math.log(labels[i] === 1 ? p : 1 - p);
  }
  return sum / probabilities.length;
}
