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

/** A row that breaks a rule: where it stands, and some of its values as text (personal data treated, long texts cut). */
export const RuleSample = Type.Object({
  /** File of the row. */
  partition: Type.String(),
  /** Its place in the file, from 1. */
  row: Type.Integer(),
  values: Type.Record(Type.String(), Type.Union([Type.String(), Type.Null()])),
});
export type RuleSample = Static<typeof RuleSample>;

/** What became of one rule of a contract as of a date. */
export const RuleResult = Type.Object({
  rule: Type.String(),
  column: Type.Union([Type.String(), Type.Null()]),
  /** row: broken by single rows, which are rejected; table: about all rows together. */
  kind: Type.Enum(['row', 'table']),
  /** fail: broken table rules refuse the snapshot (rows are refused by their share); warn: they are only told. */
  severity: Type.Enum(['fail', 'warn']),
  passed: Type.Boolean(),
  /** Rows that break it. */
  count: Type.Integer({ minimum: 0 }),
  /** What was found, for a rule about the table: a share, a quantile, a time; null where there was nothing to look at. */
  value: Type.Optional(Type.Union([Type.Number(), Type.String(), Type.Null()])),
  /** A few of the rows. */
  samples: Type.Array(RuleSample),
});
export type RuleResult = Static<typeof RuleResult>;

/** A source held against its contract as of a date: every rule, broken or not. */
export const SnapshotChecks = Type.Object({
  source: Type.String(),
  asOf: Type.String(),
  rows: Type.Integer(),
  rejected: Type.Integer(),
  rules: Type.Array(RuleResult),
});
export type SnapshotChecks = Static<typeof SnapshotChecks>;

/** One difference between the columns of two snapshots of a source. */
export const SchemaChange = Type.Object({
  column: Type.String(),
  change: Type.Enum(['added', 'removed', 'widened', 'narrowed', 'retyped', 'required', 'optional']),
  /** Types, or null where the column was not there. */
  from: Type.Union([Type.String(), Type.Null()]),
  to: Type.Union([Type.String(), Type.Null()]),
  compatible: Type.Boolean(),
});
export type SchemaChange = Static<typeof SchemaChange>;

/** One column of a profile. Of personal data only the counts are kept. */
export const ColumnProfile = Type.Object({
  name: Type.String(),
  /** DuckDB type name. */
  type: Type.String(),
  /** number: the figures are of the values; time: of seconds since 1970; category: of nothing. */
  kind: Type.Enum(['number', 'time', 'category']),
  personal: Type.Boolean(),
  nulls: Type.Integer(),
  /** Approximate (HyperLogLog, within a tenth) where the profile is of a sample. */
  distinct: Type.Integer(),
  min: Type.Optional(Type.Union([Type.Number(), Type.String()])),
  max: Type.Optional(Type.Union([Type.Number(), Type.String()])),
  mean: Type.Optional(Type.Number()),
  std: Type.Optional(Type.Number()),
  /** Numbers and times (ISO UTC): p01, p05, p25, p50, p75, p95, p99, of the sample. */
  quantiles: Type.Optional(Type.Record(Type.String(), Type.Union([Type.Number(), Type.String()]))),
  /** The most frequent values with their shares of the sample, most frequent first; times have none. */
  top: Type.Array(Type.Object({ value: Type.String(), share: Type.Number() })),
});
export type ColumnProfile = Static<typeof ColumnProfile>;

/** Statistics of a snapshot's rows that keep their contract. Counts, min, max, mean and std are of all, the rest of a sample. */
export const SnapshotProfile = Type.Object({
  source: Type.String(),
  snapshot: Type.String(),
  rows: Type.Integer(),
  /** Rows that quantiles and frequent values were taken from: all, or some chosen by a hash. */
  sampled: Type.Integer(),
  columns: Type.Array(ColumnProfile),
});
export type SnapshotProfile = Static<typeof SnapshotProfile>;

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
  /** SHA-256 of the file that it was extracted from; absent where it was made of other partitions. */
  raw: Type.Optional(Type.String()),
  /** Of one that was made of others: the states of files that it goes back to, how many and the first thousand of them. */
  folded: Type.Optional(
    Type.Object({
      files: Type.Integer(),
      first: Type.Array(Type.Object({ name: Type.String(), raw: Type.Optional(Type.String()), data: Type.String() })),
    }),
  ),
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
  /** Change data only: the newest time at which one of its good rows says that it was made, ISO UTC. */
  newestChange: Type.Optional(Type.String()),
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
  /** JSON blob (SnapshotChecks): every rule of the contract with its count and samples. */
  checks: Type.Optional(BlobRef),
  /** Rules that are broken and only warn. */
  warnings: Type.Optional(Type.Array(Type.String())),
  /** Compatible changes of the columns since the last snapshot of the source. */
  changes: Type.Optional(Type.Array(SchemaChange)),
  /** JSON blob (SnapshotProfile), and in words what is notably different from the last snapshot of the source. */
  profile: Type.Optional(BlobRef),
  notable: Type.Optional(Type.Array(Type.String())),
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
