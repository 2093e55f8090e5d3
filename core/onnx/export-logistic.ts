/**
 * Logistic regression → ONNX, in float64 between the float32 inputs and the float32 output:
 * p = sigmoid(intercept + Σ weight × (x - mean) / scale + Σ missingWeight of missing numbers + Σ category weights).
 */
import type { LogisticNative } from '../training/native-model.ts';
import { GraphBuilder, unsupported } from './graph-builder.ts';
import type { GraphColumns } from './graph-columns.ts';
import { attribute, DataType } from './onnx-proto.ts';
import { addPreprocessing, describeInputs, type Preprocessing } from './preprocessing.ts';

/** Bytes of the ONNX file. @throws RefitError REFIT_MODEL_UNSUPPORTED naming what cannot be expressed */
export function exportLogistic(native: LogisticNative, preprocessing?: Preprocessing): Uint8Array {
  const graph = new GraphBuilder(preprocessing?.inputs ?? native.features);
  checkTerms(native);
  const columns = addPreprocessing(graph, native.features, preprocessing);
  const terms = [
    ...numberTerms(graph, columns, native.numbers),
    ...native.categories.map((category) => categoryTerm(graph, columns, category)),
  ];
  if (terms.length === 0) throw unsupported('A logistic model without terms cannot be exported to ONNX.');
  const intercept = graph.constant(Float64Array.of(native.intercept), [1, 1]);
  graph.probability(graph.node('Sum', [intercept, ...terms]), 1);
  const inputs = describeInputs(native.features, preprocessing);
  return graph.finish(`Refit: logistic regression, ${inputs}; preprocessing included.`);
}

/** Every term belongs to one feature of its kind, and its figures are finite. */
function checkTerms(native: LogisticNative): void {
  const kinds = new Map(native.features.map(({ name, kind }) => [name, kind]));
  const check = (feature: string, kind: string, figures: number[]) => {
    if (kinds.get(feature) !== kind)
      throw unsupported(`The logistic model has a ${kind} term "${feature}" without its feature.`);
    kinds.delete(feature);
    if (!figures.every(Number.isFinite))
      throw unsupported(`The logistic model's term "${feature}" has a figure that is not finite.`);
  };
  if (!Number.isFinite(native.intercept)) throw unsupported("The logistic model's intercept is not finite.");
  for (const { feature, ...figures } of native.numbers) {
    check(feature, 'number', Object.values(figures));
    if (figures.scale === 0) throw unsupported(`The logistic model's term "${feature}" has scale 0.`);
  }
  for (const { feature, levels, weights, otherWeight } of native.categories) {
    check(feature, 'category', [...weights, otherWeight]);
    if (levels.length !== weights.length) {
      throw unsupported(
        `The logistic model's term "${feature}" has ${levels.length} levels but ${weights.length} weights.`,
      );
    }
  }
}

/** float64 [rows, 1] of all numbers, and of what missing ones add; none when there are no numbers. */
function numberTerms(graph: GraphBuilder, columns: GraphColumns, numbers: LogisticNative['numbers']): string[] {
  if (numbers.length === 0) return [];
  const row = (pick: (number: LogisticNative['numbers'][number]) => number) =>
    graph.constant(Float64Array.from(numbers, pick), [1, numbers.length]);
  const column = (pick: (number: LogisticNative['numbers'][number]) => number) =>
    graph.constant(Float64Array.from(numbers, pick), [numbers.length, 1]);
  const narrow = graph.columns(columns.parts(numbers.map(({ feature }) => feature)));
  const given = graph.node('Cast', [narrow], [attribute.int('to', DataType.float64)]);
  const missing = graph.node('IsNaN', [given]);
  const filled = graph.node('Where', [missing, row(({ impute }) => impute), given]);
  const centred = graph.node('Sub', [filled, row(({ mean }) => mean)]);
  const scaled = graph.node('Div', [centred, row(({ scale }) => scale)]);
  const indicator = graph.node('Cast', [missing], [attribute.int('to', DataType.float64)]);
  return [
    graph.node('MatMul', [scaled, column(({ weight }) => weight)]),
    graph.node('MatMul', [indicator, column(({ missingWeight }) => missingWeight)]),
  ];
}

/** float64 [rows, 1]: the weight of the row's level; the weight of all others stands first. */
function categoryTerm(
  graph: GraphBuilder,
  columns: GraphColumns,
  category: LogisticNative['categories'][number],
): string {
  const { feature, levels, weights, otherWeight } = category;
  const code = graph.encode(feature, levels, 'int64', { first: 1, otherwise: 0, value: columns.one(feature) });
  const table = graph.constant(Float64Array.of(otherWeight, ...weights), [weights.length + 1]);
  return graph.node('Gather', [table, code]);
}
