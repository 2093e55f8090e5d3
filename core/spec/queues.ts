/** Task queues, named by the resource their workers bring. The only place these names are written. */
export const TaskQueue = { control: 'refit-control', cpu: 'refit-cpu', gpu: 'refit-gpu' } as const;
export type TaskQueue = (typeof TaskQueue)[keyof typeof TaskQueue];

/** Search attributes (all Keyword) under which runs are found in the Temporal UI. */
export const SearchAttribute = {
  pipeline: 'RefitPipeline',
  model: 'RefitModel',
  version: 'RefitVersion',
  stage: 'RefitStage',
  trigger: 'RefitTrigger',
  verdict: 'RefitVerdict',
} as const;
