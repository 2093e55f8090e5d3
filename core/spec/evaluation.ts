import type { Static } from 'typebox';
import Type from 'typebox';
import { BlobRef, Period } from './artifacts.ts';

/** Quality on one set of rows. `auc` is null when only one class is present. */
export const Metrics = Type.Object({
  auc: Type.Union([Type.Number(), Type.Null()]),
  logLoss: Type.Number(),
  brier: Type.Number(),
  rows: Type.Integer(),
  positives: Type.Integer(),
});
export type Metrics = Static<typeof Metrics>;

export const SliceMetrics = Type.Object({ column: Type.String(), value: Type.String(), metrics: Metrics });
export type SliceMetrics = Static<typeof SliceMetrics>;

/**
 * A gate's verdict. `value` is what was judged, `limit` what it was held against. `value` is null where it could not be
 * computed, which is a failed gate; `limit` is null then, or where there is nothing to hold it against (a first model has no
 * champion), and `reason` says so.
 */
export const GateResult = Type.Object({
  name: Type.String(),
  passed: Type.Boolean(),
  value: Type.Union([Type.Number(), Type.Null()]),
  limit: Type.Union([Type.Number(), Type.Null()]),
  reason: Type.String(),
});
export type GateResult = Static<typeof GateResult>;

/** Largest absolute difference in probability between two ways of computing the same prediction. */
export const ParityResult = Type.Object({
  /** ONNX against the trainer's own prediction, over all rows of validate and test. */
  native: Type.Number(),
  /** ONNX fed from the online path against ONNX fed from the offline join, over sampled entities at asOf. */
  online: Type.Number(),
  rowsNative: Type.Integer(),
  rowsOnline: Type.Integer(),
});
export type ParityResult = Static<typeof ParityResult>;

/** What evaluation of a candidate found; cached, does not depend on the champion. */
export const Evaluation = Type.Object({
  metrics: Type.Object({ validate: Metrics, test: Metrics }),
  baseline: Type.Object({ validate: Metrics, test: Metrics }),
  slices: Type.Array(SliceMetrics),
  parity: ParityResult,
  /** JSON blob with curves for plots: ROC, calibration, slices, importance (see core/evaluation). */
  curves: BlobRef,
  /** JSON blob: reference profile (bins per feature and of the score) that drift is measured against. */
  profile: BlobRef,
});
export type Evaluation = Static<typeof Evaluation>;

/** Champion and candidate on rows that neither was trained or tuned on; keyed by the champion's digest. */
export const Comparison = Type.Object({
  champion: Type.Object({ version: Type.Integer(), sha256: Type.String(), asOf: Type.String() }),
  period: Type.Union([Period, Type.Null()]),
  rows: Type.Integer(),
  candidate: Type.Union([Metrics, Type.Null()]),
  championMetrics: Type.Union([Metrics, Type.Null()]),
  /** Why nothing could be compared, in one sentence; absent where something could. */
  reason: Type.Optional(Type.String()),
  /** JSON blob with the ROC curves of both on these rows (ComparisonCurves); absent where nothing was compared. */
  curves: Type.Optional(BlobRef),
});
export type Comparison = Static<typeof Comparison>;

export const FeatureDrift = Type.Object({
  feature: Type.String(),
  psi: Type.Number(),
  /** Kolmogorov–Smirnov distance; null for categories, and where one side has no values. */
  ks: Type.Union([Type.Number(), Type.Null()]),
  drifted: Type.Boolean(),
});
export type FeatureDrift = Static<typeof FeatureDrift>;

export const DriftReport = Type.Object({
  model: Type.String(),
  version: Type.Integer(),
  window: Period,
  rows: Type.Integer(),
  /** Those that could be compared, most drifted first. */
  features: Type.Array(FeatureDrift),
  /** Of the score; null where the model could not be asked (no rows, or features the training set lacks). */
  prediction: Type.Union([FeatureDrift, Type.Null()]),
  drifted: Type.Array(Type.String()),
  /** Share of the compared features that drifted, 0..1. */
  share: Type.Number(),
  /** Features of the model that this training set does not have, or has as another kind; all of them where there are no rows. */
  notComparable: Type.Array(Type.String()),
});
export type DriftReport = Static<typeof DriftReport>;
