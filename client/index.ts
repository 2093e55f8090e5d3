/** `@refit/client`: Refit's runs from other services. */
export { ERRORS, type ErrorCode, RefitError } from '../core/spec/errors.ts';
export type { GateResult } from '../core/spec/evaluation.ts';
export type { Materialization } from '../core/spec/materialization.ts';
export type { PersonsDecision, Progress, RunHandle, RunInput, RunResult, Verdict } from '../core/spec/run.ts';
export type { Stage, StageResult } from '../core/spec/stages.ts';
export { RefitClient, type StartOptions } from './client.ts';
export type { ConnectOptions } from './connect.ts';
export { asRefitError } from './errors.ts';
export type { RunFilter, RunStatus, RunSummary } from './list.ts';
export type { MaterializeRequest } from './materialize.ts';
export type { AnyPipeline, Pipeline, PipelineMap, PipelineNameOf, ResultOf, RunRequest, SetOf } from './pipelines.ts';
export type { FollowOptions } from './progress.ts';
export { workflowIdOf } from './request.ts';
export type { Run } from './run.ts';
export type { Settings } from './settings.ts';
