/** From a declared transform and the training rows to a fitted stage. Pure: the same rows give the same stage. */
import { setImmediate as turn } from 'node:timers/promises';
import { products, resultName } from '../spec/plan-transforms.ts';
import type { FittedStage, TransformOf, TransformSpec } from '../spec/transforms.ts';
import { fitCodes, fitOneHot, fitTarget } from './fit-levels.ts';
import { countLevels, inOrder, moments, quantile, sortedNumbers } from './statistics.ts';
import { columnOf, type WorkingTable } from './working-table.ts';

/** A stage, and what it makes of the training rows where that is not what it makes of all others. */
export interface Fit {
  stage: FittedStage;
  /** Column → values of the training rows: out-of-fold encodings. */
  training?: Map<string, Float32Array>;
}

/** @param names the columns that the transform takes, resolved and of the right kind */
export async function fitStage(spec: TransformSpec, names: readonly string[], table: WorkingTable): Promise<Fit> {
  const each = async <Item>(fitOne: (column: string) => Item): Promise<Item[]> => {
    const items: Item[] = [];
    for (const name of names) {
      // Sorting a million values takes a tenth of a second: heartbeats go out in between.
      await turn();
      items.push(fitOne(name));
    }
    return items;
  };
  switch (spec.kind) {
    case 'impute':
      return { stage: { op: 'impute', items: await each((column) => fitImpute(spec, column, table)) } };
    case 'scale':
      return { stage: { op: 'affine', items: await each((column) => fitScale(spec, column, table)) } };
    case 'log':
      return {
        stage: {
          op: 'log',
          items: await each((column) => ({ column, to: resultName(spec, column), signed: spec.signed ?? false })),
        },
      };
    case 'polynomial':
      return { stage: { op: 'product', items: products(spec, names) } };
    case 'bin':
      return { stage: { op: 'bin', items: await each((column) => fitBin(spec, column, table)) } };
    case 'cap':
      return { stage: { op: 'clip', items: await each((column) => fitCap(spec, column, table)) } };
    case 'oneHot':
      return { stage: fitOneHot(spec, names, table) };
    case 'ordinal':
    case 'frequency':
      return { stage: { op: 'encode', items: await each((column) => fitCodes(spec, column, table)) } };
    case 'targetEncode':
      return fitTarget(spec, names, table);
  }
}

function numbersOf(table: WorkingTable, column: string): Float64Array {
  return sortedNumbers(columnOf(table, column).values as Float32Array, table.trainRows);
}

function fitImpute(spec: TransformOf<'impute'>, column: string, table: WorkingTable) {
  const indicator = spec.indicator ? { indicator: `${column}_missing` } : {};
  return { column, to: resultName(spec, column), fill: fillOf(spec, column, table), ...indicator };
}

/** A column without any value in training is filled with 0, or with the text "missing". */
function fillOf(spec: TransformOf<'impute'>, column: string, table: WorkingTable): number | string {
  const { kind, values } = columnOf(table, column);
  if (spec.with === 'constant') return kind === 'number' ? Math.fround(Number(spec.value)) : String(spec.value);
  if (spec.with === 'mostFrequent') {
    const { levels } = countLevels(values, Array(table.trainRows).keys(), table.label);
    return levels[0]?.level ?? (kind === 'number' ? 0 : 'missing');
  }
  const sorted = numbersOf(table, column);
  return Math.fround(spec.with === 'mean' ? moments(sorted).mean : quantile(sorted, 0.5));
}

/** A column that is constant in training is only shifted. */
function fitScale(spec: TransformOf<'scale'>, column: string, table: WorkingTable) {
  const sorted = numbersOf(table, column);
  const to = resultName(spec, column);
  if (spec.by === 'standard') {
    const { mean, deviation } = moments(sorted);
    return { column, to, shift: mean, scale: deviation || 1 };
  }
  if (spec.by === 'minMax') {
    const low = sorted[0] ?? 0;
    return { column, to, shift: low, scale: (sorted.at(-1) ?? 0) - low || 1 };
  }
  const spread = quantile(sorted, 0.75) - quantile(sorted, 0.25);
  return { column, to, shift: quantile(sorted, 0.5), scale: spread || 1 };
}

function fitBin(spec: TransformOf<'bin'>, column: string, table: WorkingTable) {
  return { column, to: resultName(spec, column), edges: edgesOf(spec, column, table) };
}

/** Edges that a value may stand on belong to the bin above; bins that would be empty are none. */
function edgesOf({ by, bins = 2, edges }: TransformOf<'bin'>, column: string, table: WorkingTable): number[] {
  if (by === 'edges') return edges ?? [];
  const sorted = numbersOf(table, column);
  const inner = Array.from({ length: bins - 1 }, (_, i) => (i + 1) / bins);
  const low = sorted[0] ?? 0;
  const found = inner.map((q) => (by === 'quantile' ? quantile(sorted, q) : low + ((sorted.at(-1) ?? 0) - low) * q));
  return [...new Set(found)].filter((edge) => edge > low).sort(inOrder);
}

function fitCap(spec: TransformOf<'cap'>, column: string, table: WorkingTable) {
  const sorted = numbersOf(table, column);
  const to = resultName(spec, column);
  // Without a value in training nothing is known to be an outlier.
  if (sorted.length === 0) return { column, to, low: -MOST, high: MOST };
  if (spec.by === 'quantile') {
    return {
      column,
      to,
      low: float32(quantile(sorted, spec.low ?? 0)),
      high: float32(quantile(sorted, spec.high ?? 1)),
    };
  }
  const [q1, q3] = [quantile(sorted, 0.25), quantile(sorted, 0.75)];
  const reach = (spec.factor ?? 1.5) * (q3 - q1);
  return { column, to, low: float32(q1 - reach), high: float32(q3 + reach) };
}

/** Largest float32. */
const MOST = 3.4028234663852886e38;
const float32 = (value: number): number => Math.fround(Math.max(-MOST, Math.min(MOST, value)));
