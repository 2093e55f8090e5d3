import type { Static } from 'typebox';
import Type from 'typebox';
import { SelectSpec, TransformSpec } from './transforms.ts';

/** A column or output name: letters, digits and underscores, never starting with two underscores (those are Refit's). */
const Name = Type.String({ pattern: '^(?!__)[A-Za-z_][A-Za-z0-9_]*$' });
/** A pipeline or model name, as it stands in workflow ids and store keys. */
export const PipelineName = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$' });
/** `90s`, `15m`, `2h`, `7d`, `2w`, `3mo`, `1y`; months and years are calendar steps in UTC. */
export const Duration = Type.String({ pattern: '^[1-9][0-9]*(s|m|h|d|w|mo|y)$' });
/** A DuckDB expression over the columns of one source; times in it are UTC. */
const Sql = Type.String({ minLength: 1 });

const closed = { additionalProperties: false };

/** Rows are changes of entities, as a database's log tells them. */
export const ChangesSpec = Type.Object(
  {
    /** Columns that name the entity. */
    key: Type.Array(Name, { minItems: 1 }),
    /** Column with what happened: insert, update or delete, or their first letters. Absent: no row deletes. */
    op: Type.Optional(Name),
    /** Column that orders the changes of an entity; `time` unless declared. */
    version: Type.Optional(Name),
    /** Column with the time of the change: nothing of its row was known before. */
    time: Type.Optional(Name),
  },
  closed,
);
export type ChangesSpec = Static<typeof ChangesSpec>;

/** A table of a database, or a query: one of `name` and `query`. */
export const TableSpec = Type.Object(
  {
    name: Type.Optional(Type.String({ minLength: 1 })),
    query: Type.Optional(Type.String({ minLength: 1 })),
    /** Environment variable that holds the address of the database, password included. */
    url: Type.Optional(Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]*$' })),
    /** Column (a time) that cuts the table into partitions; absent: the table is one. */
    by: Type.Optional(Type.String({ minLength: 1 })),
    /** Length of a partition; a month unless declared. */
    every: Type.Optional(Type.Enum(['1h', '1d', '1w', '1mo', '1y'])),
    /** Column that grows with every change of a row: a partition with the same count and highest version is not copied again. */
    version: Type.Optional(Type.String({ minLength: 1 })),
  },
  closed,
);
export type TableSpec = Static<typeof TableSpec>;

export const SourceSpec = Type.Object(
  {
    format: Type.Enum(['parquet', 'csv', 'jsonl', 'duckdb', 'postgres']),
    /** Glob, relative to the project's root, or `s3://bucket/…`; each matching file is a partition. */
    path: Type.String({ minLength: 1 }),
    /** Of 'duckdb' and 'postgres': what is read of it. */
    table: Type.Optional(TableSpec),
    /** JSON Schema of one row (read from the named file when the pipeline is resolved). */
    contract: Type.Record(Type.String(), Type.Unknown()),
    /** IANA zone of TIMESTAMP values without one; 'UTC' unless declared. */
    zone: Type.String(),
    /** Derived columns, evaluated in this order; a later one may use an earlier one. */
    derive: Type.Record(Name, Sql),
    /** When a row happened; absent for reference tables, whose rows are always valid. */
    eventTime: Type.Optional(Sql),
    /** When columns became known; `*` for all others. Absent: known always. NULL: not known yet. */
    knownAt: Type.Optional(Type.Record(Type.String(), Sql)),
    /** Column with the time a row was recorded, where that is later than knownAt says (late rows). */
    recordedAt: Type.Optional(Name),
    /** Share of rows that may break the contract before the run fails. */
    maxBadShare: Type.Number({ minimum: 0, maximum: 1 }),
    /** The newest event may be at most this much older than asOf. */
    freshness: Type.Optional(Duration),
    changes: Type.Optional(ChangesSpec),
    /** 'replace': a changed file replaces the old one for every date; otherwise runs as of earlier dates see what was there. */
    corrections: Type.Optional(Type.Literal('replace')),
  },
  closed,
);
export type SourceSpec = Static<typeof SourceSpec>;

export const FieldSpec = Type.Object(
  {
    /** Name of the feature. */
    name: Name,
    /** Column (or SQL expression over columns) of the source. */
    expr: Sql,
    /** Emit `<name>_sin` and `<name>_cos` of the value over this period instead of the value. */
    cyclical: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
  },
  closed,
);
export type FieldSpec = Static<typeof FieldSpec>;

/** Spine column → source column. */
const By = Type.Record(Name, Name, { minProperties: 1 });

export const FieldsView = Type.Object(
  { kind: Type.Literal('fields'), name: Name, source: Name, fields: Type.Array(FieldSpec, { minItems: 1 }) },
  closed,
);
export const AgeSpec = Type.Object({ name: Name, unit: Type.Enum(['s', 'm', 'h', 'd']) }, closed);
export type AgeSpec = Static<typeof AgeSpec>;
export const LatestView = Type.Object(
  {
    kind: Type.Literal('latest'),
    name: Name,
    source: Name,
    by: By,
    /** Event time of the view; the source's own unless declared. A source without one is a reference table. */
    on: Type.Optional(Sql),
    /** May be empty where only `age` is asked for. */
    fields: Type.Array(FieldSpec),
    /** A row older than this no longer answers; one exactly as old does. */
    ttl: Type.Optional(Duration),
    /** Forecasts: the row for this much after the prediction time (event time <= predict_at + ahead), as known at it. */
    ahead: Type.Optional(Duration),
    /** Features that tell how long before the prediction time the newest row happened. */
    age: Type.Optional(Type.Array(AgeSpec, { minItems: 1 })),
  },
  closed,
);
export const Aggregate = Type.Object(
  {
    name: Name,
    fn: Type.Enum(['count', 'sum', 'avg', 'min', 'max', 'std', 'quantile', 'distinct', 'last', 'share']),
    /** Absent: `count` of rows. `share` takes a boolean, `distinct` and `last` anything, the others a number. */
    expr: Type.Optional(Sql),
    /** Of `quantile`: 0 is the smallest value, 1 the greatest, between them interpolated in a straight line. */
    q: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  },
  closed,
);
export type Aggregate = Static<typeof Aggregate>;
export const WindowView = Type.Object(
  {
    kind: Type.Literal('window'),
    name: Name,
    source: Name,
    by: By,
    on: Type.Optional(Sql),
    /** The window is (predict_at - over, predict_at]; absent: all that happened before (statistics of a group). */
    over: Type.Optional(Duration),
    /** Only the newest so many rows of the window, by event time. */
    last: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
    aggregate: Type.Array(Aggregate, { minItems: 1 }),
  },
  closed,
);
/** Parts of the prediction time, on the clock and calendar of a zone. */
export const CalendarPart = Type.Enum([
  'minuteOfDay',
  'hour',
  'weekday',
  'weekend',
  'day',
  'week',
  'month',
  'quarter',
  'year',
]);
export type CalendarPart = Static<typeof CalendarPart>;
export const CalendarView = Type.Object(
  {
    kind: Type.Literal('calendar'),
    name: Name,
    /** IANA zone. */
    zone: Type.String({ minLength: 1 }),
    parts: Type.Array(
      Type.Object(
        {
          name: Name,
          part: CalendarPart,
          /** Emit `<name>_sin` and `<name>_cos` instead: December is near January. */
          cyclical: Type.Optional(Type.Literal(true)),
        },
        closed,
      ),
      { minItems: 1 },
    ),
  },
  closed,
);
/** Features made of two features of earlier views. */
export const DerivedField = Type.Object(
  {
    name: Name,
    /** `cross` joins two categories (or whole numbers) to one; the others take numbers. */
    op: Type.Enum(['ratio', 'difference', 'product', 'cross']),
    of: Type.Array(Name, { minItems: 2, maxItems: 2 }),
  },
  closed,
);
export type DerivedField = Static<typeof DerivedField>;
export const DerivedView = Type.Object(
  { kind: Type.Literal('derived'), name: Name, fields: Type.Array(DerivedField, { minItems: 1 }) },
  closed,
);
export const FeatureView = Type.Union([FieldsView, LatestView, WindowView, CalendarView, DerivedView]);
export type FieldsView = Static<typeof FieldsView>;
export type LatestView = Static<typeof LatestView>;
export type WindowView = Static<typeof WindowView>;
export type CalendarView = Static<typeof CalendarView>;
export type DerivedView = Static<typeof DerivedView>;
export type FeatureView = Static<typeof FeatureView>;

export const SpineSpec = Type.Object(
  {
    source: Name,
    key: Type.Array(Name, { minItems: 1 }),
    predictAt: Sql,
    /** Boolean SQL; NULL = no label (counted, left out). */
    label: Sql,
    labelKnownAt: Sql,
    /** Rows to ask about; all unless declared. */
    where: Type.Optional(Sql),
    /** A row can be asked for online, by its key, until this long after its prediction time; an hour unless declared. */
    online: Type.Optional(Duration),
  },
  closed,
);
export type SpineSpec = Static<typeof SpineSpec>;

export const SplitSpec = Type.Object(
  { test: Duration, validate: Duration, train: Type.Object({ min: Duration, max: Duration }, closed) },
  closed,
);
export type SplitSpec = Static<typeof SplitSpec>;

/** Parameters of LightGBM (or of the logistic regression) by their own names, plus Refit's. */
export const ModelSpec = Type.Object(
  {
    trainer: Type.Enum(['gbdt', 'logistic']),
    objective: Type.Enum(['binary']),
    /** Most boosting rounds; early stopping may keep fewer. */
    rounds: Type.Integer({ minimum: 1, maximum: 100_000 }),
    /** Rounds between checkpoints; part of the model's identity. */
    chunk: Type.Integer({ minimum: 1 }),
    /** Stop when the validation loss has not improved for this many rounds; 0 = never. */
    earlyStopping: Type.Integer({ minimum: 0 }),
    seed: Type.Integer({ minimum: 0, maximum: 2_147_483_647 }),
    params: Type.Record(Type.String(), Type.Union([Type.Number(), Type.Boolean(), Type.String()])),
    /** Which pool trains: decides between `refit-cpu` and `refit-gpu`. */
    resources: Type.Enum(['cpu', 'gpu']),
  },
  closed,
);
export type ModelSpec = Static<typeof ModelSpec>;

export const SearchRange = Type.Object(
  {
    min: Type.Number(),
    max: Type.Number(),
    log: Type.Optional(Type.Boolean()),
    int: Type.Optional(Type.Boolean()),
  },
  closed,
);
export const SearchSpec = Type.Object(
  {
    /** 0 = no search, train with the declared parameters. */
    trials: Type.Integer({ minimum: 0, maximum: 1000 }),
    /** Trials proposed together; the next batch waits for all of them. */
    batch: Type.Integer({ minimum: 1, maximum: 64 }),
    /** Rounds of a trial. */
    rounds: Type.Integer({ minimum: 1 }),
    /** Share of training rows (the newest) a trial sees. */
    rowShare: Type.Number({ exclusiveMinimum: 0, maximum: 1 }),
    space: Type.Record(Type.String(), SearchRange),
  },
  closed,
);
export type SearchSpec = Static<typeof SearchSpec>;

const MetricName = Type.Enum(['auc', 'logLoss', 'brier']);
export const GateSpec = Type.Union([
  Type.Object({ gate: Type.Literal('atLeast'), metric: MetricName, limit: Type.Number() }, closed),
  Type.Object({ gate: Type.Literal('atMost'), metric: MetricName, limit: Type.Number() }, closed),
  /** Better than the logistic baseline on the test period by at least `margin`. */
  Type.Object({ gate: Type.Literal('betterThanBaseline'), metric: MetricName, margin: Type.Number() }, closed),
  /** Not worse than the champion by more than `tolerance`, on rows neither was trained or tuned on. */
  Type.Object(
    {
      gate: Type.Literal('notWorseThanChampion'),
      metric: MetricName,
      tolerance: Type.Number({ minimum: 0 }),
      minRows: Type.Integer({ minimum: 1 }),
    },
    closed,
  ),
  /** Every slice with enough rows: metric at least (auc) or at most (losses) the overall value ± tolerance. */
  Type.Object(
    {
      gate: Type.Literal('slices'),
      columns: Type.Array(Name, { minItems: 1 }),
      metric: MetricName,
      tolerance: Type.Number({ minimum: 0 }),
      minRows: Type.Integer({ minimum: 1 }),
    },
    closed,
  ),
  Type.Object({ gate: Type.Literal('parity'), limit: Type.Number({ exclusiveMinimum: 0 }) }, closed),
]);
export type GateSpec = Static<typeof GateSpec>;

export const DriftSpec = Type.Object(
  {
    /** Newest stretch before asOf that is held against the reference profile. */
    window: Duration,
    /** A feature drifted when its PSI is above this. */
    psi: Type.Number({ exclusiveMinimum: 0 }),
  },
  closed,
);
export type DriftSpec = Static<typeof DriftSpec>;

export const PromoteSpec = Type.Object(
  {
    /** 'required': a version that passed its gates waits for a person. */
    approval: Type.Enum(['none', 'required']),
    /** How long it waits. */
    timeout: Duration,
    /** What happens when nobody spoke by then. */
    onTimeout: Type.Enum(['reject', 'promote']),
    rollout: Type.Literal('immediate'),
  },
  closed,
);
export type PromoteSpec = Static<typeof PromoteSpec>;

/** When something starts by itself; each start takes its asOf from the time it was scheduled for. */
export const ScheduleSpec = Type.Object(
  {
    /** Cron expression of five fields; or `every`. */
    cron: Type.Optional(Type.String({ minLength: 1 })),
    /** Fixed interval, counted from midnight of 1970-01-01 UTC; seconds to weeks. */
    every: Type.Optional(Duration),
    /** IANA zone of the cron expression. */
    zone: Type.String(),
    /** Each start is put off by a random time up to this. */
    jitter: Type.Optional(Duration),
    /** What happens when one is due while the last one is still under way. */
    overlap: Type.Enum(['skip', 'buffer-one', 'buffer-all', 'cancel-other', 'terminate-other', 'allow-all']),
    /** Starts that were missed while the server was down are caught up when they are not older than this. */
    catchup: Duration,
    /** Pause the schedule when one fails. */
    pauseOnFailure: Type.Boolean(),
    note: Type.Optional(Type.String()),
  },
  closed,
);
export type ScheduleSpec = Static<typeof ScheduleSpec>;

/** A pipeline as plain JSON: what `definePipeline` returns once contracts are read; a run is pinned to its digest. */
export const PipelineSpec = Type.Object(
  {
    name: PipelineName,
    question: Type.String(),
    /** 'latest': the end of the data (newest event of the spine's source); otherwise the clock. */
    asOf: Type.Enum(['latest', 'now']),
    sources: Type.Record(Name, SourceSpec, { minProperties: 1 }),
    spine: SpineSpec,
    features: Type.Array(FeatureView, { minItems: 1 }),
    /** Fitted on the training rows, in this order; absent = features are taken as they are. */
    transforms: Type.Optional(Type.Array(TransformSpec, { minItems: 1 })),
    /** Absent = every column is taken. */
    select: Type.Optional(SelectSpec),
    split: SplitSpec,
    model: ModelSpec,
    search: SearchSpec,
    /** Parameters of the baseline the model must justify itself against. */
    gates: Type.Array(GateSpec),
    drift: DriftSpec,
    promote: PromoteSpec,
    /** Of runs. */
    schedule: Type.Optional(ScheduleSpec),
    /** Of materialisations of the online features, between runs. */
    materialize: Type.Optional(ScheduleSpec),
  },
  closed,
);
export type PipelineSpec = Static<typeof PipelineSpec>;
