/**
 * Applies one fitted transform to a table, by the very nodes that stand in the model's graph: what a model is trained on is
 * what ONNX Runtime will compute when it serves.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { FeatureInfo } from '../spec/artifacts.ts';
import type { FittedStage } from '../spec/transforms.ts';
import type { ColumnValues } from '../training/column-file.ts';
import { GraphBuilder } from './graph-builder.ts';
import { GraphColumns } from './graph-columns.ts';
import { made, read } from './needed-stages.ts';
import { DataType } from './onnx-proto.ts';
import { runGraph } from './run-graph.ts';
import { addStage } from './transform-nodes.ts';

export interface ApplyOptions {
  /** Obeyed between batches. */
  signal?: AbortSignal;
  /** Rows a call of the runtime. */
  batch?: number;
}

/** Most numbers that a call of the runtime gives back: a million are 4 MB. */
const VALUES_AT_ONCE = 1_000_000;

/**
 * The columns that a stage makes, each `rows` long, by name. `valuesOf` gives the columns that it reads.
 * @throws RefitError REFIT_MODEL_UNSUPPORTED when ONNX Runtime refuses the stage; the signal's reason
 */
export async function applyStage(
  stage: FittedStage,
  rows: number,
  valuesOf: (column: string) => { kind: FeatureInfo['kind']; values: ColumnValues },
  { signal, batch }: ApplyOptions = {},
): Promise<Map<string, ColumnValues>> {
  const inputs = [...new Set(stage.items.flatMap(read))].map((name) => ({ name, kind: valuesOf(name).kind, view: '' }));
  const names = stage.items.flatMap(made);
  if (names.length === 0) return new Map();
  const graph = new GraphBuilder(inputs);
  const columns = new GraphColumns(graph, inputs);
  addStage(graph, columns, stage);
  const places = new Map(names.map((name) => [name, columns.place(name)]));
  const outputs = [...new Map([...places.values()].map((place) => [place.value, place])).values()];
  const onnx = graph.finish(
    `Refit: the transform "${stage.op}"`,
    outputs.map(({ value, width, kind }) => ({ name: value, type: typeOf(kind), width, doc: '' })),
  );
  const results = new Map(
    names.map((name) => [
      name,
      places.get(name)?.kind === 'category' ? new Array<string>(rows) : new Float32Array(rows),
    ]),
  );
  const most = Math.max(1, Math.min(65_536, Math.floor(VALUES_AT_ONCE / names.length)));
  await runGraph(onnx, async (run) => {
    for (let from = 0; from < rows; from += batch ?? most) {
      if (from > 0) await turn();
      signal?.throwIfAborted();
      const to = Math.min(from + (batch ?? most), rows);
      const slices = inputs.map(({ name }) => [name, slice(valuesOf(name).values, from, to)] as const);
      const found = await run(Object.fromEntries(slices), to - from);
      for (const [name, { value, width, index }] of places) {
        copyColumn(found[value] ?? [], width, index, results.get(name) as ColumnValues, from);
      }
    }
  });
  return results;
}

const typeOf = (kind: FeatureInfo['kind']): number => (kind === 'number' ? DataType.float32 : DataType.string);

/** Numbers as a view, texts with '' for a missing one. */
function slice(values: ColumnValues, from: number, to: number): Float32Array | string[] {
  return values instanceof Float32Array ? values.subarray(from, to) : values.slice(from, to).map((text) => text ?? '');
}

/** Column `index` of row-major values [rows, width]. */
function copyColumn(
  block: ArrayLike<number | string>,
  width: number,
  index: number,
  to: ColumnValues,
  at: number,
): void {
  const target = to as { [row: number]: number | string };
  for (let i = index, row = at; i < block.length; i += width) target[row++] = block[i] as number | string;
}
