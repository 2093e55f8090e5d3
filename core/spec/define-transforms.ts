/** How transforms are written in a pipeline. They run in the order of the list, each on what the ones before it left. */
import type { TransformSpec } from './transforms.ts';

/** A column, several, or `'*'`: every column of the kind that the transform takes. */
type ColumnsInput = string | string[];
interface Keep {
  /** Keep the column too; the result gets a suffix. */
  keep?: boolean;
}

function common(columns: ColumnsInput, { keep }: Keep): { columns: string[]; keep?: true } {
  return { columns: typeof columns === 'string' ? [columns] : columns, ...(keep ? { keep: true } : {}) };
}

/**
 * Fills what is missing: with a statistic of the training rows, or with `value`. `indicator` adds `<column>_missing`.
 * Suffix: `_imputed`.
 */
export function impute(
  columns: ColumnsInput,
  options: Keep & { indicator?: boolean } & (
      | { with: 'mean' | 'median' | 'mostFrequent' }
      | { value: number | string; with?: never }
    ),
): TransformSpec {
  const how = 'value' in options ? { with: 'constant' as const, value: options.value } : { with: options.with };
  return { kind: 'impute', ...common(columns, options), ...how, ...(options.indicator ? { indicator: true } : {}) };
}

/**
 * `standard`: mean 0, standard deviation 1; `minMax`: 0 to 1 on the training rows; `robust`: median 0, interquartile range 1.
 * Suffix: `_scaled`.
 */
export function scale(
  columns: ColumnsInput,
  options: Keep & { by?: 'standard' | 'minMax' | 'robust' } = {},
): TransformSpec {
  return { kind: 'scale', ...common(columns, options), by: options.by ?? 'standard' };
}

/** ln(1 + x), missing for x ≤ -1; `signed`: sign(x) · ln(1 + |x|) for numbers of both signs. Suffix: `_log`. */
export function log(columns: ColumnsInput, options: Keep & { signed?: boolean } = {}): TransformSpec {
  return { kind: 'log', ...common(columns, options), ...(options.signed ? { signed: true } : {}) };
}

/** Adds the squares (`a_squared`) and the products of any two of the columns (`a_x_b`). */
export function polynomial(
  columns: ColumnsInput,
  options: { squares?: boolean; interactions?: boolean } = {},
): TransformSpec {
  const { squares = true, interactions = true } = options;
  return { kind: 'polynomial', ...common(columns, {}), squares, interactions };
}

/** The number of the bin, from 0: bins of equally many training rows, of equal width, or between given edges. Suffix: `_bin`. */
export function bin(
  columns: ColumnsInput,
  options: Keep & ({ quantiles: number } | { uniform: number } | { edges: number[] }),
): TransformSpec {
  const to = common(columns, options);
  if ('edges' in options) return { kind: 'bin', ...to, by: 'edges', edges: options.edges };
  if ('uniform' in options) return { kind: 'bin', ...to, by: 'uniform', bins: options.uniform };
  return { kind: 'bin', ...to, by: 'quantile', bins: options.quantiles };
}

/**
 * A column of 0 and 1 for each value, `<column>_<value>`. A value that is missing, rare (a smaller share of the training rows
 * than `minShare`, or not among the `max` most frequent) or unseen is 0 everywhere.
 */
export function oneHot(columns: ColumnsInput, options: Keep & { minShare?: number; max?: number } = {}): TransformSpec {
  return { kind: 'oneHot', ...common(columns, options), minShare: options.minShare ?? 0, max: options.max ?? 50 };
}

/** The place of the value, from 0, in `order` or else sorted; any other value is missing. Suffix: `_ordinal`. */
export function ordinal(columns: ColumnsInput, options: Keep & { order?: (string | number)[] } = {}): TransformSpec {
  return { kind: 'ordinal', ...common(columns, options), ...(options.order ? { order: options.order } : {}) };
}

/** The share of the training rows that have the same value; 0 for an unseen one. Suffix: `_frequency`. */
export function frequency(columns: ColumnsInput, options: Keep = {}): TransformSpec {
  return { kind: 'frequency', ...common(columns, options) };
}

/**
 * The share of positive labels among the training rows with the same value, drawn towards the overall share by `smoothing`
 * rows. A training row gets the share among the *other* folds, never its own label. Suffix: `_target`.
 */
export function targetEncode(
  columns: ColumnsInput,
  options: Keep & { folds?: number; by?: 'time' | 'key'; smoothing?: number; seed?: number } = {},
): TransformSpec {
  const { folds = 5, by = 'time', smoothing = 20, seed = 0 } = options;
  return { kind: 'targetEncode', ...common(columns, options), folds, by, smoothing, seed };
}

/** Outliers are brought back to the edge: quantiles of the training rows, or quartiles ± `iqr` interquartile ranges. Suffix: `_capped`. */
export function cap(
  columns: ColumnsInput,
  options: Keep & ({ quantiles: [number, number] } | { iqr: number }),
): TransformSpec {
  const to = common(columns, options);
  if ('iqr' in options) return { kind: 'cap', ...to, by: 'iqr', factor: options.iqr };
  const [low, high] = options.quantiles;
  return { kind: 'cap', ...to, by: 'quantile', low, high };
}
