/**
 * LightGBM → ONNX. Features become columns of one float64 matrix, the trees one `TreeEnsemble`, the sum goes through the
 * sigmoid. Everything is float64 between the float32 inputs and the float32 output, as in LightGBM itself: thresholds are
 * then exact, and the sum over many trees does not drift (in float32, 1,000 trees can differ by more than 1e-6).
 */
import type { FeatureInfo } from '../spec/artifacts.ts';
import { floor32 } from '../training/model-text.ts';
import type { LightGbmNative } from '../training/native-model.ts';
import { GraphBuilder, unsupported } from './graph-builder.ts';
import type { GraphColumns } from './graph-columns.ts';
import { type LightGbmModel, type NumericSplit, parseLightGbm, type Tree, type TreeSplit } from './lightgbm-text.ts';
import { attribute, DataType, tensor } from './onnx-proto.ts';
import { addPreprocessing, describeInputs, type Preprocessing } from './preprocessing.ts';

/** `nodes_modes` of TreeEnsemble. */
const Mode = { lessOrEqual: 0, member: 6 } as const;
/** Codes in the graph are LightGBM's plus one: ONNX Runtime tests small positive members by a bit mask. 0 = missing, unseen. */
const FIRST_CODE = 1;
const UNKNOWN_CODE = 0;
/** LightGBM's kZeroThreshold (the float32 1e-35): it reads what lies within ± this as 0 before it looks at a tree. */
const ZERO = Math.fround(1e-35);
/** The next float32 below `-ZERO`. */
const BELOW_ZERO = floor32(-ZERO * (1 + 1e-9));

/** Bytes of the ONNX file. @throws RefitError REFIT_MODEL_UNSUPPORTED naming what cannot be expressed */
export function exportGbdt(native: LightGbmNative, preprocessing?: Preprocessing): Uint8Array {
  const { features } = native;
  const graph = new GraphBuilder(preprocessing?.inputs ?? features);
  const model = parseLightGbm(native.model);
  if (model.columns !== features.length) {
    throw unsupported(`The LightGBM model has ${model.columns} columns but ${features.length} features are named.`);
  }
  checkSplits(model, features);
  const columns = addColumns(graph, addPreprocessing(graph, features, preprocessing), native, model);
  const raw = graph.mlNode('TreeEnsemble', [columns.matrix], treeAttributes(model.trees, columns.columnOf));
  graph.probability(raw, model.slope);
  return graph.finish(
    `Refit: gradient-boosted trees (LightGBM), ${model.trees.length} trees, ${describeInputs(features, preprocessing)}; preprocessing included.`,
  );
}

/** A numeric split of codes, or a split of numbers by category, has no counterpart: missing values would go astray. */
function checkSplits(model: LightGbmModel, features: readonly FeatureInfo[]): void {
  for (const [index, tree] of model.trees.entries()) {
    for (const split of tree.splits) {
      const feature = features[split.feature];
      if (!feature) throw unsupported(`Tree ${index} splits on column ${split.feature}, which does not exist.`);
      if ((split.kind === 'category') !== (feature.kind === 'category')) {
        const how = split.kind === 'category' ? 'by category' : 'as a number';
        throw unsupported(`Tree ${index} splits the ${feature.kind} feature "${feature.name}" ${how}.`);
      }
    }
  }
}

type ColumnOf = (split: TreeSplit) => number;
const readsZeroAsMissing = (split: TreeSplit): boolean => split.kind === 'numeric' && split.missing === 'zero';

/** float64 [rows, columns]: one column a feature, then one more, zeros made NaN, for each that is split `zero_as_missing`. */
function addColumns(
  graph: GraphBuilder,
  columns: GraphColumns,
  { features, categories }: LightGbmNative,
  model: LightGbmModel,
): { matrix: string; columnOf: ColumnOf } {
  for (const { name, kind } of features) {
    if (kind === 'number') continue;
    const codes = { first: FIRST_CODE, otherwise: UNKNOWN_CODE, value: columns.one(name) };
    columns.set([name], graph.encode(name, levelsOf(categories, name), 'float32', codes), 'number');
  }
  const values = columns.parts(features.map(({ name }) => name));
  const zeroSplits = model.trees.flatMap(({ splits }) => splits.filter(readsZeroAsMissing));
  const extra = new Map<number, number>();
  for (const { feature } of zeroSplits) {
    if (extra.has(feature)) continue;
    values.push(zeroAsMissing(graph, columns.one((features[feature] as FeatureInfo).name)));
    extra.set(feature, features.length + extra.size);
  }
  const matrix = graph.columns(values);
  return {
    matrix: graph.node('Cast', [matrix], [attribute.int('to', DataType.float64)]),
    columnOf: (split) => (readsZeroAsMissing(split) ? (extra.get(split.feature) ?? split.feature) : split.feature),
  };
}

function levelsOf(categories: Record<string, string[]>, feature: string): string[] {
  const levels = categories[feature];
  if (!levels) throw unsupported(`The fitted model has no category list for feature "${feature}".`, { feature });
  return levels;
}

function zeroAsMissing(graph: GraphBuilder, value: string): string {
  const size = graph.node('Abs', [value]);
  const isZero = graph.node('LessOrEqual', [size, graph.constant(Float32Array.of(ZERO), [])]);
  return graph.node('Where', [isZero, graph.constant(Float32Array.of(Number.NaN), []), value]);
}

/** Columns of the TreeEnsemble operator's attributes, one entry a node. */
class EnsembleNodes {
  readonly feature: number[] = [];
  readonly mode: number[] = [];
  readonly split: number[] = [];
  readonly missingLeft: number[] = [];
  readonly trueNode: number[] = [];
  readonly falseNode: number[] = [];
  readonly trueLeaf: number[] = [];
  readonly falseLeaf: number[] = [];
  /** The sets of the member nodes, in node order, parted by NaN. */
  readonly members: number[] = [];
  readonly leaves: number[] = [];
  readonly roots: number[] = [];

  /** Children are given as in LightGBM, `nodeOf` and `leafOf` say where they stand here. */
  add(split: TreeSplit, column: number, nodeOf: (child: number) => number, leafOf: (child: number) => number): void {
    this.feature.push(column);
    const place = (child: number) => (child >= 0 ? nodeOf(child) : leafOf(child));
    this.trueNode.push(place(split.left));
    this.trueLeaf.push(split.left < 0 ? 1 : 0);
    this.falseNode.push(place(split.right));
    this.falseLeaf.push(split.right < 0 ? 1 : 0);
    if (split.kind === 'numeric') {
      this.test(Mode.lessOrEqual, roundZero(split.threshold), missingGoesLeft(split));
    } else if (split.codes.length === 0) {
      // A set without members cannot be written down; no code is <= -1 either.
      this.test(Mode.lessOrEqual, -1, false);
    } else {
      this.test(Mode.member, 0, false);
      this.members.push(...split.codes.map((code) => code + FIRST_CODE), Number.NaN);
    }
  }

  private test(mode: number, threshold: number, missingLeft: boolean): void {
    this.mode.push(mode);
    this.split.push(threshold);
    this.missingLeft.push(missingLeft ? 1 : 0);
  }
}

/** A threshold within ±ZERO moves to its edge, so that what LightGBM reads as 0 stays together on the side of 0. */
function roundZero(threshold: number): number {
  if (Math.abs(threshold) > ZERO) return threshold;
  return threshold >= 0 ? ZERO : BELOW_ZERO;
}

/** Where NaN goes. Without a missing type LightGBM reads NaN as 0; with `zero`, NaN is read as 0 and so is missing. */
function missingGoesLeft({ missing, threshold, defaultLeft }: NumericSplit): boolean {
  return missing === 'none' ? threshold >= 0 : defaultLeft;
}

/**
 * Splits in the order root, left side, right side. The operator lists the sets of member nodes in the order of the nodes;
 * ONNX's own reference evaluator reads them as it walks down the tree: in this order both are the same.
 */
function depthFirst(splits: readonly TreeSplit[]): number[] {
  const order: number[] = [];
  const waiting = [0];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    order.push(node);
    const { left, right } = splits[node] as TreeSplit;
    if (right >= 0) waiting.push(right);
    if (left >= 0) waiting.push(left);
  }
  return order;
}

function treeAttributes(trees: readonly Tree[], columnOf: ColumnOf) {
  const nodes = new EnsembleNodes();
  for (const tree of trees) {
    const firstNode = nodes.feature.length;
    const firstLeaf = nodes.leaves.length;
    nodes.roots.push(firstNode);
    const splits = splitsOf(tree);
    const order = depthFirst(splits);
    const places = new Map(order.map((split, place) => [split, firstNode + place]));
    const nodeOf = (child: number) => places.get(child) as number;
    const leafOf = (child: number) => firstLeaf - child - 1;
    for (const node of order) {
      const split = splits[node] as TreeSplit;
      nodes.add(split, columnOf(split), nodeOf, leafOf);
    }
    nodes.leaves.push(...leavesOf(tree));
  }
  return [
    attribute.int('aggregate_function', 1),
    attribute.ints(
      'leaf_targetids',
      nodes.leaves.map(() => 0),
    ),
    attribute.tensor('leaf_weights', tensor(Float64Array.from(nodes.leaves))),
    ...(nodes.members.length ? [attribute.tensor('membership_values', tensor(Float64Array.from(nodes.members)))] : []),
    attribute.int('n_targets', 1),
    attribute.ints('nodes_falseleafs', nodes.falseLeaf),
    attribute.ints('nodes_falsenodeids', nodes.falseNode),
    attribute.ints('nodes_featureids', nodes.feature),
    attribute.ints('nodes_missing_value_tracks_true', nodes.missingLeft),
    attribute.tensor('nodes_modes', tensor(Uint8Array.from(nodes.mode))),
    attribute.tensor('nodes_splits', tensor(Float64Array.from(nodes.split))),
    attribute.ints('nodes_trueleafs', nodes.trueLeaf),
    attribute.ints('nodes_truenodeids', nodes.trueNode),
    attribute.int('post_transform', 0),
    attribute.ints('tree_roots', nodes.roots),
  ];
}

/** The operator's trees have a split at least: a tree that is one leaf gets one whose sides are alike. */
const ANY_SPLIT: TreeSplit = {
  kind: 'numeric',
  feature: 0,
  threshold: 0,
  missing: 'none',
  defaultLeft: false,
  left: -1,
  right: -2,
};
const splitsOf = (tree: Tree): TreeSplit[] => (tree.splits.length ? tree.splits : [ANY_SPLIT]);
const leavesOf = (tree: Tree): number[] => (tree.splits.length ? tree.leaves : [...tree.leaves, ...tree.leaves]);
