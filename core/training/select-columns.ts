/** Selection of columns, in the training process: correlations first, then one training after the other on what is left. */
import type { FeatureTable } from '../features/read-table.ts';
import type { SelectionReport, SelectSpec } from '../spec/transforms.ts';
import { dropCorrelated } from './correlation.ts';
import { type Judged, selectByImportance } from './eliminate.ts';
import { rowsOf } from './matrix.ts';
import type { ModelSlice, Trainer, TrainerSurroundings } from './trainer.ts';

/** What is found; which raw features that leaves is for others to say. */
export type SelectedColumns = Pick<SelectionReport, 'kept' | 'dropped' | 'rounds'>;

export interface SelectionInput {
  /** Rows of train and validate. */
  table: FeatureTable;
  select: SelectSpec;
  /** Fits what judges columns. */
  model: ModelSlice;
  threads: number;
}

/** Correlations are taken over so many training rows at most, evenly spread. */
const ROWS_OF_CORRELATION = 50_000;

/**
 * Each training is a checkpoint: a selection that goes on from one does not train again what was trained.
 * @throws RefitError as the trainer
 */
export async function selectColumns(
  trainer: Trainer,
  { table, select, model, threads }: SelectionInput,
  surroundings: TrainerSurroundings,
): Promise<SelectedColumns> {
  const done: Judged[] = surroundings.resume ? JSON.parse(new TextDecoder().decode(surroundings.resume)) : [];
  const correlated = await correlatedColumns(table, select);
  const twins = new Set(correlated.map(({ column }) => column));
  const left = table.features.map(({ name }) => name).filter((name) => !twins.has(name));
  let next = 0;
  const found = await selectByImportance(left, select, async (columns) => {
    const index = next++;
    const before = done[index];
    if (before) return before;
    const features = table.features.filter(({ name }) => columns.includes(name));
    const categories = Object.fromEntries(Object.entries(table.categories).filter(([name]) => columns.includes(name)));
    const input = { table: { ...table, features, categories }, model, rowShare: 1, threads };
    const { logLoss, importance } = await trainer.fit(input, {
      progress: surroundings.progress,
      checkpoint: async () => undefined,
    });
    done.push({ logLoss, importance });
    await surroundings.checkpoint(index, new TextEncoder().encode(JSON.stringify(done)));
    return { logLoss, importance };
  });
  return { ...found, dropped: [...correlated, ...found.dropped] };
}

async function correlatedColumns(
  table: FeatureTable,
  { correlation: limit, always }: SelectSpec,
): Promise<SelectionReport['dropped']> {
  if (limit === undefined) return [];
  const train = rowsOf(table, 'train');
  const every = Math.max(1, Math.ceil(train.length / ROWS_OF_CORRELATION));
  const rows = train.filter((_, i) => i % every === 0);
  const numbers = table.features
    .filter(({ kind }) => kind === 'number')
    .map(({ name }) => ({ name, values: Float32Array.from(rows, (row) => table.numbers[name]?.[row] ?? Number.NaN) }));
  const label = Float32Array.from(rows, (row) => table.label[row] ?? 0);
  return dropCorrelated(numbers, label, { limit, always });
}
