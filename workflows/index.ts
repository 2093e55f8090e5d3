/** Every workflow that `refit-control` runs. */
export { announceEvent } from './announce-event.ts';
export { explorePipeline } from './explore-pipeline.ts';
export { holdRunKey } from './hold-run-key.ts';
export { materializeFeatures } from './materialize-features.ts';
export { tellLineage } from './tell-lineage.ts';
export { trainPipeline } from './train-pipeline.ts';
