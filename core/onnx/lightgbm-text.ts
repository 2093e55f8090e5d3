/**
 * Reads LightGBM's model text (format v4: header, `Tree=` sections, `end of trees`). Understands what predicts: feature
 * importances, gains, counts and parameters are left aside. Source: LightGBM 4.7, src/io/tree.cpp and
 * src/boosting/gbdt_model_text.cpp.
 */
import { unsupported } from './graph-builder.ts';

/** What stands for "missing" at a numeric split: nothing (NaN is read as 0), zero (and NaN), or NaN. */
export type MissingType = 'none' | 'zero' | 'nan';

/** A child: `>= 0` an inner node of the tree, `< 0` the leaf `-child - 1`. */
export type Child = number;

interface SplitBase {
  /** Column, in the order of the training data. */
  feature: number;
  left: Child;
  right: Child;
}
/** Left when value <= threshold; missing goes left when `defaultLeft`. */
export interface NumericSplit extends SplitBase {
  kind: 'numeric';
  threshold: number;
  missing: MissingType;
  defaultLeft: boolean;
}
/** Left when the category's code is in `codes` (ascending); missing and unseen go right. */
export interface CategorySplit extends SplitBase {
  kind: 'category';
  codes: number[];
}
export type TreeSplit = NumericSplit | CategorySplit;

/** A tree with `leaves.length - 1` splits, the root first; shrinkage is already in the leaf values. */
export interface Tree {
  splits: TreeSplit[];
  leaves: number[];
}

/** Probability = 1 / (1 + exp(-slope × sum of the trees)). */
export interface LightGbmModel {
  columns: number;
  slope: number;
  trees: Tree[];
}

const MISSING_TYPES: readonly (MissingType | undefined)[] = ['none', 'zero', 'nan'];

/** Parses a binary classifier. @throws RefitError REFIT_MODEL_UNSUPPORTED naming what is not supported or is damaged */
export function parseLightGbm(text: string): LightGbmModel {
  const end = text.search(/^end of trees\s*$/m);
  if (!/^tree\r?\n/.test(text) || end < 0) throw unsupported('The LightGBM model text is incomplete.');
  const [head = '', ...sections] = text.slice(0, end).split(/^Tree=\d+\s*$/m);
  const header = fieldsOf(head);
  const { slope } = checkHeader(header);
  const expected = numbers(header, 'tree_sizes').length;
  if (expected !== sections.length) {
    throw unsupported(`The LightGBM model text names ${expected} trees but holds ${sections.length}.`);
  }
  const columns = Number(header.get('max_feature_idx')) + 1;
  return { columns, slope, trees: sections.map((section, index) => parseTree(fieldsOf(section), index)) };
}

/** `key=value` lines; a line without `=` is a flag with the value ''. */
function fieldsOf(section: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of section.split(/\r?\n/)) {
    const at = line.indexOf('=');
    if (at >= 0) fields.set(line.slice(0, at), line.slice(at + 1).trim());
    else if (line.trim() !== '') fields.set(line.trim(), '');
  }
  return fields;
}

function checkHeader(header: Map<string, string>): { slope: number } {
  const version = header.get('version');
  if (version !== 'v4') throw unsupported(`LightGBM model format ${version} is not supported; v4 is.`);
  if (header.has('average_output')) throw unsupported('LightGBM boosting "rf" (averaged trees) is not supported.');
  for (const key of ['num_class', 'num_tree_per_iteration']) {
    if (header.get(key) !== '1') throw unsupported(`LightGBM ${key}=${header.get(key)} is not supported; 1 is.`);
  }
  const objective = header.get('objective') ?? 'none';
  const slope = /^binary sigmoid:(\S+)$/.exec(objective)?.[1];
  if (slope === undefined) throw unsupported(`LightGBM objective "${objective}" is not supported; binary is.`);
  return { slope: finite(slope, 'sigmoid') };
}

function parseTree(fields: Map<string, string>, index: number): Tree {
  const where = `Tree ${index}`;
  if ((fields.get('is_linear') ?? '0') !== '0') throw unsupported(`${where}: linear_tree is not supported.`);
  const leafCount = finite(fields.get('num_leaves'), `${where} num_leaves`);
  const leaves = numbers(fields, 'leaf_value').slice(0, leafCount);
  if (leafCount < 1 || leaves.length !== leafCount || !leaves.every(Number.isFinite)) {
    throw unsupported(`${where}: leaf_value does not hold ${leafCount} finite numbers.`);
  }
  // A tree that found no split has one leaf and no (or empty) split fields.
  if (leafCount === 1) return { splits: [], leaves };
  const arrays = splitArrays(fields, leafCount - 1, where);
  const splits = Array.from({ length: leafCount - 1 }, (_, node) => parseSplit(arrays, node, where));
  checkShape(splits, leafCount, where);
  return { splits, leaves };
}

type SplitArrays = ReturnType<typeof splitArrays>;

function splitArrays(fields: Map<string, string>, count: number, where: string) {
  const column = (key: string): number[] => {
    const values = numbers(fields, key);
    if (values.length !== count || values.some(Number.isNaN)) {
      throw unsupported(`${where}: ${key} does not hold ${count} numbers.`);
    }
    return values;
  };
  return {
    feature: column('split_feature'),
    threshold: column('threshold'),
    decision: column('decision_type'),
    left: column('left_child'),
    right: column('right_child'),
    catBoundaries: numbers(fields, 'cat_boundaries'),
    catThreshold: numbers(fields, 'cat_threshold'),
  };
}

/** decision_type bits: 0 categorical, 1 default left, 2–3 missing type (0 none, 1 zero, 2 NaN). */
function parseSplit(arrays: SplitArrays, node: number, where: string): TreeSplit {
  const at = (values: number[]) => values[node] as number;
  const base = { feature: at(arrays.feature), left: at(arrays.left), right: at(arrays.right) };
  const decision = at(arrays.decision);
  if (decision & 1) return { kind: 'category', ...base, codes: codesOf(arrays, at(arrays.threshold), where) };
  const missing = MISSING_TYPES[(decision >> 2) & 3];
  if (missing === undefined) throw unsupported(`${where}: decision_type ${decision} is not supported.`);
  return { kind: 'numeric', ...base, threshold: at(arrays.threshold), missing, defaultLeft: (decision & 2) !== 0 };
}

/** Codes of a categorical split: a bitset in 32-bit words, `[cat_boundaries[i], cat_boundaries[i + 1])` of cat_threshold. */
function codesOf({ catBoundaries, catThreshold }: SplitArrays, set: number, where: string): number[] {
  const from = catBoundaries[set];
  const to = catBoundaries[set + 1];
  if (from === undefined || to === undefined || to > catThreshold.length) {
    throw unsupported(`${where}: the categories of split set ${set} are missing.`);
  }
  const codes: number[] = [];
  for (let word = from; word < to; word++) {
    const bits = catThreshold[word] as number;
    for (let bit = 0; bit < 32; bit++) if ((bits >>> bit) & 1) codes.push((word - from) * 32 + bit);
  }
  return codes;
}

/** Every leaf and every split but the root is the child of exactly one earlier split, or the text is damaged. */
function checkShape(splits: TreeSplit[], leafCount: number, where: string): void {
  const expected = new Set([...splits.keys()].slice(1));
  for (let leaf = 0; leaf < leafCount; leaf++) expected.add(-leaf - 1);
  for (const [node, { left, right }] of splits.entries()) {
    for (const child of [left, right]) {
      // LightGBM numbers splits as it makes them, so a child comes after its parent and there can be no loop.
      if (!expected.delete(child) || (child >= 0 && child <= node)) {
        throw unsupported(`${where}: left_child and right_child do not form a tree.`);
      }
    }
  }
}

function numbers(fields: Map<string, string>, key: string): number[] {
  const text = fields.get(key);
  return text ? text.split(/\s+/).map(toNumber) : [];
}

/** LightGBM writes infinite thresholds (a split of NaN against the rest) as C does. */
function toNumber(text: string): number {
  if (text === 'inf') return Number.POSITIVE_INFINITY;
  if (text === '-inf') return Number.NEGATIVE_INFINITY;
  return Number(text);
}

function finite(text: string | undefined, what: string): number {
  const value = Number(text);
  if (text === undefined || text === '' || !Number.isFinite(value)) {
    throw unsupported(`The LightGBM model text has no valid ${what}.`);
  }
  return value;
}
