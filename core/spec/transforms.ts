/**
 * Transforms that are fitted: how they are declared in a pipeline, and what fitting them comes to. A fitted transform is plain
 * JSON, so that it can be stored, compared and written into an ONNX graph.
 */
import type { Static, TSchema } from 'typebox';
import Type from 'typebox';
import { FeatureInfo } from './artifacts.ts';

const closed = { additionalProperties: false };

/** Columns by name; `*` alone: every column of the kind that the transform takes, at this place in the chain. */
const Columns = Type.Array(Type.String({ pattern: '^(\\*|(?!__)[A-Za-z_][A-Za-z0-9_]*)$' }), { minItems: 1 });
/** The column stays, and the result stands beside it as `<column>_<suffix>`. */
const keep = Type.Optional(Type.Literal(true));

const transform = <Kind extends string, Rest extends Record<string, TSchema>>(kind: Kind, rest: Rest) =>
  Type.Object({ kind: Type.Literal(kind), columns: Columns, ...rest }, closed);

export const TransformSpec = Type.Union([
  transform('impute', {
    with: Type.Enum(['mean', 'median', 'mostFrequent', 'constant']),
    /** Of `constant`. */
    value: Type.Optional(Type.Union([Type.Number(), Type.String({ minLength: 1 })])),
    /** Adds `<column>_missing`: 1 where the value was missing. */
    indicator: Type.Optional(Type.Literal(true)),
    keep,
  }),
  transform('scale', { by: Type.Enum(['standard', 'minMax', 'robust']), keep }),
  transform('log', { signed: Type.Optional(Type.Literal(true)), keep }),
  transform('polynomial', { squares: Type.Boolean(), interactions: Type.Boolean() }),
  transform('bin', {
    by: Type.Enum(['quantile', 'uniform', 'edges']),
    /** Of `quantile` and `uniform`. */
    bins: Type.Optional(Type.Integer({ minimum: 2, maximum: 256 })),
    /** Of `edges`, ascending. */
    edges: Type.Optional(Type.Array(Type.Number(), { minItems: 1, maxItems: 255 })),
    keep,
  }),
  transform('oneHot', {
    /** Share of the training rows that a value needs for a column of its own. */
    minShare: Type.Number({ minimum: 0, maximum: 1 }),
    /** Most columns, of the most frequent values. */
    max: Type.Integer({ minimum: 1, maximum: 1000 }),
    keep,
  }),
  transform('ordinal', {
    /** Values from the lowest to the highest; absent: sorted. */
    order: Type.Optional(Type.Array(Type.Union([Type.String({ minLength: 1 }), Type.Number()]), { minItems: 1 })),
    keep,
  }),
  transform('frequency', { keep }),
  transform('targetEncode', {
    folds: Type.Integer({ minimum: 2, maximum: 100 }),
    /** `time`: folds are stretches of time; `key`: by a hash of the row's key. */
    by: Type.Enum(['time', 'key']),
    /** As many rows of the overall rate are mixed into each value's own. */
    smoothing: Type.Number({ minimum: 0 }),
    /** Of the hash. */
    seed: Type.Integer({ minimum: 0 }),
    keep,
  }),
  transform('cap', {
    by: Type.Enum(['quantile', 'iqr']),
    /** Of `quantile`. */
    low: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
    high: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
    /** Of `iqr`: quartiles ± this many interquartile ranges. */
    factor: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
    keep,
  }),
]);
export type TransformSpec = Static<typeof TransformSpec>;
export type TransformOf<Kind extends TransformSpec['kind']> = Extract<TransformSpec, { kind: Kind }>;

/** Which columns a model is left with, decided on the training and validation rows. */
export const SelectSpec = Type.Object(
  {
    /** Of two numbers with an absolute Pearson correlation above this, the one that tells less of the label goes. */
    correlation: Type.Optional(Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1 })),
    /** Columns with a smaller share of LightGBM's gain go. */
    importance: Type.Optional(Type.Number({ minimum: 0, exclusiveMaximum: 1 })),
    /** Recursive elimination: train, drop the least important, again, until `keep` are left (or those of the best round). */
    eliminate: Type.Optional(
      Type.Object(
        {
          keep: Type.Union([Type.Integer({ minimum: 1 }), Type.Literal('best')]),
          /** Share of the columns that a round drops, one at least. */
          step: Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1 }),
        },
        closed,
      ),
    ),
    /** Columns that stay whatever is found. */
    always: Type.Array(Type.String()),
    /** Most boosting rounds of a training that judges columns. */
    rounds: Type.Integer({ minimum: 1, maximum: 10_000 }),
  },
  closed,
);
export type SelectSpec = Static<typeof SelectSpec>;

const item = { column: Type.String(), to: Type.String() };
const stage = <Op extends string, Item extends TSchema>(op: Op, of: Item) =>
  Type.Object({ op: Type.Literal(op), items: Type.Array(of) });
/** null = missing (NaN). */
const Value = Type.Union([Type.Number(), Type.Null()]);
const Levels = Type.Array(Type.Union([Type.String(), Type.Number()]));

/**
 * One fitted transform: `items` are independent of each other and read the columns as they were before it. Numbers are
 * float32 between stages and float64 within one; NaN and infinite = missing, which stays missing unless said otherwise.
 */
export const FittedStage = Type.Union([
  /** A missing value becomes `fill`; `indicator` names a column that is 1 there, else 0. */
  stage(
    'impute',
    Type.Object({
      ...item,
      fill: Type.Union([Type.Number(), Type.String()]),
      indicator: Type.Optional(Type.String()),
    }),
  ),
  /** (x - shift) / scale */
  stage('affine', Type.Object({ ...item, shift: Type.Number(), scale: Type.Number() })),
  /** ln(1 + x), missing for x ≤ -1; signed: sign(x) · ln(1 + |x|). */
  stage('log', Type.Object({ ...item, signed: Type.Boolean() })),
  /** left · right; both may be the same. */
  stage('product', Type.Object({ left: Type.String(), right: Type.String(), to: Type.String() })),
  /** How many of the edges are not above x: 0 … edges.length. */
  stage('bin', Type.Object({ ...item, edges: Type.Array(Type.Number()) })),
  /** `values[i]` for `levels[i]`, `missing` for a missing value, `other` for all others; all of them float32. */
  stage(
    'encode',
    Type.Object({ ...item, levels: Levels, values: Type.Array(Type.Number()), other: Value, missing: Value }),
  ),
  /** 1 in column `to[i]` for `levels[i]`; all 0 for any other value and for none. */
  stage('oneHot', Type.Object({ column: Type.String(), levels: Levels, to: Type.Array(Type.String()) })),
  /** Not below `low`, not above `high`; both float32. */
  stage('clip', Type.Object({ ...item, low: Type.Number(), high: Type.Number() })),
]);
export type FittedStage = Static<typeof FittedStage>;
export type StageOf<Op extends FittedStage['op']> = Extract<FittedStage, { op: Op }>;

/** The JSON blob of fitted transforms: the raw features, the stages in order, and the columns that come of them. */
export const FittedTransforms = Type.Object({
  inputs: Type.Array(FeatureInfo),
  stages: Type.Array(FittedStage),
  columns: Type.Array(FeatureInfo),
});
export type FittedTransforms = Static<typeof FittedTransforms>;

/** The JSON blob that tells what feature selection found. Columns are named as the trainer sees them. */
export const SelectionReport = Type.Object({
  kept: Type.Array(Type.String()),
  dropped: Type.Array(
    Type.Object({
      column: Type.String(),
      by: Type.Enum(['correlation', 'importance', 'elimination']),
      /** The correlation, or the share of gain when it was dropped. */
      value: Type.Number(),
      /** The column that it is correlated with. */
      with: Type.Optional(Type.String()),
    }),
  ),
  /** A training each, in order: how good the model was with how many columns. */
  rounds: Type.Array(
    Type.Object({ columns: Type.Integer(), logLoss: Type.Number(), dropped: Type.Array(Type.String()) }),
  ),
  /** Raw features that the model needs, and those that it does not need any more. */
  inputs: Type.Array(Type.String()),
  unused: Type.Array(Type.String()),
});
export type SelectionReport = Static<typeof SelectionReport>;
