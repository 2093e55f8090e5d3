/**
 * Champion and candidate on the same rows: those of the test period that neither was trained or tuned on. It does not judge
 * (gates.ts), and it does not look at routing: the caller says who the champion is, and the result is keyed by its digest.
 */
import { readTrainingSet } from '../features/read-table.ts';
import type { BlobRef, FeatureInfo, Period, TrainingSet } from '../spec/artifacts.ts';
import type { Comparison } from '../spec/evaluation.ts';
import { defineStep, type StepContext } from '../store/step.ts';
import type { ComparisonCurves } from './curves.ts';
import { metricsOf, rocCurve } from './metrics.ts';
import { lackingFeatures, scoresOf } from './model-scores.ts';
import { rowsBetween } from './rows.ts';

/** A model that can be asked; `seenUntil`: nothing it was trained or tuned on became known later (ISO UTC). */
export interface Contender {
  onnx: BlobRef;
  features: FeatureInfo[];
  seenUntil: string;
}

export interface CompareInput {
  trainingSet: TrainingSet;
  candidate: Contender;
  champion: Contender & { version: number; sha256: string; asOf: string };
}

/** Both models' metrics on unseen rows; where there are none, or the champion cannot be asked, nulls and the reason. */
export const compareWithChampion = defineStep<CompareInput, Comparison>({
  name: 'compare-champion',
  version: 2,
  natives: ['onnxruntime'],
  source: import.meta.url,
  async run({ trainingSet, candidate, champion }, context) {
    const { version, sha256, asOf } = champion;
    const period = unseenPeriod(trainingSet.periods.test, candidate.seenUntil, champion.seenUntil);
    const none = (reason: string): Comparison => ({
      champion: { version, sha256, asOf },
      period,
      rows: 0,
      candidate: null,
      championMetrics: null,
      reason,
    });
    const lacking = lackingFeatures(champion.features, trainingSet.features);
    if (lacking.length > 0) {
      return none(`champion version ${version} needs ${lacking.join(', ')}, which the training set does not have`);
    }
    if (period === null) return none(`champion version ${version} has seen all of the test period`);
    const table = await readRows(trainingSet, [...candidate.features, ...champion.features], period, context);
    if (table.rows === 0) return none(`the test period has no rows after ${period.from}`);
    const ours = await scoresOf(candidate, table, context);
    const theirs = await scoresOf(champion, table, context);
    const curves: ComparisonCurves = {
      candidate: rocCurve(ours, table.label),
      champion: rocCurve(theirs, table.label),
    };
    return {
      champion: { version, sha256, asOf },
      period,
      rows: table.rows,
      candidate: metricsOf(ours, table.label),
      championMetrics: metricsOf(theirs, table.label),
      curves: await context.blobs.putJson(curves),
    };
  },
});

/** The part of the test period after everything either model saw; null when nothing is left. */
function unseenPeriod(test: Period, ...seenUntil: string[]): Period | null {
  const from = Math.max(Date.parse(test.from), ...seenUntil.map((time) => Date.parse(time)));
  if (from >= Date.parse(test.to)) return null;
  return { from: `${new Date(from).toISOString().slice(0, 19)}Z`, to: test.to };
}

async function readRows(set: TrainingSet, features: FeatureInfo[], { from, to }: Period, { blobs }: StepContext) {
  const columns = [...new Set(features.map(({ name }) => name))];
  const table = await readTrainingSet(await blobs.path(set.data), set, { splits: ['test'], columns });
  return rowsBetween(table, Date.parse(from), Date.parse(to));
}
