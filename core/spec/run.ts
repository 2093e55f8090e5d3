import type { Static } from 'typebox';
import Type from 'typebox';
import { GateResult } from './evaluation.ts';
import { Stage, StageResult } from './stages.ts';

/** Argument of the `trainPipeline` workflow: small enough for a person to type in the Temporal UI. */
export const RunInput = Type.Object(
  {
    pipeline: Type.String({ minLength: 1 }),
    /** ISO date or time in UTC; the pipeline's own rule when absent. */
    asOf: Type.Optional(Type.String()),
    /** Overrides by path, e.g. `{ "model.rounds": 400 }`. */
    set: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    /** Recompute the run's steps even where results are cached. */
    force: Type.Optional(Type.Boolean()),
    /** Recompute from this stage on. */
    from: Type.Optional(Stage),
    /** Idempotency key: whoever starts with it again is given the first result, for good. */
    key: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9._:-]{1,128}$' })),
    reason: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
);
export type RunInput = Static<typeof RunInput>;

/** What a start answers: where the run is. `refit run --no-wait --json` prints it. */
export const RunHandle = Type.Object({
  workflowId: Type.String(),
  runId: Type.String(),
  pipeline: Type.String(),
});
export type RunHandle = Static<typeof RunHandle>;

/** Argument of the updates `approve` and `reject`: a person answers for it. */
export const PersonsDecision = Type.Object(
  { by: Type.String({ minLength: 1 }), reason: Type.String({ minLength: 1 }) },
  { additionalProperties: false },
);
export type PersonsDecision = Static<typeof PersonsDecision>;

const QualityOf = Type.Object({
  auc: Type.Union([Type.Number(), Type.Null()]),
  logLoss: Type.Number(),
  brier: Type.Number(),
});

export const Verdict = Type.Enum(['promoted', 'unchanged', 'rejected']);
export type Verdict = Static<typeof Verdict>;

/** What a run ends with: `refit run --json` prints it, the workflow returns it. */
export const RunResult = Type.Object({
  runId: Type.String(),
  workflowId: Type.String(),
  pipeline: Type.String(),
  asOf: Type.String(),
  stages: Type.Array(StageResult, { minItems: 6, maxItems: 6 }),
  metrics: Type.Object({ validate: QualityOf, test: QualityOf, baseline: QualityOf }),
  gates: Type.Array(GateResult),
  verdict: Verdict,
  model: Type.Object({
    name: Type.String(),
    version: Type.Integer(),
    /** SHA-256 of model.onnx. */
    sha256: Type.String(),
    /** Folder of the version, absolute where the store is a folder. */
    path: Type.String(),
  }),
  drift: Type.Object({ drifted: Type.Array(Type.String()), share: Type.Number() }),
  /** Store path of the evaluation page, absolute where the store is a folder. */
  report: Type.String(),
  seconds: Type.Number(),
  /** Lists in it were cut, so that who has no store can read it; the whole is in the store. */
  shortened: Type.Optional(Type.Literal(true)),
});
export type RunResult = Static<typeof RunResult>;

/** Answer of the `progress` query. */
export const Progress = Type.Object({
  pipeline: Type.String(),
  asOf: Type.Union([Type.String(), Type.Null()]),
  stage: Type.Union([Stage, Type.Null()]),
  stages: Type.Array(StageResult),
  /** Present while and after the model trains. */
  training: Type.Optional(Type.Object({ round: Type.Integer(), rounds: Type.Integer() })),
  trials: Type.Optional(Type.Object({ done: Type.Integer(), total: Type.Integer() })),
  partitions: Type.Optional(Type.Object({ done: Type.Integer(), total: Type.Integer() })),
  /** Present while a version waits for a person's decision; times are ISO UTC. */
  waiting: Type.Optional(Type.Object({ version: Type.Integer(), since: Type.String(), until: Type.String() })),
  /** Workflow id of the run with the same key whose result this one waits for. */
  follows: Type.Optional(Type.String()),
  verdict: Type.Optional(Verdict),
  /** Present where the receiver of OpenLineage events did not answer by the end of the run, or will not take some of them. */
  lineage: Type.Optional(Type.Enum(['waiting', 'refused'])),
});
export type Progress = Static<typeof Progress>;
