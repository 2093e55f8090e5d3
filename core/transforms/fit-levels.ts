/** Encodings: what the values of a column are turned into, counted on the training rows. Categories, or numbers as labels. */
import { setImmediate as turn } from 'node:timers/promises';
import { resultName } from '../spec/plan-transforms.ts';
import type { FittedStage, StageOf, TransformOf } from '../spec/transforms.ts';
import { countLevels, inOrder, type LevelCounts } from './statistics.ts';
import { columnOf, type WorkingTable } from './working-table.ts';

/** More values than this are not told apart: the rarer ones count as unseen. */
const MOST_LEVELS = 100_000;

type Encoding = StageOf<'encode'>['items'][number];

function levelsOf(column: string, table: WorkingTable): LevelCounts {
  return countLevels(columnOf(table, column).values, Array(table.trainRows).keys(), table.label);
}

export function fitCodes(
  spec: TransformOf<'ordinal'> | TransformOf<'frequency'>,
  column: string,
  table: WorkingTable,
): Encoding {
  const to = resultName(spec, column);
  const counts = levelsOf(column, table);
  const found = counts.levels.slice(0, MOST_LEVELS);
  if (spec.kind === 'frequency') {
    const share = (rows: number): number => Math.fround(rows / table.trainRows);
    const levels = found.map(({ level }) => level);
    const values = found.map(({ rows }) => share(rows));
    return { column, to, levels, values, other: 0, missing: share(counts.missing.rows) };
  }
  const { kind } = columnOf(table, column);
  const levels = spec.order
    ? spec.order.map((level) => (kind === 'number' ? Math.fround(Number(level)) : String(level)))
    : found.map(({ level }) => level).sort(inOrder);
  return { column, to, levels, values: [...levels.keys()], other: null, missing: null };
}

export function fitOneHot(spec: TransformOf<'oneHot'>, names: readonly string[], table: WorkingTable): FittedStage {
  const taken = new Set(table.columns.map(({ name }) => name));
  const items = names.map((column) => {
    const frequent = levelsOf(column, table).levels.filter(({ rows }) => rows >= spec.minShare * table.trainRows);
    const levels = frequent
      .slice(0, spec.max)
      .map(({ level }) => level)
      .sort(inOrder);
    return { column, levels, to: levels.map((level) => flagName(column, level, taken)) };
  });
  return { op: 'oneHot', items: items.filter(({ levels }) => levels.length > 0) };
}

/** `<column>_<value>` in letters that every tool takes; values that differ in others get a number. */
function flagName(column: string, level: string | number, taken: Set<string>): string {
  const base = `${column}_${String(level).replace(/[^A-Za-z0-9.-]+/g, '_')}`;
  let name = base;
  for (let i = 2; taken.has(name); i++) name = `${base}_${i}`;
  taken.add(name);
  return name;
}

/**
 * (positives + smoothing × prior) / (rows + smoothing) by value; the prior is the share of positive labels of all. A missing
 * value counts as a value of its own; an unseen one gets the prior.
 * Source: Micci-Barreca (2001), with the weight rows / (rows + smoothing).
 * 3 of 4 rows positive, prior .5, smoothing 4 → (3 + 2) / 8 = .625.
 */
export async function fitTarget(spec: TransformOf<'targetEncode'>, names: readonly string[], table: WorkingTable) {
  const folds = table.foldsOf(spec);
  const training = new Map<string, Float32Array>();
  const items: Encoding[] = [];
  for (const column of names) {
    await turn();
    const to = resultName(spec, column);
    const tally = tallyOf(spec, column, table, folds);
    training.set(to, outOfFold(spec, tally, table, folds));
    const { levels } = tally;
    const values = levels.map((_, code) => rateOf(spec, tally, code));
    const [missing, other] = [rateOf(spec, tally, levels.length), rateOf(spec, tally, levels.length + 1)];
    items.push({ column, to, levels, values, other, missing });
  }
  return { stage: { op: 'encode' as const, items }, training };
}

/** Counts by code: the place of a level, then one for what is missing, then one for levels too rare to be told apart. */
interface Tally {
  levels: (string | number)[];
  /** Code of each training row. */
  codes: Int32Array;
  /** [folds + 1, codes], row-major; the last row holds all folds. */
  rows: Float64Array;
  positives: Float64Array;
  /** Of each fold, then of all. */
  totals: { rows: number; positives: number }[];
}

function tallyOf(
  { folds }: TransformOf<'targetEncode'>,
  column: string,
  table: WorkingTable,
  foldOf: Uint8Array,
): Tally {
  const { values } = columnOf(table, column);
  const levels = levelsOf(column, table)
    .levels.slice(0, MOST_LEVELS)
    .map(({ level }) => level);
  const places = new Map<string | number | null | undefined, number>(levels.map((level, place) => [level, place]));
  const width = levels.length + 2;
  const rows = new Float64Array((folds + 1) * width);
  const positives = new Float64Array((folds + 1) * width);
  const totals = Array.from({ length: folds + 1 }, () => ({ rows: 0, positives: 0 }));
  const codes = Int32Array.from({ length: table.trainRows }, (_, row) => {
    const value = values[row];
    const there = typeof value === 'number' ? Number.isFinite(value) : value;
    // A Map finds -0 under 0.
    const code = there ? (places.get(value) ?? levels.length + 1) : levels.length;
    for (const fold of [foldOf[row] ?? 0, folds]) {
      const at = fold * width + code;
      const total = totals[fold] as Tally['totals'][number];
      const label = table.label[row] ?? 0;
      rows[at] = (rows[at] ?? 0) + 1;
      positives[at] = (positives[at] ?? 0) + label;
      total.rows += 1;
      total.positives += label;
    }
    return code;
  });
  return { levels, codes, rows, positives, totals };
}

/** The rate of a code among all training rows, or all but those of a fold. */
function rateOf(
  { smoothing, folds }: TransformOf<'targetEncode'>,
  tally: Tally,
  code: number,
  without?: number,
): number {
  const width = tally.levels.length + 2;
  const count = (of: Float64Array) =>
    (of[folds * width + code] ?? 0) - (without === undefined ? 0 : (of[without * width + code] ?? 0));
  const all = tally.totals[folds] ?? { rows: 0, positives: 0 };
  const gone = without === undefined ? { rows: 0, positives: 0 } : (tally.totals[without] ?? { rows: 0, positives: 0 });
  const prior = all.rows > gone.rows ? (all.positives - gone.positives) / (all.rows - gone.rows) : 0;
  const weight = count(tally.rows) + smoothing;
  // What is too rare to be told apart is served as unseen, and so is learned as unseen.
  if (code > tally.levels.length || weight === 0) return Math.fround(prior);
  return Math.fround((count(tally.positives) + smoothing * prior) / weight);
}

/** Each training row encoded by what the rows of the other folds say. */
function outOfFold(
  spec: TransformOf<'targetEncode'>,
  tally: Tally,
  table: WorkingTable,
  foldOf: Uint8Array,
): Float32Array {
  const width = tally.levels.length + 2;
  const rates = new Float32Array(spec.folds * width).fill(Number.NaN);
  return Float32Array.from({ length: table.trainRows }, (_, row) => {
    const fold = foldOf[row] ?? 0;
    const code = tally.codes[row] ?? 0;
    const at = fold * width + code;
    if (Number.isNaN(rates[at])) rates[at] = rateOf(spec, tally, code, fold);
    return rates[at] as number;
  });
}
