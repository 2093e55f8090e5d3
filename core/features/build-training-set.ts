import path from 'node:path';
import { type DuckDb, identifier, literal } from '../dataset/duckdb.ts';
import { logicalDigest } from '../dataset/logical-digest.ts';
import { isoSql, timestampLiteral } from '../dataset/time-sql.ts';
import {
  type FeatureInfo,
  type Period,
  type Snapshot,
  SPLITS,
  type Split,
  type TrainingSet,
} from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { FeatureView, SpineSpec, SplitSpec } from '../spec/pipeline.ts';
import { defineStep } from '../store/step.ts';
import { joinViews } from './compile.ts';
import { checkNames, identifiers } from './feature-columns.ts';
import { type FeatureContext, withSources } from './open-sources.ts';
import { type SourceTables, sourceOf } from './source-table.ts';
import { ownSpine } from './spine.ts';
import { type Available, splitPeriods, windowEmpty } from './split-periods.ts';

export interface TrainingSetInput {
  spine: SpineSpec;
  views: FeatureView[];
  split: SplitSpec;
  /** Canonical asOf. */
  asOf: string;
  /** By source name. */
  snapshots: Record<string, Snapshot>;
  /** Columns of the spine's source to keep beside the features. */
  slices: string[];
}

/**
 * Labels, features as they were known at each prediction time, and the split, in one table.
 * @throws RefitError REFIT_WINDOW_EMPTY, REFIT_LABEL_ONE_CLASS, REFIT_EXPRESSION_INVALID, REFIT_PIPELINE_INVALID
 */
export const buildTrainingSet = defineStep<TrainingSetInput, TrainingSet>({
  name: 'build-training-set',
  version: 3,
  natives: ['duckdb'],
  source: import.meta.url,
  run: writeTrainingSet,
});

/** As the step; what it writes does not depend on the context's threads. */
export function writeTrainingSet(input: TrainingSetInput, context: FeatureContext): Promise<TrainingSet> {
  return withSources(input, context, (db, sources) => write(db, sources, input, context));
}

async function write(
  db: DuckDb,
  sources: SourceTables,
  input: TrainingSetInput,
  context: FeatureContext,
): Promise<TrainingSet> {
  const { spine: spec, views, asOf, slices } = input;
  const source = sourceOf(sources, spec.source, 'spine');
  // A label or a prediction after asOf cannot count: such rows are not even looked at.
  const when = `__predict_at < ${timestampLiteral(asOf)}`;
  // A slice that is no column of the source must be a feature; those are not known yet here.
  const sliced = slices.filter((name) => source.types.has(name));
  const spine = await ownSpine(db, { spec, views, source, table: '__spine', slices: sliced, when });
  const periods = splitPeriods(asOf, input.split, await available(db));
  const excluded = await assignSplits(db, periods, asOf);
  const { relation, features } = await joinViews({ spine: { ...spine, relation: '__chosen' }, views, sources });
  checkNames(features, [...spec.key, 'predict_at']);
  const kept = slices.filter((name) => !features.some((feature) => feature.name === name));
  for (const name of kept) source.column(name, 'slices');
  const columns = [
    ...spec.key,
    'predict_at',
    '__split',
    '__label',
    ...features.map(({ name }) => name),
    ...kept.map((name) => `__slice_${name}`),
  ];
  await joinAll(db, relation, spec.key, features, kept);
  const counts = await countSplits(db, periods);
  const file = path.join(context.scratch, 'training-set.parquet');
  await db.run(`COPY (SELECT ${identifiers(columns)} FROM __training_set ORDER BY __position)
    TO ${literal(file)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 61440)`);
  return {
    data: await context.blobs.putFile(file),
    digest: await logicalDigest(db, '__training_set', ['__position'], columns),
    ...counts,
    excluded,
    periods,
    features,
    slices,
  };
}

async function available(db: DuckDb): Promise<Available> {
  const [row] = await db.rows<{ from: string | null; to: string | null }>(`SELECT
    ${isoSql(`date_trunc('second', min(__predict_at))`)} AS from, ${isoSql(`date_trunc('second', max(__predict_at))`)} AS to FROM __spine`);
  return row?.from && row.to ? { from: row.from, to: row.to } : null;
}

/**
 * `__chosen`: the spine's rows of the three periods whose label was known in time: before the next period begins, so that a
 * model trained or tuned on a period could have been made at its end.
 */
async function assignSplits(
  db: DuckDb,
  periods: Record<Split, Period>,
  asOf: string,
): Promise<TrainingSet['excluded']> {
  const time = timestampLiteral;
  const within = ({ from, to }: Period) => `__predict_at >= ${time(from)} AND __predict_at < ${time(to)}`;
  const cases = SPLITS.map((split) => `WHEN ${within(periods[split])} THEN ${literal(split)}`);
  const deadlines = SPLITS.map(
    (split) => `WHEN ${literal(split)} THEN ${time(split === 'test' ? asOf : periods[split].to)}`,
  );
  await db.run(`CREATE TEMP TABLE __judged AS
    SELECT *, CASE __split ${deadlines.join(' ')} END AS __deadline
    FROM (SELECT *, CASE ${cases.join(' ')} END AS __split FROM __spine) WHERE __split IS NOT NULL`);
  await db.run(
    `CREATE TEMP TABLE __chosen AS SELECT * FROM __judged WHERE __label IS NOT NULL AND __label_known <= __deadline`,
  );
  const [row] = await db.rows<{ unlabelled: number; late: number }>(`SELECT
    count(*) FILTER (WHERE __label IS NULL)::DOUBLE AS unlabelled,
    count(*) FILTER (WHERE __label IS NOT NULL AND __label_known > __deadline)::DOUBLE AS late FROM __judged`);
  return { unlabelled: row?.unlabelled ?? 0, labelLate: row?.late ?? 0 };
}

/** `__training_set`: all columns, with the row's `__position` in the order of prediction time, keys, then values. */
async function joinAll(
  db: DuckDb,
  relation: string,
  key: string[],
  features: FeatureInfo[],
  slices: string[],
): Promise<void> {
  const values = features.map(({ name }) => `f.${identifier(name)}`);
  const sliced = slices.map((name) => `s.${identifier(`__slice_${name}`)}`);
  const keys = key.map((name) => `s.${identifier(name)}`);
  // Rows alike in time and keys are ordered by their values: the order of the files must not show.
  const order = [
    's.__predict_at',
    ...keys.map((sql) => `${sql}::VARCHAR`),
    's.__label',
    `hash(${[...values, ...sliced].join(', ')})`,
  ];
  await db.run(`CREATE TEMP TABLE __training_set AS
    SELECT ${[...keys, 's.__predict_at AS predict_at', 's.__split', 's.__label', ...values, ...sliced].join(', ')},
      row_number() OVER (ORDER BY ${order.join(', ')}) AS __position
    FROM __chosen s JOIN ${relation} f USING (__row)`);
}

/** @throws RefitError REFIT_WINDOW_EMPTY, REFIT_LABEL_ONE_CLASS */
async function countSplits(
  db: DuckDb,
  periods: Record<Split, Period>,
): Promise<Pick<TrainingSet, 'rows' | 'positives'>> {
  const found = await db.rows<{ split: Split; rows: number; positives: number }>(`SELECT __split AS split,
    count(*)::DOUBLE AS rows, count(*) FILTER (WHERE __label)::DOUBLE AS positives FROM __training_set GROUP BY __split`);
  const rows = { train: 0, validate: 0, test: 0 };
  const positives = { ...rows };
  for (const count of found) {
    rows[count.split] = count.rows;
    positives[count.split] = count.positives;
  }
  for (const split of SPLITS) {
    if (rows[split] === 0) throw windowEmpty(split, periods[split], await available(db));
    if (positives[split] > 0 && positives[split] < rows[split]) continue;
    const only = positives[split] > 0;
    throw new RefitError(
      'REFIT_LABEL_ONE_CLASS',
      `All ${rows[split]} rows of the ${split} period (${periods[split].from} to ${periods[split].to}) have the label ${only}.`,
      { split, label: only, rows: rows[split], period: periods[split] },
    );
  }
  return { rows, positives };
}
