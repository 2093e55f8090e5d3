/** Every workflow that `refit-control` runs. */
export { trainPipeline } from './train-pipeline.ts';
