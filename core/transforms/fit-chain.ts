/** Fits a list of transforms one after the other, each on what the ones before it have made of the training rows. */
import { setImmediate as turn } from 'node:timers/promises';
import { applyStage } from '../onnx/apply-stage.ts';
import { made, read } from '../onnx/needed-stages.ts';
import { RefitError } from '../spec/errors.ts';
import { chooseColumns, columnsAfter } from '../spec/plan-transforms.ts';
import type { FittedStage, TransformSpec } from '../spec/transforms.ts';
import type { ColumnValues } from '../training/column-file.ts';
import { type Fit, fitStage } from './fit-stage.ts';
import { columnOf, plannedColumns, type WorkingColumn, type WorkingTable } from './working-table.ts';

/** More columns than this are a mistake (a name one-hot encoded), and would fill the memory. */
const MOST_COLUMNS = 5_000;

/**
 * The fitted stages; `table` ends up with the columns that they make, the training rows as a trainer should see them.
 * @throws RefitError REFIT_PIPELINE_INVALID naming the transform that cannot have its columns; the signal's reason
 */
export async function fitChain(
  specs: readonly TransformSpec[],
  table: WorkingTable,
  options: { signal?: AbortSignal; onStage?: (stage: number) => void } = {},
): Promise<FittedStage[]> {
  const stages: FittedStage[] = [];
  for (const [index, spec] of specs.entries()) {
    options.signal?.throwIfAborted();
    options.onStage?.(index);
    await turn();
    const planned = plannedColumns(table);
    const chosen = chooseColumns(spec, planned);
    const after = typeof chosen === 'string' ? chosen : columnsAfter(spec, chosen, planned);
    if (typeof chosen === 'string' || typeof after === 'string') throw invalid(index, String(after));
    const fit = await fitStage(
      spec,
      chosen.map(({ name }) => name),
      table,
    );
    const names = fit.stage.items.flatMap(made);
    if (table.columns.length + names.length > MOST_COLUMNS)
      throw invalid(index, `${spec.kind} would make ${names.length} columns; ${MOST_COLUMNS} are the most`);
    const results = await applyStage(fit.stage, table.rows, (name) => columnOf(table, name), options);
    place(table, spec, fit, results);
    stages.push(fit.stage);
  }
  return stages;
}

function invalid(index: number, complaint: string): RefitError {
  const place = `transforms.${index}`;
  return new RefitError('REFIT_PIPELINE_INVALID', `${place}: ${complaint}.`, { place });
}

/** Puts the results into the table: in the place of the column they replace, or at the end. */
function place(table: WorkingTable, spec: TransformSpec, fit: Fit, results: Map<string, ColumnValues>): void {
  const before = [...table.columns];
  for (const item of fit.stage.items as FittedStage['items'][number][]) {
    const view = before.find(({ name }) => name === read(item)[0])?.view ?? '';
    const flags = fit.stage.op === 'oneHot' ? made(item) : 'indicator' in item ? [item.indicator] : [];
    for (const name of made(item)) {
      const values = withTraining(results.get(name) ?? [], fit.training?.get(name));
      const kind = values instanceof Float32Array ? 'number' : 'category';
      const flag = flags.includes(name) ? { flag: true as const } : {};
      const column: WorkingColumn = { name, kind, view, made: true, ...flag, values };
      const at = table.columns.findIndex((one) => one.name === name);
      if (at < 0) table.columns.push(column);
      else table.columns[at] = column;
    }
  }
  // Also a column without any frequent value, of which nothing is made.
  if (spec.kind !== 'oneHot' || spec.keep) return;
  const gone = new Set(spec.columns.includes('*') ? categories(before) : spec.columns);
  table.columns = table.columns.filter(({ name }) => !gone.has(name));
}

const categories = (columns: readonly WorkingColumn[]): string[] =>
  columns.filter(({ kind, flag }) => kind === 'category' && !flag).map(({ name }) => name);

function withTraining(values: ColumnValues, training: Float32Array | undefined): ColumnValues {
  if (training && values instanceof Float32Array) values.set(training);
  return values;
}
