/** Tables to fit transforms on, and a second way to apply what was fitted: plain JavaScript, row by row. */
import { GraphBuilder } from '../../core/onnx/graph-builder.ts';
import { neededStages } from '../../core/onnx/needed-stages.ts';
import { DataType } from '../../core/onnx/onnx-proto.ts';
import { addPreprocessing } from '../../core/onnx/preprocessing.ts';
import { runGraph } from '../../core/onnx/run-graph.ts';
import type { FeatureInfo } from '../../core/spec/artifacts.ts';
import type { FittedStage } from '../../core/spec/transforms.ts';
import type { ColumnValues } from '../../core/training/column-file.ts';
import { type WorkingTable, workingTable } from '../../core/transforms/working-table.ts';

export type Cell = number | string | null;

/** A table of columns (numbers where every value is a number; null = NaN among numbers). */
export function tableOf(
  columns: Record<string, Cell[]>,
  options: { train?: number; label?: number[]; keys?: string[]; categories?: string[] } = {},
): WorkingTable {
  const rows = Object.values(columns)[0]?.length ?? 0;
  const features = Object.entries(columns).map(([name, values]): FeatureInfo => {
    const text = options.categories?.includes(name) || values.some((value) => typeof value === 'string');
    return { name, kind: text ? 'category' : 'number', view: `view of ${name}` };
  });
  const of = (kind: FeatureInfo['kind']) => features.filter((feature) => feature.kind === kind);
  return workingTable(
    {
      rows,
      features,
      numbers: Object.fromEntries(
        of('number').map(({ name }) => [
          name,
          Float32Array.from(columns[name] ?? [], (x) => (x === null ? Number.NaN : Number(x))),
        ]),
      ),
      categories: Object.fromEntries(of('category').map(({ name }) => [name, columns[name] as (string | null)[]])),
      label: Uint8Array.from(options.label ?? new Array<number>(rows).fill(0)),
      split: new Uint8Array(rows),
      predictAtMs: new Float64Array(0),
      slices: {},
    },
    options.train ?? rows,
    options.keys ?? [],
  );
}

/** The raw features of a table that nothing was done to yet. */
export function inputsOf(table: WorkingTable): FeatureInfo[] {
  return table.columns.map(({ name, kind, view }) => ({ name, kind, view }));
}

/** Raw values by name, as they were before anything was fitted. */
export function rawOf(table: WorkingTable): Map<string, ColumnValues> {
  return new Map(table.columns.map(({ name, values }) => [name, values.slice()]));
}

/** All stages in one graph, from raw values to the wanted columns: the way of a served model. */
export async function throughGraph(
  inputs: FeatureInfo[],
  stages: FittedStage[],
  raw: ReadonlyMap<string, ColumnValues>,
  wanted: string[],
): Promise<Map<string, ColumnValues>> {
  const needed = neededStages(
    { inputs, stages, columns: [] },
    wanted.map((name) => ({ name })),
  );
  const graph = new GraphBuilder(needed.inputs);
  const columns = addPreprocessing(graph, needed.inputs, needed);
  const outputs = wanted.map((name) => ({ name, ...columns.place(name) })).filter(({ value }) => !raw.has(value));
  const onnx = graph.finish(
    'test',
    [...new Map(outputs.map((one) => [one.value, one])).values()].map(({ value, width, kind }) => ({
      ...{ name: value, type: kind === 'number' ? DataType.float32 : DataType.string },
      ...{ width, doc: '' },
    })),
  );
  const rows = raw.values().next().value?.length ?? 0;
  const results = new Map(
    wanted.filter((name) => raw.has(columns.place(name).value)).map((name) => [name, raw.get(name) ?? []]),
  );
  if (outputs.length === 0) return results;
  await runGraph(onnx, async (run) => {
    const feeds = needed.inputs.map(({ name }) => {
      const values = raw.get(name) ?? [];
      return [name, values instanceof Float32Array ? values : values.map((text) => text ?? '')] as const;
    });
    const found = await run(Object.fromEntries(feeds), rows);
    for (const { name, value, width, index, kind } of outputs) {
      const block = found[value] ?? [];
      const column = Array.from({ length: rows }, (_, row) => block[row * width + index]);
      results.set(name, kind === 'number' ? Float32Array.from(column, Number) : (column as string[]));
    }
  });
  return results;
}

/** What fitted stages make of raw values, computed without ONNX. */
export function byHand(stages: FittedStage[], raw: ReadonlyMap<string, ColumnValues>): Map<string, Cell[]> {
  let columns = new Map(
    [...raw].map(([name, values]): [string, Cell[]] => [name, Array.from<Cell>(values as ArrayLike<Cell>)]),
  );
  for (const stage of stages) {
    const next = new Map(columns);
    const column = (name: string): Cell[] => columns.get(name) ?? [];
    const map = (name: string, of: (x: number) => number): Cell[] =>
      column(name).map((x) => Math.fround(of(missing(x) ? Number.NaN : Number(x))));
    switch (stage.op) {
      case 'impute':
        for (const { column: name, to, fill, indicator } of stage.items) {
          next.set(
            to,
            column(name).map((x) => (missing(x) ? fill : x)),
          );
          if (indicator)
            next.set(
              indicator,
              column(name).map((x) => (missing(x) ? 1 : 0)),
            );
        }
        break;
      case 'affine':
        for (const { column: name, to, shift, scale } of stage.items)
          next.set(
            to,
            map(name, (x) => (x - shift) / scale),
          );
        break;
      case 'log':
        for (const { column: name, to, signed } of stage.items)
          next.set(
            to,
            map(name, (x) => (signed ? Math.sign(x) * Math.log(1 + Math.abs(x)) : Math.log(1 + x))),
          );
        break;
      case 'product':
        for (const { left, right, to } of stage.items) {
          const other = map(right, (x) => x);
          next.set(
            to,
            map(left, (x) => x).map((x, row) => Math.fround(Number(x) * Number(other[row]))),
          );
        }
        break;
      case 'bin':
        for (const { column: name, to, edges } of stage.items)
          next.set(
            to,
            map(name, (x) => (Number.isNaN(x) ? x : edges.filter((edge) => edge <= x).length)),
          );
        break;
      case 'encode':
        for (const { column: name, to, levels, values, other, missing: none } of stage.items) {
          const code = (x: Cell): number | null => {
            if (missing(x)) return none;
            const at = levels.indexOf(x ?? '');
            return at < 0 ? other : (values[at] as number);
          };
          next.set(
            to,
            column(name).map((x) => code(x) ?? Number.NaN),
          );
        }
        break;
      case 'oneHot':
        for (const { column: name, levels, to } of stage.items)
          for (const [i, flag] of to.entries())
            next.set(
              flag,
              column(name).map((x) => (x === levels[i] ? 1 : 0)),
            );
        break;
      case 'clip':
        for (const { column: name, to, low, high } of stage.items)
          next.set(
            to,
            map(name, (x) => Math.min(Math.max(x, low), high)),
          );
        break;
    }
    columns = next;
  }
  return columns;
}

const missing = (x: Cell): boolean => x === null || x === '' || (typeof x === 'number' && !Number.isFinite(x));

/** NaN and infinite are one and the same: missing. */
export function shown(values: ArrayLike<Cell> | undefined): Cell[] {
  return Array.from(values ?? [], (x) => (missing(x) ? null : x === 0 ? 0 : x));
}
