/**
 * What the commands print with `--json`, one schema a command. Scripts read these: fields may be added, not renamed. What
 * `refit run` prints is `RunResult` and `RunHandle` of run.ts.
 */
import type { Static } from 'typebox';
import Type from 'typebox';
import { FeatureInfo, RuleResult, SchemaChange, SnapshotProfile } from './artifacts.ts';
import { GateResult } from './evaluation.ts';
import { SplitSpec } from './pipeline.ts';
import { Progress, RunResult } from './run.ts';
import { StageResult } from './stages.ts';

const Nullable = <Schema extends Type.TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);
const Text = Nullable(Type.String());
/** ISO UTC. */
const Time = Type.String();
const Version = Type.Integer({ minimum: 1 });

/** Any command that fails; the HTTP API uses the same shape. */
export const CliError = Type.Object({
  error: Type.Object({
    code: Type.String({ pattern: '^REFIT_[A-Z_]+$' }),
    message: Type.String(),
    cure: Type.String(),
    details: Type.Record(Type.String(), Type.Unknown()),
  }),
});
export type CliError = Static<typeof CliError>;

/** States of a run's workflow. */
export const RUN_STATUSES = ['running', 'completed', 'failed', 'cancelled', 'terminated', 'timedOut'] as const;
export type RunStatusName = (typeof RUN_STATUSES)[number];
const RunStatusName = Type.Enum([...RUN_STATUSES]);

/** A run as the server's index knows it. */
export const RunSummary = Type.Object({
  workflowId: Type.String(),
  runId: Type.String(),
  pipeline: Type.String(),
  status: RunStatusName,
  startedAt: Time,
  endedAt: Nullable(Time),
  /** So far, while it runs. */
  seconds: Type.Number(),
  /** Where it is, or where it stopped; 'done' when it went through. */
  stage: Text,
  /** promoted, unchanged, rejected, failed; or waiting (for a person). */
  verdict: Text,
  version: Nullable(Version),
  /** cli, schedule, operator, client, … */
  trigger: Text,
});
export type RunSummary = Static<typeof RunSummary>;

/** `refit runs`: newest start first. */
export const RunList = Type.Object({ runs: Type.Array(RunSummary) });
export type RunList = Static<typeof RunList>;

/** `refit status`. */
export const RunStatus = Type.Object({
  ...RunSummary.properties,
  asOf: Text,
  stages: Type.Array(StageResult),
  /** What it does right now; absent where nothing answers for it. */
  progress: Type.Optional(Progress),
  /** The version that waits for a person. */
  waiting: Type.Optional(Type.Object({ version: Version, since: Time, until: Time })),
  /** Steps that failed and are being tried again. */
  retrying: Type.Array(Type.Object({ activity: Type.String(), attempt: Type.Integer(), message: Type.String() })),
  /** The receiver of its OpenLineage events did not answer, or will not take some of them. */
  lineage: Progress.properties.lineage,
  failure: Type.Optional(CliError.properties.error),
  result: Type.Optional(RunResult),
  /** The run in the Temporal UI. */
  ui: Text,
  /** The evaluation page. */
  report: Text,
});
export type RunStatus = Static<typeof RunStatus>;

/** `refit cancel`. */
export const Cancellation = Type.Object({
  workflowId: Type.String(),
  runId: Type.String(),
  /** False where the run had ended already. */
  requested: Type.Boolean(),
  status: RunStatusName,
});
export type Cancellation = Static<typeof Cancellation>;

/** A value that differs between two sides; null where a side has none. */
export const Difference = Type.Object({ path: Type.String(), a: Type.Unknown(), b: Type.Unknown() });
export type Difference = Static<typeof Difference>;

const Side = <Schema extends Type.TSchema>(schema: Schema) => ({ a: Nullable(schema), b: Nullable(schema) });
const ComparedRun = Type.Object({
  workflowId: Type.String(),
  runId: Type.String(),
  pipeline: Type.String(),
  asOf: Type.String(),
  startedAt: Time,
  seconds: Type.Number(),
  verdict: Type.String(),
  /** Digest of the pipeline's declaration. */
  spec: Text,
  model: Type.Object({ name: Type.String(), version: Version, sha256: Type.String() }),
});

/** `refit runs --compare A B`. */
export const RunComparison = Type.Object({
  a: ComparedRun,
  b: ComparedRun,
  /** Differences of the arguments, e.g. `asOf`, `set.model.rounds`. */
  input: Type.Array(Difference),
  /** Differences of the pipelines' declarations, field by field. */
  spec: Type.Array(Difference),
  metrics: Type.Array(
    Type.Object({
      split: Type.String(),
      metric: Type.String(),
      ...Side(Type.Number()),
      /** b − a */
      difference: Nullable(Type.Number()),
    }),
  ),
  gates: Type.Array(Type.Object({ name: Type.String(), ...Side(GateResult) })),
  stages: Type.Array(Type.Object({ name: Type.String(), ...Side(StageResult) })),
  /** Differences of the models' parameters, rounds included. */
  params: Type.Array(Difference),
});
export type RunComparison = Static<typeof RunComparison>;

/** What became of a version. */
const VersionState = Type.Enum(['champion', 'former', 'rejected', 'undecided', 'incomplete']);
const Decision = Type.Object({
  action: Type.String(),
  version: Version,
  by: Type.String(),
  reason: Type.String(),
  at: Time,
});

export const ModelSummary = Type.Object({
  model: Type.String(),
  versions: Type.Integer(),
  /** Null before the first promotion. */
  champion: Nullable(Type.Object({ version: Version, asOf: Type.String(), sha256: Type.String() })),
  /** Of the champion on its test period. */
  metrics: Nullable(RunResult.properties.metrics.properties.test),
  lastDecision: Nullable(Decision),
});
export type ModelSummary = Static<typeof ModelSummary>;

/** `refit models`. */
export const ModelList = Type.Object({ models: Type.Array(ModelSummary) });
export type ModelList = Static<typeof ModelList>;

export const VersionSummary = Type.Object({
  version: Version,
  state: VersionState,
  asOf: Text,
  createdAt: Text,
  metrics: Nullable(RunResult.properties.metrics.properties.test),
});
export type VersionSummary = Static<typeof VersionSummary>;

/** `refit model`: one version, the champion (or the newest) unless named. */
export const ModelDescription = Type.Object({
  model: Type.String(),
  version: Version,
  state: VersionState,
  asOf: Type.String(),
  createdAt: Time,
  sha256: Type.String(),
  seenUntil: Type.String(),
  trainer: Type.String(),
  rounds: Type.Integer(),
  params: Type.Record(Type.String(), Type.Unknown()),
  metrics: RunResult.properties.metrics,
  gates: Type.Array(GateResult),
  features: Type.Array(FeatureInfo),
  importance: Type.Array(Type.Object({ feature: Type.String(), share: Type.Number() })),
  signature: Type.Unknown(),
  lineage: Type.Object({
    pipeline: Type.String(),
    trainingSet: Type.String(),
    /** Source → snapshot. */
    sources: Type.Record(Type.String(), Type.String()),
  }),
  /** Files of the version in the store. */
  folder: Type.String(),
  files: Type.Array(Type.String()),
  report: Text,
  /** Why it may not be promoted. */
  barred: Nullable(Type.Object({ by: Type.String(), reason: Type.String(), at: Time })),
  /** Who paused the model; null where rules may promote. */
  paused: Nullable(Type.Object({ by: Type.String(), reason: Type.String(), at: Time })),
  decisions: Type.Array(Decision),
  versions: Type.Array(VersionSummary),
});
export type ModelDescription = Static<typeof ModelDescription>;

const SplitRows = Type.Object({ train: Type.Integer(), validate: Type.Integer(), test: Type.Integer() });

/** A feature view as it was declared; equal declarations have one digest. */
const LineageView = Type.Object({
  name: Type.String(),
  kind: Type.String(),
  source: Type.String(),
  digest: Type.String(),
});

const ExtractedFile = {
  /** File, relative to the project's root. */
  name: Type.String(),
  /** Of the extracted partition. */
  sha256: Type.String(),
  rows: Nullable(Type.Integer()),
  /** Of the raw file; several where files with other bytes gave this very partition. */
  raw: Type.Array(Type.String()),
};
const LineagePartition = Type.Object({
  ...ExtractedFile,
  /** Where it was folded: the versions of a corrected file, the files of change data. Its `raw` are then all of theirs. */
  folded: Type.Array(Type.Object(ExtractedFile)),
});

/** `refit lineage <model>@v`: from the raw files to the model, each by its digest (SHA-256, hex). */
export const LineageTree = Type.Object({
  model: Type.String(),
  version: Version,
  asOf: Type.String(),
  sha256: Type.String(),
  /** Digest of the pipeline's declaration. */
  pipeline: Type.String(),
  /** Runs that decided on the version. */
  runs: Type.Array(Type.Object({ workflowId: Type.String(), runId: Type.String() })),
  trainingSet: Type.Object({
    digest: Type.String(),
    /** Null where its step is no longer in the store. */
    rows: Nullable(SplitRows),
    /** Source of the rows and labels themselves; null where nothing tells any more. */
    spine: Text,
  }),
  views: Type.Array(
    Type.Object({
      ...LineageView.properties,
      /** What it read of its source. */
      snapshot: Text,
    }),
  ),
  sources: Type.Array(
    Type.Object({ source: Type.String(), snapshot: Type.String(), partitions: Type.Array(LineagePartition) }),
  ),
});
export type LineageTree = Static<typeof LineageTree>;

/** `refit lineage --from`: all that was made of a file, a snapshot, a source, a view or a training set. */
export const LineageImpact = Type.Object({
  from: Type.Object({
    kind: Type.Enum(['file', 'partition', 'snapshot', 'source', 'view', 'training-set', 'pipeline', 'model']),
    name: Type.String(),
  }),
  /** What was extracted from it. */
  partitions: Type.Array(Type.Object({ source: Type.String(), ...LineagePartition.properties })),
  snapshots: Type.Array(Type.Object({ source: Type.String(), snapshot: Type.String(), partitions: Type.Integer() })),
  views: Type.Array(LineageView),
  trainingSets: Type.Array(
    Type.Object({
      digest: Type.String(),
      asOf: Text,
      rows: Nullable(SplitRows),
      /** Versions that were trained on it, as `model@version`; empty where none was. */
      models: Type.Array(Type.String()),
    }),
  ),
  models: Type.Array(
    Type.Object({
      model: Type.String(),
      version: Version,
      state: Type.Enum(['champion', 'former', 'rejected', 'undecided']),
      asOf: Type.String(),
      sha256: Type.String(),
      trainingSet: Type.String(),
    }),
  ),
  /** Models whose serving version depends on it. */
  retrain: Type.Array(Type.String()),
});
export type LineageImpact = Static<typeof LineageImpact>;

/** `refit audit`: decisions in order; not intact = exit 1. */
export const AuditReport = Type.Object({
  model: Type.String(),
  intact: Type.Boolean(),
  problems: Type.Array(Type.Object({ sequence: Type.Integer(), problem: Type.String() })),
  entries: Type.Array(
    Type.Object({
      sequence: Type.Integer(),
      at: Time,
      action: Type.String(),
      version: Version,
      by: Type.String(),
      reason: Type.String(),
      workflowId: Type.String(),
      runId: Type.String(),
      previousHash: Type.String(),
      hash: Type.String(),
    }),
  ),
});
export type AuditReport = Static<typeof AuditReport>;

/** `refit approve`, `refit reject`. */
export const DecisionOutcome = Type.Object({
  model: Type.String(),
  version: Version,
  decision: Type.Enum(['approve', 'reject']),
  by: Type.String(),
  reason: Type.String(),
  /** The run that waited. */
  workflowId: Type.String(),
  runId: Type.String(),
  status: RunStatusName,
  /** Null where the run has not come to one yet. */
  verdict: Text,
});
export type DecisionOutcome = Static<typeof DecisionOutcome>;

/** `refit rollback`, `refit rollout`. */
export const RoutingMove = Type.Object({
  model: Type.String(),
  /** False where it was so before. */
  moved: Type.Boolean(),
  /** The versions that served before and serve now. */
  from: Nullable(Version),
  to: Version,
  by: Type.String(),
  reason: Type.String(),
  /** Number of the entry in the audit log. */
  entry: Type.Integer(),
});
export type RoutingMove = Static<typeof RoutingMove>;

/** `refit pause`, `refit resume`. */
export const ModelPause = Type.Object({
  model: Type.String(),
  paused: Type.Boolean(),
  /** False where it was so before. */
  changed: Type.Boolean(),
  by: Type.String(),
  reason: Type.String(),
  /** Number of the entry in the audit log. */
  entry: Type.Integer(),
});
export type ModelPause = Static<typeof ModelPause>;

/** `refit verify`; not intact = exit 1. */
export const VersionCheck = Type.Object({
  model: Type.String(),
  version: Version,
  intact: Type.Boolean(),
  checks: Type.Array(Type.Object({ name: Type.String(), passed: Type.Boolean(), found: Type.String() })),
});
export type VersionCheck = Static<typeof VersionCheck>;

/** `refit features list`: views that are declared alike, over a source that is declared alike, are one. */
export const FeatureViewList = Type.Object({
  views: Type.Array(
    Type.Object({
      name: Type.String(),
      kind: Type.String(),
      /** Digest of the declaration. */
      digest: Type.String(),
      /** Null for features of the time, or of other features. */
      source: Text,
      /** Digest of the source's declaration; null as `source`. */
      sourceDigest: Text,
      features: Type.Array(Type.String()),
      pipelines: Type.Array(Type.String()),
    }),
  ),
});
export type FeatureViewList = Static<typeof FeatureViewList>;

/** `refit features join`. */
export const FeatureJoin = Type.Object({
  pipeline: Type.String(),
  asOf: Type.String(),
  /** Absolute path of the table that was written. */
  out: Type.String(),
  rows: Type.Integer(),
  features: Type.Array(FeatureInfo),
  /** Features that are columns of the spine itself: kept as given. */
  given: Type.Array(Type.String()),
  /** Features that are empty because the spine has neither its key nor the columns they are made of. */
  empty: Type.Array(Type.String()),
  seconds: Type.Number(),
});
export type FeatureJoin = Static<typeof FeatureJoin>;

const OnlineValue = Type.Union([Type.Number(), Type.String(), Type.Null()]);

/** `refit features get`: values as they are served at a time. */
export const FeatureValues = Type.Object({
  pipeline: Type.String(),
  view: Text,
  key: Type.Record(Type.String(), Type.String()),
  at: Time,
  /** What the online store was brought to. */
  asOf: Type.String(),
  /** False where the online store has no row of that key. */
  found: Type.Boolean(),
  features: Type.Array(
    Type.Object({
      name: Type.String(),
      view: Type.String(),
      /** As served: null when it is missing or expired. */
      value: OnlineValue,
      /** As stored. */
      stored: OnlineValue,
      /** Null where the row has no event time, or there is none. */
      eventAt: Nullable(Time),
      ageSeconds: Nullable(Type.Number()),
      ttl: Text,
      expired: Type.Boolean(),
    }),
  ),
});
export type FeatureValues = Static<typeof FeatureValues>;

/** `refit features materialize`. */
export { Materialization } from './materialization.ts';

/** One source of `refit data check`. */
export const SourceCheck = Type.Object({
  source: Type.String(),
  rows: Type.Integer(),
  rejected: Type.Integer(),
  /** Every rule of the contract, broken or not; none where the source could not be read. */
  rules: Type.Array(RuleResult),
  /** Differences of the columns from the last snapshot. */
  changes: Type.Array(SchemaChange),
  /** Why a run would fail, the first being what it would say; empty where it would not. */
  problems: Type.Array(Type.Object({ code: Type.String(), message: Type.String(), cure: Type.String() })),
});
export type SourceCheck = Static<typeof SourceCheck>;

/** `refit data check`; not ok = exit 1. */
export const DataCheck = Type.Object({
  pipeline: Type.String(),
  asOf: Type.String(),
  ok: Type.Boolean(),
  sources: Type.Array(SourceCheck),
});
export type DataCheck = Static<typeof DataCheck>;

const SourceProfile = Type.Object({
  source: Type.String(),
  /** Date of the run that published the snapshot. */
  asOf: Type.String(),
  /** Date of the snapshot before, and what is notably different since, in words. */
  comparedWith: Nullable(Type.String()),
  notable: Type.Array(Type.String()),
  profile: SnapshotProfile,
});
export type SourceProfile = Static<typeof SourceProfile>;
/** `refit data profile`. */
export const DataProfile = Type.Object({ pipeline: Type.String(), sources: Type.Array(SourceProfile) });
export type DataProfile = Static<typeof DataProfile>;

const FeatureValue = Type.Union([Type.Number(), Type.String(), Type.Null()]);
/** `refit features check`. */
export const FeatureCheck = Type.Object({
  pipeline: Type.String(),
  store: Type.String(),
  /** What the online store was brought to, and the time that was asked for. */
  asOf: Type.String(),
  at: Type.String(),
  entities: Type.Integer(),
  /** Keys that the views were asked by, beside those of the entities. */
  keys: Type.Integer(),
  /** Entities that the online store does not know. */
  unknown: Type.Integer(),
  views: Type.Array(
    Type.Object({
      view: Type.String(),
      /** Values that were held against each other, and those that differ. */
      compared: Type.Integer(),
      differing: Type.Integer(),
      example: Type.Union([
        Type.Object({
          key: Type.Record(Type.String(), Type.String()),
          feature: Type.String(),
          offline: FeatureValue,
          online: FeatureValue,
        }),
        Type.Null(),
      ]),
    }),
  ),
  /** Whether every value is equal, and every entity known. */
  same: Type.Boolean(),
});
export type FeatureCheck = Static<typeof FeatureCheck>;

const PeriodRows = Type.Object({ rows: Type.Integer(), positives: Type.Integer() });

/** `refit init`: what was found in the table, and what was written. */
export const InitResult = Type.Object({
  pipeline: Type.String(),
  /** Relative to the project's root. */
  files: Type.Array(Type.String()),
  source: Type.Object({
    name: Type.String(),
    format: Type.Enum(['parquet', 'csv', 'jsonl']),
    path: Type.String(),
    rows: Type.Integer(),
  }),
  /** The column or expression, the SQL of the time, and how it is read. */
  time: Type.Object({ column: Type.String(), sql: Type.String(), how: Type.String() }),
  label: Type.Object({ sql: Type.String(), means: Type.String(), because: Type.String(), knownAt: Type.String() }),
  /** `column`: null where what stands in a row names it. */
  key: Type.Object({ name: Type.String(), column: Text, because: Type.String() }),
  features: Type.Array(
    Type.Object({
      name: Type.String(),
      column: Type.String(),
      kind: Type.Enum(['number', 'category']),
      sql: Type.String(),
    }),
  ),
  leftOut: Type.Array(Type.Object({ column: Type.String(), why: Type.String() })),
  notes: Type.Array(Type.String()),
  split: SplitSpec,
  rows: Type.Object({ train: PeriodRows, validate: PeriodRows, test: PeriodRows }),
  /** The newest row: its fields as a request holds them, and its key. */
  sample: Type.Object({
    fields: Type.Record(Type.String(), Type.Unknown()),
    key: Type.Record(Type.String(), Type.Unknown()),
  }),
  /** Commands that come next. */
  next: Type.Array(Type.String()),
});
export type InitResult = Static<typeof InitResult>;
