/** What stands in front of a model in its graph: the fitted transforms that its columns need. */
import type { FeatureInfo } from '../spec/artifacts.ts';
import type { FittedTransforms } from '../spec/transforms.ts';
import type { GraphBuilder } from './graph-builder.ts';
import { GraphColumns } from './graph-columns.ts';
import { addStage } from './transform-nodes.ts';

/** Raw features, and the stages that turn them into the model's columns; see needed-stages.ts. */
export type Preprocessing = Pick<FittedTransforms, 'inputs' | 'stages'>;

/** Adds the transforms to a graph whose inputs are the preprocessing's, or else the model's columns. */
export function addPreprocessing(
  graph: GraphBuilder,
  features: readonly FeatureInfo[],
  preprocessing: Preprocessing | undefined,
): GraphColumns {
  const columns = new GraphColumns(graph, preprocessing?.inputs ?? features);
  for (const stage of preprocessing?.stages ?? []) addStage(graph, columns, stage);
  return columns;
}

/** For the description of a model file. */
export function describeInputs(features: readonly FeatureInfo[], preprocessing: Preprocessing | undefined): string {
  if (!preprocessing) return `${features.length} features`;
  return `${preprocessing.inputs.length} features made into ${features.length} columns`;
}
