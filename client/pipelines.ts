import type { RunResult } from '../core/spec/run.ts';
import type { Stage } from '../core/spec/stages.ts';
import type { Settings } from './settings.ts';

/**
 * What the compiler is told of the pipelines, by name. An entry may narrow `set` (the settings callers may change) and
 * `result` (what is known of its result beyond `RunResult`); whatever else it is stands for a pipeline with all settings:
 * ```ts
 * interface Pipelines {
 *   'flight-delays': Pipeline;
 *   churn: { set: { 'model.rounds'?: number } };
 * }
 * const refit = await RefitClient.connect<Pipelines>();
 * ```
 */
// An interface has no index signature, so the constraint can say no more than that entries are objects.
export type PipelineMap<P> = { [Name in keyof P]: object };

/** A pipeline of which no more is known than that it is one: every setting may be changed. */
export interface Pipeline {
  set: Settings;
}

/** The default map: any name, any setting; mistakes are told by the run, with the names that exist. */
export type AnyPipeline = Record<string, { set: Record<string, unknown> }>;

export type PipelineNameOf<P> = keyof P & string;

export type SetOf<P, Name extends keyof P> = P[Name] extends { set: infer Set extends object } ? Set : Settings;

/** The result of a run of the pipeline `Name`. */
export type ResultOf<P, Name extends keyof P> = RunResult & { pipeline: Name } & (P[Name] extends { result: infer R }
    ? R
    : unknown);

/** What a caller asks for. */
export interface RunRequest<P = AnyPipeline, Name extends PipelineNameOf<P> = PipelineNameOf<P>> {
  pipeline: Name;
  /** ISO date or time in UTC, or a Date; the pipeline's own rule when absent. Nothing known later is used. */
  asOf?: string | Date | undefined;
  /** Settings of the pipeline for this run, by path. */
  set?: SetOf<P, Name> | undefined;
  /** Compute every step anew, even where a result is cached. */
  force?: boolean | undefined;
  /** Compute anew from this stage on. */
  from?: Stage | undefined;
  /** Idempotency key, `[A-Za-z0-9._:-]{1,128}`: whoever starts with it again is given the first result, for good. */
  key?: string | undefined;
  /** Why; kept with the run. */
  reason?: string | undefined;
}
