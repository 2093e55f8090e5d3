/** Encodings: what the values of a column are turned into, counted on the training rows. Categories, or numbers as labels. */
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
export function fitTarget(spec: TransformOf<'targetEncode'>, names: readonly string[], table: WorkingTable) {
  const folds = table.foldsOf(spec);
  const training = new Map<string, Float32Array>();
  const items = names.map((column): Encoding => {
    const to = resultName(spec, column);
    const all = [...Array(table.trainRows).keys()];
    training.set(to, outOfFold(spec, column, table, folds));
    return { column, to, ...encodeTarget(spec.smoothing, column, table, all) };
  });
  return { stage: { op: 'encode' as const, items }, training };
}

function encodeTarget(smoothing: number, column: string, table: WorkingTable, rows: readonly number[]) {
  const { levels, missing } = countLevels(columnOf(table, column).values, rows, table.label);
  const positives = levels.reduce((sum, level) => sum + level.positives, missing.positives);
  const prior = rows.length > 0 ? positives / rows.length : 0;
  const share = (of: { rows: number; positives: number }): number => {
    const weight = of.rows + smoothing;
    return Math.fround(weight > 0 ? (of.positives + smoothing * prior) / weight : prior);
  };
  const kept = levels.slice(0, MOST_LEVELS);
  return {
    levels: kept.map(({ level }) => level),
    values: kept.map(share),
    other: Math.fround(prior),
    missing: share(missing),
  };
}

/** Each training row encoded by what the rows of the other folds say. */
function outOfFold(
  { folds, smoothing }: TransformOf<'targetEncode'>,
  column: string,
  table: WorkingTable,
  foldOf: Uint8Array,
): Float32Array {
  const { values } = columnOf(table, column);
  const encoded = new Float32Array(table.trainRows);
  const all = [...Array(table.trainRows).keys()];
  for (let fold = 0; fold < folds; fold++) {
    const others = all.filter((row) => foldOf[row] !== fold);
    const encoding = encodeTarget(smoothing, column, table, others);
    const places = new Map(encoding.levels.map((level, place) => [level, encoding.values[place] as number]));
    for (let row = 0; row < table.trainRows; row++) {
      if (foldOf[row] !== fold) continue;
      const value = values[row];
      const there = typeof value === 'number' ? Number.isFinite(value) : value;
      const level = value === 0 ? 0 : (value as string | number);
      encoded[row] = there ? (places.get(level) ?? encoding.other) : encoding.missing;
    }
  }
  return encoded;
}
