/** What a list of transforms does to the columns, as far as names and kinds tell; used before anything runs, and when fitting. */
import type { FeatureInfo } from './artifacts.ts';
import { nearest } from './nearest.ts';
import type { TransformSpec } from './transforms.ts';

/** A column at some place in the chain. `unknown`: its kind shows when the data is read. */
export interface PlannedColumn {
  name: string;
  kind: FeatureInfo['kind'] | 'unknown';
  /** 0 or 1, made by a transform: `*` passes over it. */
  flag?: true;
}

/** Suffix of the result where the column is kept. */
const SUFFIX: Record<Exclude<TransformSpec['kind'], 'polynomial' | 'oneHot'>, string> = {
  impute: 'imputed',
  scale: 'scaled',
  log: 'log',
  bin: 'bin',
  ordinal: 'ordinal',
  frequency: 'frequency',
  targetEncode: 'target',
  cap: 'capped',
};

/** Transforms that only numbers can have. */
const NUMBERS_ONLY = new Set<TransformSpec['kind']>(['scale', 'log', 'polynomial', 'bin', 'cap']);
/** Transforms that `*` gives categories only, though a number is taken where it is named. */
const CATEGORIES_FIRST = new Set<TransformSpec['kind']>(['oneHot', 'ordinal', 'frequency', 'targetEncode']);

/** Name of what a transform makes of a column. */
export function resultName(spec: Exclude<TransformSpec, { kind: 'polynomial' | 'oneHot' }>, column: string): string {
  return spec.keep ? `${column}_${SUFFIX[spec.kind]}` : column;
}

/** Pairs of columns that a polynomial multiplies, squares first. */
export function products(
  { squares, interactions }: Extract<TransformSpec, { kind: 'polynomial' }>,
  columns: readonly string[],
): { left: string; right: string; to: string }[] {
  const pairs = columns.flatMap((left, i) =>
    columns.slice(i + 1).map((right) => ({ left, right, to: `${left}_x_${right}` })),
  );
  const own = columns.map((column) => ({ left: column, right: column, to: `${column}_squared` }));
  return [...(squares ? own : []), ...(interactions ? pairs : [])];
}

/** Columns that a transform takes here. @returns a complaint instead where it cannot have them */
export function chooseColumns(spec: TransformSpec, columns: readonly PlannedColumn[]): PlannedColumn[] | string {
  if (spec.columns.includes('*')) {
    if (spec.columns.length > 1) return '"*" stands alone: it means every column that the transform takes';
    return columns.filter(({ kind, flag }) => !flag && wildcardTakes(spec, kind));
  }
  const chosen: PlannedColumn[] = [];
  for (const name of spec.columns) {
    const column = columns.find((one) => one.name === name);
    const there = columns.map((one) => one.name);
    if (!column) return `there is no column "${name}" here${nearest(name, there)}`;
    if (chosen.includes(column)) return `column "${name}" is named twice`;
    if (column.kind === 'category' && !takesCategories(spec)) {
      return `${spec.kind} takes numbers, but "${name}" is a category${cureOf(spec)}`;
    }
    if (column.kind === 'number' && spec.kind === 'impute' && typeof spec.value === 'string') {
      return `"${name}" is a number and cannot be filled with the text ${JSON.stringify(spec.value)}`;
    }
    if (column.kind === 'number' && spec.kind === 'ordinal' && spec.order?.some((value) => typeof value === 'string')) {
      return `"${name}" is a number, but its order names texts`;
    }
    chosen.push(column);
  }
  return chosen;
}

function takesCategories(spec: TransformSpec): boolean {
  if (spec.kind === 'impute') return spec.with === 'mostFrequent' || typeof spec.value === 'string';
  return !NUMBERS_ONLY.has(spec.kind);
}

function cureOf(spec: TransformSpec): string {
  return spec.kind === 'impute'
    ? "; fill it with: 'mostFrequent' or a text"
    : '; make it a number first, e.g. with ordinal() or targetEncode()';
}

function wildcardTakes(spec: TransformSpec, kind: PlannedColumn['kind']): boolean {
  if (kind === 'unknown') return true;
  if (spec.kind === 'impute' && spec.with === 'constant')
    return kind === (typeof spec.value === 'string' ? 'category' : 'number');
  if (spec.kind === 'impute') return kind === 'number' || spec.with === 'mostFrequent';
  return kind === (CATEGORIES_FIRST.has(spec.kind) ? 'category' : 'number');
}

/**
 * The columns after a transform; of `oneHot` only what is left, as its new columns are named by values.
 * @returns a complaint instead where two columns would have one name
 */
export function columnsAfter(
  spec: TransformSpec,
  chosen: readonly PlannedColumn[],
  columns: readonly PlannedColumn[],
): PlannedColumn[] | string {
  const after = [...columns];
  const add = (column: PlannedColumn): string | undefined => {
    if (after.some(({ name }) => name === column.name)) return `there is a column "${column.name}" already`;
    after.push(column);
    return undefined;
  };
  if (spec.kind === 'polynomial') {
    const made = products(
      spec,
      chosen.map(({ name }) => name),
    );
    for (const { to } of made) {
      const complaint = add({ name: to, kind: 'number' });
      if (complaint) return complaint;
    }
    return after;
  }
  for (const column of chosen) {
    const at = after.indexOf(column);
    if (spec.kind === 'oneHot') {
      if (!spec.keep) after.splice(at, 1);
      continue;
    }
    const kind = spec.kind === 'impute' ? column.kind : 'number';
    const name = resultName(spec, column.name);
    const complaint = name === column.name ? void after.splice(at, 1, { name, kind }) : add({ name, kind });
    if (complaint) return complaint;
    if (spec.kind === 'impute' && spec.indicator) {
      const flagged = add({ name: `${column.name}_missing`, kind: 'number', flag: true });
      if (flagged) return flagged;
    }
  }
  return after;
}

/** What is wrong with a transform by itself. */
function ownComplaint(spec: TransformSpec): string | undefined {
  if (spec.kind === 'impute' && (spec.with === 'constant') !== (spec.value !== undefined))
    return spec.with === 'constant' ? 'impute lacks the value to fill in' : `impute with ${spec.with} takes no value`;
  if (spec.kind === 'impute' && typeof spec.value === 'number' && !Number.isFinite(Math.fround(spec.value)))
    return `${spec.value} is more than a float32 can hold`;
  if (spec.kind === 'cap' && spec.by === 'quantile' && !((spec.low ?? 0) < (spec.high ?? 1)))
    return `the lower quantile ${spec.low} is not below the upper one, ${spec.high}`;
  if (spec.kind === 'cap' && spec.by === 'iqr' && spec.factor === undefined) return 'cap by iqr lacks its factor';
  if (spec.kind === 'bin' && spec.by === 'edges') return edgesComplaint(spec.edges ?? []);
  if (spec.kind === 'bin' && spec.bins === undefined) return `bin by ${spec.by} lacks the number of bins`;
  if (spec.kind === 'ordinal' && spec.order && new Set(spec.order.map(String)).size < spec.order.length)
    return 'order names a value twice';
  if (spec.kind === 'polynomial' && !spec.squares && !spec.interactions)
    return 'polynomial without squares and interactions does nothing';
  return undefined;
}

function edgesComplaint(edges: readonly number[]): string | undefined {
  if (edges.length === 0) return 'bin by edges lacks the edges';
  const ascending = edges.every((edge, i) => i === 0 || edge > (edges[i - 1] as number));
  return ascending ? undefined : 'the edges of bin are not ascending';
}

/** Complaints about a list of transforms, each beginning with its place; stops at the first, as the rest may follow from it. */
export function transformComplaint(
  specs: readonly TransformSpec[],
  from: readonly PlannedColumn[],
): string | undefined {
  let columns: readonly PlannedColumn[] = from;
  for (const [index, spec] of specs.entries()) {
    const place = `transforms.${index}`;
    const own = ownComplaint(spec);
    if (own) return `${place}: ${own}`;
    const chosen = chooseColumns(spec, columns);
    if (typeof chosen === 'string') return `${place}: ${chosen}`;
    const after = columnsAfter(spec, chosen, columns);
    // What "*" takes is known when every kind is: until then, all that there may be counts as there.
    const open = spec.columns.includes('*') && chosen.some(({ kind }) => kind === 'unknown');
    if (open) columns = either(columns, typeof after === 'string' ? [] : after);
    else if (typeof after === 'string') return `${place}: ${after}`;
    else columns = after;
  }
  return undefined;
}

/** The columns of both; one that differs is of unknown kind. */
function either(before: readonly PlannedColumn[], after: readonly PlannedColumn[]): PlannedColumn[] {
  const added = after.filter(({ name }) => !before.some((column) => column.name === name));
  const same = ({ name, kind }: PlannedColumn) => after.some((other) => other.name === name && other.kind === kind);
  return [
    ...before.map((column) => (same(column) ? column : { name: column.name, kind: 'unknown' as const })),
    ...added,
  ];
}
