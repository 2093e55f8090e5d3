/**
 * Fitted transforms as nodes of a graph. The same nodes make the training matrix (apply-stage.ts) and stand in front of the
 * model (export-model.ts): what the model was trained on and what it is served cannot differ.
 *
 * Numbers come in as float32, are computed as float64 where there is arithmetic, and leave as float32. Infinite = missing = NaN
 * on the way in of every stage (`graph.columns`).
 */
import type { FeatureInfo } from '../spec/artifacts.ts';
import type { FittedStage, StageOf } from '../spec/transforms.ts';
import type { GraphBuilder } from './graph-builder.ts';
import type { GraphColumns } from './graph-columns.ts';
import { attribute, DataType } from './onnx-proto.ts';

type Items<Op extends FittedStage['op']> = StageOf<Op>['items'];

const names = (items: readonly { column: string }[]): string[] => items.map(({ column }) => column);
const results = (items: readonly { to: string }[]): string[] => items.map(({ to }) => to);

function addImpute(graph: GraphBuilder, columns: GraphColumns, items: Items<'impute'>): void {
  const numbers = items.filter(({ column }) => columns.place(column).kind === 'number');
  const texts = items.filter((one) => !numbers.includes(one));
  // All are read before any is moved: an item may be kept under another's name.
  const made = texts.map((one) => imputeText(graph, columns, one));
  if (numbers.length > 0) {
    const matrix = graph.columns(columns.parts(names(numbers)));
    const missing = graph.node('IsNaN', [matrix]);
    const fills = graph.constant(
      Float32Array.from(numbers, ({ fill }) => Number(fill)),
      [1, numbers.length],
    );
    columns.set(results(numbers), graph.node('Where', [missing, fills, matrix]), 'number');
    const flagged = numbers.flatMap(({ indicator }, index) => (indicator === undefined ? [] : [{ indicator, index }]));
    if (flagged.length > 0) {
      const picked = graph.constant(
        BigInt64Array.from(flagged, ({ index }) => BigInt(index)),
        [flagged.length],
      );
      const flags = graph.gatherColumns(graph.cast(missing, DataType.float32), picked);
      columns.set(
        flagged.map(({ indicator }) => indicator),
        flags,
        'number',
      );
    }
  }
  for (const { one, filled, flag } of made) {
    columns.set([one.to], filled, 'category');
    if (flag !== undefined && one.indicator !== undefined) columns.set([one.indicator], flag, 'number');
  }
}

/** '' is the only missing text; the filling is a text from a look-up, as a graph has no constants of text here. */
function imputeText(graph: GraphBuilder, columns: GraphColumns, one: Items<'impute'>[number]) {
  const text = columns.one(one.column);
  const none = attribute.strings('keys_strings', ['']);
  const missing = graph.mlNode(
    'LabelEncoder',
    [text],
    [none, attribute.floats('values_floats', [1]), attribute.float('default_float', 0)],
  );
  const fill = graph.mlNode(
    'LabelEncoder',
    [text],
    [
      none,
      attribute.strings('values_strings', [String(one.fill)]),
      attribute.string('default_string', String(one.fill)),
    ],
  );
  const filled = graph.node('Where', [graph.cast(missing, DataType.bool), fill, text]);
  return { one, filled, flag: one.indicator === undefined ? undefined : missing };
}

/** float32 [rows, items] → float64. */
const wide = (graph: GraphBuilder, columns: GraphColumns, of: readonly string[]): string =>
  graph.cast(graph.columns(columns.parts(of)), DataType.float64);

const row = <Item>(graph: GraphBuilder, items: readonly Item[], pick: (item: Item) => number): string =>
  graph.constant(Float64Array.from(items, pick), [1, items.length]);

function addAffine(graph: GraphBuilder, columns: GraphColumns, items: Items<'affine'>): void {
  const centred = graph.node('Sub', [wide(graph, columns, names(items)), row(graph, items, ({ shift }) => shift)]);
  const scaled = graph.node('Div', [centred, row(graph, items, ({ scale }) => scale)]);
  columns.set(results(items), graph.cast(scaled, DataType.float32), 'number');
}

function addLog(graph: GraphBuilder, columns: GraphColumns, items: Items<'log'>): void {
  const one = graph.constant(Float64Array.of(1), []);
  // Both kinds are read before either is moved.
  const groups = [true, false]
    .map((signed) => items.filter((of) => of.signed === signed))
    .filter(({ length }) => length);
  const made = groups.map((group) => {
    const x = wide(graph, columns, names(group));
    const size = group[0]?.signed ? graph.node('Abs', [x]) : x;
    const logarithm = graph.node('Log', [graph.node('Add', [size, one])]);
    return group[0]?.signed ? graph.node('Mul', [graph.node('Sign', [x]), logarithm]) : logarithm;
  });
  for (const [index, group] of groups.entries()) {
    columns.set(results(group), graph.cast(made[index] as string, DataType.float32), 'number');
  }
}

function addProducts(graph: GraphBuilder, columns: GraphColumns, items: Items<'product'>): void {
  const side = (pick: (item: Items<'product'>[number]) => string) => wide(graph, columns, items.map(pick));
  const product = graph.node('Mul', [side(({ left }) => left), side(({ right }) => right)]);
  columns.set(results(items), graph.cast(product, DataType.float32), 'number');
}

function addBins(graph: GraphBuilder, columns: GraphColumns, items: Items<'bin'>): void {
  const made = items.map(({ column, edges }) => {
    const x = graph.columns([columns.one(column)]);
    if (edges.length === 0) return graph.node('Where', [graph.node('IsNaN', [x]), x, zero(graph)]);
    const above = graph.node('GreaterOrEqual', [
      graph.cast(x, DataType.float64),
      graph.constant(Float64Array.from(edges), [1, edges.length]),
    ]);
    const axis = graph.constant(BigInt64Array.of(1n), [1]);
    const count = graph.node('ReduceSum', [graph.cast(above, DataType.float32), axis], [attribute.int('keepdims', 1)]);
    return graph.node('Where', [graph.node('IsNaN', [x]), x, count]);
  });
  for (const [index, { to }] of items.entries()) columns.set([to], made[index] as string, 'number');
}

const zero = (graph: GraphBuilder): string => graph.constant(Float32Array.of(0), []);

function addCodes(graph: GraphBuilder, columns: GraphColumns, items: Items<'encode'>): void {
  const made = items.map(({ column, levels, values, missing, other }) => {
    const codes = [missing ?? Number.NaN, ...values];
    return graph.mlNode(
      'LabelEncoder',
      [keyed(graph, columns, column)],
      [
        keysOf(columns.place(column).kind, levels),
        attribute.floats('values_floats', codes),
        attribute.float('default_float', other ?? Number.NaN),
      ],
    );
  });
  for (const [index, { to }] of items.entries()) columns.set([to], made[index] as string, 'number');
}

/** A column as keys are looked up in it: a missing number is NaN, a missing text ''. */
function keyed(graph: GraphBuilder, columns: GraphColumns, column: string): string {
  const value = columns.one(column);
  return columns.place(column).kind === 'number' ? graph.columns([value]) : value;
}

/** Keys of a look-up; the first one is what is missing. */
function keysOf(kind: FeatureInfo['kind'], levels: readonly (string | number)[]) {
  return kind === 'number'
    ? attribute.floats('keys_floats', [Number.NaN, ...levels.map(Number)])
    : attribute.strings('keys_strings', ['', ...levels.map(String)]);
}

function addOneHot(graph: GraphBuilder, columns: GraphColumns, items: Items<'oneHot'>): void {
  const made = items.map(({ column, levels }) => {
    const code = graph.mlNode(
      'LabelEncoder',
      [keyed(graph, columns, column)],
      [
        keysOf(columns.place(column).kind, levels),
        attribute.floats('values_floats', [-1, ...levels.keys()]),
        attribute.float('default_float', -1),
      ],
    );
    const codes = graph.constant(Float32Array.from(levels.keys()), [1, levels.length]);
    return graph.cast(graph.node('Equal', [code, codes]), DataType.float32);
  });
  for (const [index, { to }] of items.entries()) columns.set(to, made[index] as string, 'number');
}

function addClip(graph: GraphBuilder, columns: GraphColumns, items: Items<'clip'>): void {
  const bound = (pick: (item: Items<'clip'>[number]) => number) =>
    graph.constant(Float32Array.from(items, pick), [1, items.length]);
  const [low, high] = [bound((of) => of.low), bound((of) => of.high)];
  const x = graph.columns(columns.parts(names(items)));
  // Comparisons with NaN are false: what is missing stays so.
  const raised = graph.node('Where', [graph.node('Less', [x, low]), low, x]);
  const clipped = graph.node('Where', [graph.node('Greater', [raised, high]), high, raised]);
  columns.set(results(items), clipped, 'number');
}

const ADD: { [Op in FittedStage['op']]: (graph: GraphBuilder, columns: GraphColumns, items: Items<Op>) => void } = {
  impute: addImpute,
  affine: addAffine,
  log: addLog,
  product: addProducts,
  bin: addBins,
  encode: addCodes,
  oneHot: addOneHot,
  clip: addClip,
};

/** Adds one stage; its items read the columns as they are before it. */
export function addStage(graph: GraphBuilder, columns: GraphColumns, { op, items }: FittedStage): void {
  const add = ADD[op] as (graph: GraphBuilder, columns: GraphColumns, items: FittedStage['items']) => void;
  add(graph, columns, items);
}
