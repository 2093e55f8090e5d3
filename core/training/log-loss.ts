/** Probabilities are kept this far from 0 and 1, so that one certain and wrong row costs 34.5 and not infinity. */
const CLIP = 1e-15;

/**
 * Mean negative log-likelihood of 0/1 labels in nats (Good 1952), probabilities clipped to [1e-15, 1 - 1e-15], summed in row
 * order: equal inputs give equal bits, whatever the threads. 0 for no rows. What training stops by and what a model is judged by.
 * p = .9 .1 .8 .35 with labels 1 0 1 1 → (0.1054 + 0.1054 + 0.2231 + 1.0498) / 4 = 0.3709.
 */
export function logLoss(probabilities: Float32Array | Float64Array, labels: ArrayLike<number>): number {
  let sum = 0;
  for (let row = 0; row < probabilities.length; row++) {
    const p = Math.min(Math.max(probabilities[row] as number, CLIP), 1 - CLIP);
    sum -= labels[row] ? Math.log(p) : Math.log1p(-p);
  }
  return probabilities.length === 0 ? 0 : sum / probabilities.length;
}
