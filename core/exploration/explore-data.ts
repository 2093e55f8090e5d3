/** Everything there is to see in a pipeline's data as of a date, as figures: exact counts in SQL, shapes on a sample. */

import type { DuckDb } from '../dataset/duckdb.ts';
import { identifier } from '../dataset/duckdb.ts';
import { type FeatureContext, withSources } from '../features/open-sources.ts';
import type { FeatureTable } from '../features/read-table.ts';
import { readColumns } from '../features/read-table.ts';
import type { SourceTables } from '../features/source-table.ts';
import type { BlobRef, FeatureInfo, Snapshot } from '../spec/artifacts.ts';
import type { Exploration, FeatureFigures } from '../spec/exploration.ts';
import type { FeatureView, SpineSpec } from '../spec/pipeline.ts';
import { defineStep } from '../store/step.ts';
import { categoryAlone, missingAlone, numberAlone } from './alone.ts';
import { correlate } from './correlations.ts';
import { columnOf, type ExploredTable, exploredTable, TABLE } from './explored-table.ts';
import { featureFigures, labelOverTime } from './feature-figures.ts';
import { lateFeatures, sourceFigures, usedColumns } from './source-figures.ts';
import { type Measured, suspectsOf } from './suspects.ts';

export interface ExploreDataInput {
  spine: SpineSpec;
  views: FeatureView[];
  /** Canonical asOf. */
  asOf: string;
  snapshots: Record<string, Snapshot>;
  /** A feature that alone reaches this AUC is suspected. */
  limit: number;
}

/** Rows that AUC and correlations are measured on, about. */
const SAMPLE = 40_000;

/** @throws RefitError REFIT_EXPRESSION_INVALID, REFIT_PIPELINE_INVALID */
export const exploreData = defineStep<ExploreDataInput, { figures: BlobRef }>({
  name: 'explore-data',
  version: 2,
  natives: ['duckdb'],
  source: import.meta.url,
  run: async (input, context) => ({
    figures: await context.blobs.putJson(await explore(input, context)),
  }),
});

/** As the step. */
export function explore(input: ExploreDataInput, context: FeatureContext): Promise<Exploration> {
  return withSources(input, context, (db, sources) => look(db, sources, input, context));
}

async function look(
  db: DuckDb,
  sources: SourceTables,
  { spine, views, asOf, snapshots, limit }: ExploreDataInput,
  context: FeatureContext,
): Promise<Exploration> {
  const table = await exploredTable(db, sources, { spine, views, asOf });
  const told = (done: number) => context.progress?.({ features: `${done} of ${table.features.length}` });
  const features = await featureFigures(db, table, told);
  const sample = await sampleOf(db, table);
  context.signal?.throwIfAborted();
  const measured = measureAlone(sample);
  const { correlations, pairs } = await correlate(
    sample.features.flatMap(({ name, kind }) =>
      kind === 'number' ? [{ name, values: sample.numbers[name] ?? [] }] : [],
    ),
    varies(sample.label) ? { name: 'label', values: labelsOf(sample) } : undefined,
  );
  const described = await sourceFigures(db, sources, snapshots, spine);
  const late = await lateFeatures(db, sources, spine, views);
  const { rows, labelled, positives, from, to } = table;
  const facts = { features, measured, late, sources: described, used: usedColumns(views), limit };
  return {
    ...{ rows, labelled, positives, from, to, limit, sample: sample.rows },
    suspects: suspectsOf(facts),
    features: features.map((one) => ({
      ...one,
      auc: measured.get(one.name)?.value?.auc ?? null,
      notes: notesOf(one, rows, pairs),
    })),
    time: await labelOverTime(db, table),
    ...{ correlations, pairs, sources: described },
  };
}

/** About forty thousand rows, the same ones each time. */
async function sampleOf(db: DuckDb, { features, rows }: ExploredTable): Promise<FeatureTable> {
  const share = rows <= SAMPLE ? 1_000_000 : Math.ceil((SAMPLE / rows) * 1_000_000);
  const columns = features.map(({ name }, i) => `${columnOf(i)} AS ${identifier(name)}`);
  const selected = ['label AS __label', ...columns].join(', ');
  // Two features may not share a name, so each finds its own column.
  const infos: FeatureInfo[] = features;
  return readColumns(db, `(SELECT ${selected} FROM ${TABLE} WHERE pick < ${share} ORDER BY pick, asked)`, infos);
}

/** 255 stands for no label. */
const labelsOf = ({ label }: FeatureTable) => Float64Array.from(label, (value) => (value > 1 ? Number.NaN : value));
const varies = (label: Uint8Array) => label.includes(0) && label.includes(1);

/** What each feature, and its being missing, tell alone. */
function measureAlone(sample: FeatureTable): Map<string, Measured> {
  const rows = Uint32Array.from(sample.label.keys()).filter((row) => (sample.label[row] as number) <= 1);
  const labels = Uint8Array.from(rows, (row) => sample.label[row] as number);
  const found = new Map<string, Measured>();
  for (const { name, kind } of sample.features) {
    if (kind === 'number') {
      const column = sample.numbers[name] ?? new Float32Array(0);
      const values = Float32Array.from(rows, (row) => column[row] as number);
      found.set(name, {
        value: numberAlone(values, labels),
        missing: missingAlone((row) => Number.isNaN(values[row]), labels),
      });
    } else {
      const column = sample.categories[name] ?? [];
      const values = Array.from(rows, (row) => column[row] ?? null);
      found.set(name, {
        value: categoryAlone(values, labels),
        missing: missingAlone((row) => values[row] === null, labels),
      });
    }
  }
  return found;
}

/** What is odd about a feature, though no leak. */
function notesOf(
  { name, kind, missing, distinct }: FeatureFigures,
  rows: number,
  pairs: Exploration['pairs'],
): string[] {
  const there = rows - missing;
  if (rows === 0) return [];
  if (there === 0) return ['always missing'];
  const notes: string[] = [];
  if (distinct === 1) notes.push(missing === 0 ? 'constant' : 'one value or missing');
  if (missing / rows > 0.5) notes.push('mostly missing');
  if (kind === 'category' && there >= 50 && distinct > 0.9 * there) notes.push('nearly one value a row');
  for (const { a, b, r } of pairs) {
    if (Math.abs(r) < 0.9995 || (a !== name && b !== name)) continue;
    notes.push(`orders rows as ${a === name ? b : a} does`);
  }
  return notes;
}
