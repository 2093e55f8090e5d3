import type { Static } from 'typebox';
import Type from 'typebox';
import { BlobRef } from './artifacts.ts';
import { SearchSpec } from './pipeline.ts';

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
  spineSource: Type.String(),
  /** Sources whose newest event asOf 'latest' follows. */
  search: SearchSpec,
  seed: Type.Integer(),
  resources: Type.Enum(['cpu', 'gpu']),
});
export type ResolvedRun = Static<typeof ResolvedRun>;

/** A file of a source, looked at before it is extracted. Times are ISO UTC; null where the source has none. */
export const SourceFile = Type.Object({
  name: Type.String(),
  sha256: Type.String(),
  rows: Type.Integer(),
  /** Earliest time at which anything in the file was known; null = always. */
  knownFrom: Type.Union([Type.String(), Type.Null()]),
  newestEvent: Type.Union([Type.String(), Type.Null()]),
});
export type SourceFile = Static<typeof SourceFile>;

/** Sent by activities to their workflow while they work. */
export const ProgressReport = Type.Object({ round: Type.Integer(), rounds: Type.Integer() });
export type ProgressReport = Static<typeof ProgressReport>;
export const PROGRESS_SIGNAL = 'reportProgress';
