/**
 * Logistic regression with an L2 penalty by Newton's method (iteratively reweighted least squares), in float64.
 * Minimises Σ log(1 + exp(z)) - y z + l2/2 Σ w², where column 0, the intercept, is not penalised. Source: Hastie, Tibshirani,
 * Friedman, The Elements of Statistical Learning, 4.4.1. All sums run in row order, so equal inputs give equal bits.
 */
import type { Design } from './logistic-design.ts';

export interface NewtonFit {
  /** By column of the design. */
  weights: Float64Array;
  iterations: number;
  /** Standard deviation of each column over the training rows. */
  deviations: Float64Array;
}

export interface NewtonOptions {
  l2: number;
  /** Between iterations, with the weights so far. */
  onIteration(iteration: number, weights: Float64Array): Promise<void>;
}

export const MOST_ITERATIONS = 50;
/** Converged when no weight moves by more than this. */
const TOLERANCE = 1e-8;
/**
 * The Hessian, which costs most, is computed anew only while a weight still moves by more than this. Near the optimum it
 * hardly changes, and the gradient, which decides where the optimum is, is exact always.
 */
const STILL_MOVING = 0.05;

interface Sums {
  objective: number;
  gradient: Float64Array;
}

export async function fitNewton(
  design: Design,
  rows: Uint32Array,
  labels: Float32Array,
  options: NewtonOptions,
): Promise<NewtonFit> {
  const p = design.columns;
  const hessian = new Float64Array(p * p);
  const sumsAt = (at: Float64Array, into?: Float64Array): Sums => sumUp(design, rows, labels, at, options.l2, into);
  let weights = new Float64Array(p);
  let sums = sumsAt(weights, hessian);
  // At zero weights the Hessian is X'X / 4 (plus the penalty): the columns' deviations come for free.
  const deviations = deviationsOf(hessian, p, rows.length, options.l2);
  let iterations = 0;
  for (let moved = Infinity; moved > TOLERANCE && iterations < MOST_ITERATIONS; iterations++) {
    if (iterations > 0 && moved > STILL_MOVING) sums = sumsAt(weights, hessian);
    const step = solve(hessian, sums.gradient, p);
    const next = descend(weights, step, sums, sumsAt);
    moved = next.weights.reduce((most, weight, j) => Math.max(most, Math.abs(weight - (weights[j] as number))), 0);
    ({ weights, sums } = next);
    await options.onIteration(iterations + 1, weights);
  }
  return { weights, iterations, deviations };
}

/** Goes the whole step, or half of it until the objective does not rise; stays where it is after that. */
function descend(
  from: Float64Array<ArrayBuffer>,
  step: Float64Array,
  here: Sums,
  sumsAt: (weights: Float64Array) => Sums,
) {
  for (let share = 1; share > 1e-6; share /= 2) {
    const weights = from.map((weight, j) => weight - share * (step[j] as number));
    const sums = sumsAt(weights);
    // Within rounding of the sum: at the optimum the objective no longer falls.
    if (sums.objective <= here.objective + 1e-12 * Math.abs(here.objective)) return { weights, sums };
  }
  return { weights: from, sums: here };
}

/** One pass over the rows; with `hessian` given, that is filled too (lower triangle, row-major p × p). */
function sumUp(
  design: Design,
  rows: Uint32Array,
  labels: Float32Array,
  weights: Float64Array,
  l2: number,
  hessian?: Float64Array,
): Sums {
  const p = design.columns;
  const gradient = new Float64Array(p);
  hessian?.fill(0);
  const columns = new Int32Array(design.widest);
  const values = new Float64Array(design.widest);
  let objective = 0;
  for (let i = 0; i < rows.length; i++) {
    const count = design.fill(rows[i] as number, columns, values);
    let z = 0;
    for (let a = 0; a < count; a++) z += (values[a] as number) * (weights[columns[a] as number] as number);
    const y = labels[i] as number;
    const probability = 1 / (1 + Math.exp(-z));
    objective += Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))) - y * z;
    for (let a = 0; a < count; a++) {
      const column = columns[a] as number;
      gradient[column] = (gradient[column] as number) + (values[a] as number) * (probability - y);
    }
    if (hessian) addProducts(hessian, p, columns, values, count, probability * (1 - probability));
  }
  for (let j = 1; j < p; j++) {
    const weight = weights[j] as number;
    objective += (l2 / 2) * weight * weight;
    gradient[j] = (gradient[j] as number) + l2 * weight;
    if (hessian) hessian[j * p + j] = (hessian[j * p + j] as number) + l2;
  }
  return { objective, gradient };
}

/** Adds `weight` × (row)(row)' to the lower triangle. */
function addProducts(
  into: Float64Array,
  p: number,
  columns: Int32Array,
  values: Float64Array,
  count: number,
  weight: number,
): void {
  for (let a = 0; a < count; a++) {
    const line = (columns[a] as number) * p;
    const weighted = weight * (values[a] as number);
    for (let b = 0; b <= a; b++) {
      const at = line + (columns[b] as number);
      into[at] = (into[at] as number) + weighted * (values[b] as number);
    }
  }
}

/** From X'X/4 + l2 I with the column of ones first: var = Σx²/n - (Σx/n)². */
function deviationsOf(hessian: Float64Array, p: number, rows: number, l2: number): Float64Array {
  return Float64Array.from({ length: p }, (_, j) => {
    if (j === 0) return 0;
    const square = (4 * ((hessian[j * p + j] as number) - l2)) / rows;
    const mean = (4 * (hessian[j * p] as number)) / rows;
    return Math.sqrt(Math.max(0, square - mean * mean));
  });
}

/** Solves A x = b for a symmetric positive definite A, of which the lower triangle is given, by Cholesky's L L' = A. */
export function solve(a: Float64Array, b: Float64Array, p: number): Float64Array {
  const l = new Float64Array(p * p);
  for (let i = 0; i < p; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * p + j] as number;
      for (let k = 0; k < j; k++) sum -= (l[i * p + k] as number) * (l[j * p + k] as number);
      // A pivot of nothing but rounding (a column that the others make up, without penalty) is held above zero.
      l[i * p + j] = i === j ? Math.sqrt(Math.max(sum, 1e-12)) : sum / (l[j * p + j] as number);
    }
  }
  const x = Float64Array.from(b);
  for (let i = 0; i < p; i++) {
    for (let k = 0; k < i; k++) x[i] = (x[i] as number) - (l[i * p + k] as number) * (x[k] as number);
    x[i] = (x[i] as number) / (l[i * p + i] as number);
  }
  for (let i = p - 1; i >= 0; i--) {
    for (let k = i + 1; k < p; k++) x[i] = (x[i] as number) - (l[k * p + i] as number) * (x[k] as number);
    x[i] = (x[i] as number) / (l[i * p + i] as number);
  }
  return x;
}
