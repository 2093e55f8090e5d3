/**
 * A fitted model in the words of its trainer, as the JSON blob `FittedModel.native`. Equal models have equal bytes: no thread
 * counts, seeds, dates or paths. `core/onnx` turns it into a graph.
 */
import type { FeatureInfo } from '../spec/artifacts.ts';

/**
 * Gradient-boosted trees. Columns are `features` in order. A category's value is its index in `categories[feature]`; missing
 * (null, '') and unseen ones are NaN, as missing (NaN, infinite) numbers are. Inputs are float32, and so is every threshold (model-text.ts).
 */
export interface LightGbmNative {
  format: 'lightgbm';
  /** LightGBM's model text (v4) without its `parameters:` block. */
  model: string;
  /** Category feature → its levels, sorted by code unit. */
  categories: Record<string, string[]>;
  features: FeatureInfo[];
}

/**
 * Logistic regression: p = 1 / (1 + exp(-z)), z = intercept
 *   + Σ numbers: weight × (x - mean) / scale, where a missing x (NaN, infinite) counts as `impute` and adds `missingWeight`
 *   + Σ categories: the level's weight, or `otherWeight` for any other value and for none.
 */
export interface LogisticNative {
  format: 'logistic';
  intercept: number;
  numbers: { feature: string; mean: number; scale: number; impute: number; weight: number; missingWeight: number }[];
  /** `weights[i]` belongs to `levels[i]`; levels are sorted by code unit. */
  categories: { feature: string; levels: string[]; weights: number[]; otherWeight: number }[];
  features: FeatureInfo[];
}

export type NativeModel = LightGbmNative | LogisticNative;
