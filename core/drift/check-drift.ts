/**
 * Drift: the newest window of the training set against the reference profile of the model that serves. That model may be older
 * than the training set, so features it needs may be gone; they are named and not guessed.
 */
import { finiteSorted } from '../evaluation/binning.ts';
import { lackingFeatures, scoresOf } from '../evaluation/model-scores.ts';
import type { CategoryReference, NumberReference, ReferenceProfile } from '../evaluation/profile.ts';
import { binShares, categoryShares } from '../evaluation/profile.ts';
import { rowsBetween } from '../evaluation/rows.ts';
import { type FeatureTable, readTrainingSet } from '../features/read-table.ts';
import type { BlobRef, FeatureInfo, Period, TrainingSet } from '../spec/artifacts.ts';
import type { DriftReport, FeatureDrift } from '../spec/evaluation.ts';
import { shift } from '../spec/time.ts';
import { defineStep, type StepContext } from '../store/step.ts';
import { ksFromSketch, psi } from './statistics.ts';

export interface DriftInput {
  /** JSON blob of a ReferenceProfile. */
  profile: BlobRef;
  trainingSet: TrainingSet;
  model: { name: string; version: number; onnx: BlobRef; features: FeatureInfo[] };
  /** Duration before asOf, e.g. '30d'. */
  window: string;
  asOf: string;
  /** A feature drifted when its PSI is above this. */
  psi: number;
}

/** Drift of every feature and of the score; also written under `reports/<model>/drift/`. */
export const checkDrift = defineStep<DriftInput, DriftReport>({
  name: 'check-drift',
  version: 2,
  natives: ['onnxruntime'],
  source: import.meta.url,
  async run(input, context) {
    const profile = await context.blobs.json<ReferenceProfile>(input.profile);
    const lacking = new Set(lackingFeatures(input.model.features, input.trainingSet.features));
    const wanted = input.model.features.filter(({ name }) => !lacking.has(name));
    const window = windowBefore(input.asOf, input.window);
    const table = await readWindow(input.trainingSet, wanted, window, context);
    const scores = lacking.size === 0 && table.rows > 0 ? await scoresOf(input.model, table, context) : null;
    const report = driftReport(profile, table, scores, { ...input, lacking: [...lacking], period: window });
    await publish(report, input.asOf, context);
    return report;
  },
});

interface Subject {
  model: { name: string; version: number };
  lacking: string[];
  period: Period;
  psi: number;
}

/** The report from figures that are already there. `scores`: one a row of `table`, or null where the model cannot be asked. */
export function driftReport(
  profile: ReferenceProfile,
  table: FeatureTable,
  scores: Float32Array | null,
  { model, lacking, period, psi: limit }: Subject,
): DriftReport {
  const comparable = profile.features.filter(({ name }) => table.rows > 0 && !lacking.includes(name));
  const features = comparable
    .map((reference) =>
      reference.kind === 'number'
        ? numberDrift(reference, table.numbers[reference.name] ?? [], limit)
        : categoryDrift(reference, table.categories[reference.name] ?? [], limit),
    )
    .sort((a, b) => b.psi - a.psi || (a.feature < b.feature ? -1 : 1));
  const drifted = features.filter((feature) => feature.drifted).map(({ feature }) => feature);
  return {
    model: model.name,
    version: model.version,
    window: period,
    rows: table.rows,
    features,
    prediction: scores === null ? null : numberDrift(profile.score, scores, limit),
    drifted,
    share: features.length === 0 ? 0 : drifted.length / features.length,
    notComparable: profile.features.filter((feature) => !comparable.includes(feature)).map(({ name }) => name),
  };
}

/** PSI over the reference's bins and one of missing values; KS over the values that are there. */
export function numberDrift(reference: NumberReference, values: ArrayLike<number>, limit: number): FeatureDrift {
  const sorted = finiteSorted(values);
  const missing = 1 - sorted.length / values.length;
  const value = psi([...reference.shares, reference.missing], [...binShares(reference.edges, values), missing]);
  return { feature: reference.name, psi: value, ks: ksFromSketch(reference.sketch, sorted), drifted: value > limit };
}

/** PSI over the reference's most frequent values, all others, and missing. */
export function categoryDrift(
  reference: CategoryReference,
  values: readonly (string | null)[],
  limit: number,
): FeatureDrift {
  const expected = [...reference.values.map(({ share }) => share), reference.other, reference.missing];
  const named = reference.values.map(({ value }) => value);
  const value = psi(expected, categoryShares(named, values));
  return { feature: reference.name, psi: value, ks: null, drifted: value > limit };
}

function windowBefore(asOf: string, duration: string): Period {
  return { from: `${shift(new Date(asOf), duration, -1).toISOString().slice(0, 19)}Z`, to: asOf };
}

async function readWindow(
  set: TrainingSet,
  features: FeatureInfo[],
  { from, to }: Period,
  { blobs, signal }: StepContext,
) {
  const table = await readTrainingSet(await blobs.path(set.data), set, { columns: features.map(({ name }) => name) });
  signal.throwIfAborted();
  return rowsBetween(table, Date.parse(from), Date.parse(to));
}

/** Create-only, under a name that carries the content: another declaration for the same date gets a file of its own. */
async function publish(report: DriftReport, asOf: string, { blobs }: StepContext): Promise<void> {
  const { sha256 } = await blobs.putJson(report);
  const key = `reports/${report.model}/drift/${asOf}-${report.version}-${sha256.slice(0, 12)}.json`;
  await blobs.objects.put(key, new TextEncoder().encode(JSON.stringify(report, null, 2)), { create: true });
}
