import type { Static } from 'typebox';
import Type from 'typebox';

/** Immutable bytes in the store: `uri` is the store key (`blobs/sha256/<2>/<hex>`), `sha256` is hex. */
export const BlobRef = Type.Object({
  uri: Type.String(),
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  bytes: Type.Integer({ minimum: 0 }),
});
export type BlobRef = Static<typeof BlobRef>;

/** How often one contract rule was broken, e.g. `{ rule: 'dep_delay: minimum -60', column: 'dep_delay', count: 3 }`. */
export const RuleCount = Type.Object({
  rule: Type.String(),
  column: Type.Union([Type.String(), Type.Null()]),
  count: Type.Integer({ minimum: 0 }),
});
export type RuleCount = Static<typeof RuleCount>;

/**
 * A column of an extracted table. `known` names the TIMESTAMP columns (UTC, never null: 'infinity' = not known yet,
 * '-infinity' = always known) whose maximum is the time from which the column's value is known.
 */
export const ColumnInfo = Type.Object({
  name: Type.String(),
  /** DuckDB type name, e.g. 'VARCHAR', 'DOUBLE', 'BIGINT', 'TIMESTAMP'. */
  type: Type.String(),
  known: Type.Array(Type.String()),
});
export type ColumnInfo = Static<typeof ColumnInfo>;

/**
 * One file of a source, checked and enriched, independent of any asOf. The Parquet in `data` holds all rows: raw columns,
 * derived columns, `__known_<i>` (see ColumnInfo), `__event_at` (TIMESTAMP UTC; NULL where the source has no event time),
 * `__bad_known_at` (TIMESTAMP; 'infinity' = a good row, else when the row was first known to break its contract).
 */
export const Partition = Type.Object({
  name: Type.String(),
  data: BlobRef,
  /** The rejected rows with a `__rules` VARCHAR[] column; absent when none. */
  quarantine: Type.Optional(BlobRef),
  rows: Type.Integer(),
  badRows: Type.Integer(),
  rules: Type.Array(RuleCount),
  columns: Type.Array(ColumnInfo),
  /** Event times of the good rows, ISO UTC; absent where the source has none. */
  eventRange: Type.Optional(Type.Object({ oldest: Type.String(), newest: Type.String() })),
  /** Earliest time at which anything in a good row was known, ISO UTC; absent where that is always. */
  knownFrom: Type.Optional(Type.String()),
  /** Rows of it end: `__gone_at` (TIMESTAMP; 'infinity' = never) is from when a row no longer counts, deleted or replaced. */
  ends: Type.Optional(Type.Boolean()),
});
export type Partition = Static<typeof Partition>;

/** A source as a run sees it: its partitions, judged (bad rows, freshness) as of the run's date. */
export const Snapshot = Type.Object({
  source: Type.String(),
  /** Digest over the partitions' digests: the identity of the data. */
  id: Type.String(),
  partitions: Type.Array(Type.Object({ name: Type.String(), data: BlobRef })),
  columns: Type.Array(ColumnInfo),
  /** Rows known by asOf, rejected ones not counted. */
  rows: Type.Integer(),
  quarantined: Type.Integer(),
  rules: Type.Array(RuleCount),
  /** Newest event time known by asOf, ISO UTC; null where the source has none. */
  newestEvent: Type.Union([Type.String(), Type.Null()]),
  /** Some rows end: `__gone_at` of the relation says from when on a row, deleted or replaced, no longer counts. Absent: none does. */
  ends: Type.Optional(Type.Boolean()),
  /** Store key of the manifest, `datasets/<source>/<id>/manifest.json`. */
  manifest: Type.String(),
});
export type Snapshot = Static<typeof Snapshot>;

export const FeatureKind = Type.Enum(['number', 'category']);
export const FeatureInfo = Type.Object({
  name: Type.String(),
  /** number: FLOAT column, NULL = missing; category: VARCHAR column, NULL = missing. */
  kind: FeatureKind,
  /** Name of the view it comes from. */
  view: Type.String(),
});
export type FeatureInfo = Static<typeof FeatureInfo>;

/** Half-open in prediction time: `from <= predict_at < to`, ISO UTC. */
export const Period = Type.Object({ from: Type.String(), to: Type.String() });
export type Period = Static<typeof Period>;

export const Split = Type.Enum(['train', 'validate', 'test']);
export type Split = Static<typeof Split>;
export const SPLITS = ['train', 'validate', 'test'] as const satisfies readonly Split[];

/**
 * What trainers see instead of the raw features, where the pipeline declares transforms or selects features; made from the
 * training rows (selection looks at the validation rows too).
 */
export const Prepared = Type.Object({
  /** JSON (`FittedTransforms`, core/spec/transforms.ts); absent without transforms. */
  transforms: Type.Optional(BlobRef),
  /** Values of the columns that transforms made, for every row of the training set (core/training/column-file.ts). */
  columns: Type.Optional(BlobRef),
  /** Columns that the trainers see, in order; those that no transform made are raw features. */
  features: Type.Array(FeatureInfo),
  /** Raw features that these columns are made of: the model's inputs. */
  inputs: Type.Array(FeatureInfo),
  /** JSON (`SelectionReport`); absent where nothing is selected. */
  selection: Type.Optional(BlobRef),
});
export type Prepared = Static<typeof Prepared>;

/**
 * The training set: Parquet ordered by (predict_at, key columns) with the key columns, `predict_at` TIMESTAMP,
 * `__split` VARCHAR, `__label` BOOLEAN, then one column a feature (FeatureInfo), in the pipeline's order, then the columns
 * named by slices that are no features, as VARCHAR named `__slice_<column>`.
 */
export const TrainingSet = Type.Object({
  data: BlobRef,
  /** Logical digest: same rows and values in the same order = same digest, whatever the bytes. */
  digest: Type.String(),
  rows: Type.Object({ train: Type.Integer(), validate: Type.Integer(), test: Type.Integer() }),
  positives: Type.Object({ train: Type.Integer(), validate: Type.Integer(), test: Type.Integer() }),
  /** Spine rows left out, by reason. */
  excluded: Type.Object({
    /** The label has no value (a cancelled flight) though the outcome is past. */
    unlabelled: Type.Integer(),
    /** The label was not known yet when the next period (or asOf) began. */
    labelLate: Type.Integer(),
  }),
  periods: Type.Object({ train: Period, validate: Period, test: Period }),
  features: Type.Array(FeatureInfo),
  slices: Type.Array(Type.String()),
  /** Absent unless the pipeline transforms or selects features. */
  prepared: Type.Optional(Prepared),
});
export type TrainingSet = Static<typeof TrainingSet>;

/**
 * What a trainer produced. `native` is a JSON blob (core/training/native-model.ts), normalised so that equal models have
 * equal bytes: no thread counts, no dates.
 */
export const FittedModel = Type.Object({
  trainer: Type.String(),
  native: BlobRef,
  /** Little-endian float64 probabilities of the native model for the rows of validate, then test, in training-set order. */
  predictions: BlobRef,
  /** The model's inputs: raw features, in the pipeline's order. */
  features: Type.Array(FeatureInfo),
  /** Fitted transforms between the features and the columns of `native`; absent where they are the same. */
  transforms: Type.Optional(BlobRef),
  /** How the features were selected (`SelectionReport`); absent where all were taken. */
  selection: Type.Optional(BlobRef),
  /** Boosting rounds kept, and rounds trained (early stopping keeps fewer). */
  rounds: Type.Integer(),
  roundsTrained: Type.Integer(),
  params: Type.Record(Type.String(), Type.Unknown()),
  /** Gain share per column of the native model, sums to 1, highest first. */
  importance: Type.Array(Type.Object({ feature: Type.String(), share: Type.Number() })),
  /** Start of the test period (ISO UTC): no row the model was trained or tuned on has an outcome known later than this. */
  seenUntil: Type.String(),
});
export type FittedModel = Static<typeof FittedModel>;

/** A candidate: the fitted model and its ONNX graph, preprocessing included. */
export const TrainedModel = Type.Object({ ...FittedModel.properties, onnx: BlobRef });
export type TrainedModel = Static<typeof TrainedModel>;

/** One hyperparameter trial, scored on the validation period. */
export const Trial = Type.Object({
  trial: Type.Integer(),
  params: Type.Record(Type.String(), Type.Number()),
  logLoss: Type.Number(),
  rounds: Type.Integer(),
});
export type Trial = Static<typeof Trial>;
