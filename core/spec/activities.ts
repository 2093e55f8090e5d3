import type { Static } from 'typebox';
import Type from 'typebox';
import { BlobRef } from './artifacts.ts';
import { ModelSpec, SearchSpec } from './pipeline.ts';
import { RunResult } from './run.ts';

/** What an activity answers: the step's result, and whether it was found in the step cache. */
export interface Done<Output> {
  output: Output;
  cached: boolean;
  /** Seconds of this attempt. */
  seconds: number;
}

/** What a run is pinned to, resolved once at its start. */
export const ResolvedRun = Type.Object({
  pipeline: Type.String(),
  /** Canonical asOf; null when the pipeline follows its data ('latest') and the data must be looked at first. */
  asOf: Type.Union([Type.String(), Type.Null()]),
  /** The checked PipelineSpec as JSON; its SHA-256 is the identity of the run's declaration. */
  spec: BlobRef,
  question: Type.String(),
  sources: Type.Array(Type.String()),
  /** The source whose newest event asOf 'latest' follows. */
  spineSource: Type.String(),
  /** Source → the sources that its contract refers to (`x-references`); absent where none does. */
  references: Type.Optional(Type.Record(Type.String(), Type.Array(Type.String()))),
  search: SearchSpec,
  seed: Type.Integer(),
  /** The declared parameters: the first trial of a search. */
  params: Type.Optional(ModelSpec.properties.params),
  resources: Type.Enum(['cpu', 'gpu']),
  /** With asOf, what makes two runs the same: the digest of the spec and of what is to be computed anew. */
  digest: Type.Optional(Type.String()),
  /** A pipeline that follows its data follows it no further than this: the time the run was scheduled for. */
  notAfter: Type.Optional(Type.String()),
  /** When the run was due: what it is the first to see is known from then. */
  seenAt: Type.Optional(Type.String()),
  /** Failure, rejection and waiting for approval are told to a webhook. */
  announces: Type.Optional(Type.Boolean()),
  /** OpenLineage events are wanted. */
  lineage: Type.Optional(Type.Boolean()),
  /** The result that was recorded under the run's idempotency key. */
  earlier: Type.Optional(RunResult),
});
export type ResolvedRun = Static<typeof ResolvedRun>;

/** Something that people are told about, wherever they are. `id` is the same however often it is told. */
export const RunEvent = Type.Object({
  id: Type.String(),
  type: Type.Enum(['run.failed', 'run.rejected', 'run.waiting']),
  at: Type.String(),
  pipeline: Type.String(),
  workflowId: Type.String(),
  runId: Type.String(),
  asOf: Type.Union([Type.String(), Type.Null()]),
  version: Type.Optional(Type.Integer()),
  /** One sentence for a person. */
  reason: Type.String(),
});
export type RunEvent = Static<typeof RunEvent>;

/** A file of a source, looked at before it is extracted. Times are ISO UTC; null where the source has none. */
export const SourceFile = Type.Object({
  name: Type.String(),
  sha256: Type.String(),
  rows: Type.Integer(),
  /** Earliest time at which anything in the file was known; null = always. */
  knownFrom: Type.Union([Type.String(), Type.Null()]),
  newestEvent: Type.Union([Type.String(), Type.Null()]),
  /** It was extracted when it was looked at, and was not found in the cache. */
  extracted: Type.Optional(Type.Boolean()),
});
export type SourceFile = Static<typeof SourceFile>;

/** Sent by activities to their workflow while they work. */
export const ProgressReport = Type.Object({ round: Type.Integer(), rounds: Type.Integer() });
export type ProgressReport = Static<typeof ProgressReport>;
export const PROGRESS_SIGNAL = 'reportProgress';
