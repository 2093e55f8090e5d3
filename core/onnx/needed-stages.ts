/** Which part of fitted transforms some columns need: what was selected away must not be asked for, nor computed. */
import type { FeatureInfo } from '../spec/artifacts.ts';
import type { FittedStage, FittedTransforms } from '../spec/transforms.ts';

/** The stages, with the items that `wanted` needs, and the raw features that those read, in the declared order. */
export function neededStages(
  { inputs, stages }: FittedTransforms,
  wanted: readonly { name: string }[],
): { inputs: FeatureInfo[]; stages: FittedStage[] } {
  const needed = new Set(wanted.map(({ name }) => name));
  const kept: FittedStage[] = [];
  for (const stage of stages.toReversed()) {
    const items = (stage.items as Item[]).filter((item) => made(item).some((name) => needed.has(name)));
    // First all results: another item of the stage may read a column of that name as it was before.
    for (const item of items) for (const name of made(item)) needed.delete(name);
    for (const item of items) for (const name of read(item)) needed.add(name);
    if (items.length > 0) kept.unshift({ ...stage, items } as FittedStage);
  }
  return { inputs: inputs.filter(({ name }) => needed.has(name)), stages: kept };
}

type Item = FittedStage['items'][number];

/** Columns that an item makes. */
export function made(item: Item): string[] {
  const to = typeof item.to === 'string' ? [item.to] : item.to;
  return 'indicator' in item && item.indicator !== undefined ? [...to, item.indicator] : to;
}

/** Columns that an item reads. */
export function read(item: Item): string[] {
  return 'left' in item ? [item.left, item.right] : [item.column];
}
