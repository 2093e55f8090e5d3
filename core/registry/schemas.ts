import type { Static } from 'typebox';
import Type from 'typebox';
import { BlobRef, TrainedModel } from '../spec/artifacts.ts';
import { Comparison, GateResult } from '../spec/evaluation.ts';
import { RunResult } from '../spec/run.ts';

const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });
const Version = Type.Integer({ minimum: 1 });

/** `models/<model>/index.json`: version key → version; versions count from 1 without a gap. Moved by compare-and-set. */
export const VersionIndex = Type.Object({ model: Type.String(), versions: Type.Record(Type.String(), Version) });
export type VersionIndex = Static<typeof VersionIndex>;

/** `lineage.json`: from a version back to the raw rows. */
export const Lineage = Type.Object({
  pipeline: Type.Object({ digest: Sha256, spec: BlobRef }),
  /** Logical digest of the training set. */
  trainingSet: Type.String(),
  sources: Type.Record(
    Type.String(),
    Type.Object({
      snapshot: Type.String(),
      partitions: Type.Array(Type.Object({ name: Type.String(), sha256: Sha256 })),
    }),
  ),
});
export type Lineage = Static<typeof Lineage>;

/** `models/<model>/<version>/manifest.json`: written last, create-only; a version without it is incomplete. */
export const VersionManifest = Type.Object({
  model: Type.String(),
  version: Version,
  /** Hash of what the version is made of, see `versionKey` in decisions.ts. */
  key: Type.String(),
  asOf: Type.String(),
  /** No row the model was trained or tuned on has an outcome known later than this. */
  seenUntil: Type.String(),
  /** SHA-256 of model.onnx. */
  sha256: Sha256,
  trainedModel: TrainedModel,
  /** Inputs and outputs of model.onnx. */
  signature: Type.Unknown(),
  metrics: RunResult.properties.metrics,
  gates: Type.Array(GateResult),
  /** What the gates held against the champion of that time; null when there was none. */
  comparison: Type.Union([Comparison, Type.Null()]),
  /** The evaluation page: its bytes, and its key under `reports/`. */
  report: Type.Union([BlobRef, Type.Null()]),
  page: Type.Union([Type.String(), Type.Null()]),
  /** Reference profile that drift is measured against. */
  profile: BlobRef,
  lineage: Lineage,
  createdAt: Type.String(),
  /** Digest of all the rest: an altered manifest is noticed. */
  digest: Sha256,
});
export type VersionManifest = Static<typeof VersionManifest>;

/** `models/<model>/<version>/barred.json`: the version was rejected and may not be promoted. */
export const Bar = Type.Object({
  model: Type.String(),
  version: Version,
  by: Type.String(),
  reason: Type.String(),
  gates: Type.Array(GateResult),
  at: Type.String(),
});
export type Bar = Static<typeof Bar>;

export const Champion = Type.Object({
  version: Version,
  sha256: Sha256,
  asOf: Type.String(),
  seenUntil: Type.String(),
  key: Type.String(),
});
export type Champion = Static<typeof Champion>;

/** `audit/<model>/<sequence, eight digits>.json`: one decision. `hash` covers all the rest, `previousHash` chains them. */
export const AuditEntry = Type.Object({
  sequence: Type.Integer({ minimum: 1 }),
  at: Type.String(),
  model: Type.String(),
  version: Version,
  /**
   * `rollback`: the version no longer serves and is barred; `intent.to` serves in its place. `pause`: no rule promotes until
   * `resume`; the version is the one that serves then.
   */
  action: Type.Enum(['promote', 'reject', 'rollback', 'pause', 'resume']),
  /** 'rule', or the person. */
  by: Type.String(),
  reason: Type.String(),
  gates: Type.Array(GateResult),
  runId: Type.String(),
  workflowId: Type.String(),
  /** One decision has one entry, however often it is tried. */
  decisionId: Type.String(),
  /** What routing is to change from and to; equal for a rejection. Written before routing moves. */
  intent: Type.Object({
    from: Type.Union([Champion, Type.Null()]),
    to: Type.Union([Champion, Type.Null()]),
  }),
  previousHash: Sha256,
  hash: Sha256,
});
export type AuditEntry = Static<typeof AuditEntry>;

/** `routing/<model>.json`, moved by compare-and-set; `audit` is the entry that decided it. */
export const Routing = Type.Object({
  model: Type.String(),
  champion: Champion,
  audit: Type.Object({ sequence: Type.Integer(), hash: Sha256 }),
  updatedAt: Type.String(),
});
export type Routing = Static<typeof Routing>;
