/** `refit/spec`: everything a `pipeline.ts` needs. */
export * from './define.ts';
export * from './define-transforms.ts';
export * from './define-views.ts';
export type { FeatureView, FieldSpec, GateSpec, ModelSpec, PipelineSpec, SearchSpec, SourceSpec } from './pipeline.ts';
