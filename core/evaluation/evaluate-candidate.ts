/**
 * Evaluation of a candidate by itself: its ONNX graph (what will serve, not what trained) on the validation and test periods.
 * The champion is not looked at here, so that the result stays valid when the champion changes (compare-champion.ts).
 */
import { type FeatureTable, readTrainingSet } from '../features/read-table.ts';
import { openOnnxModel } from '../onnx/session.ts';
import type { FittedModel, TrainedModel, TrainingSet } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { Evaluation } from '../spec/evaluation.ts';
import { defineStep, type StepContext } from '../store/step.ts';
import { type Curves, modelCurves, scoreHistogram } from './curves.ts';
import { metricsOf } from './metrics.ts';
import { finite, SCORING_THREADS } from './model-scores.ts';
import { largestDifference, type OnlineSample, onlineParity } from './parity.ts';
import { buildProfile } from './profile.ts';
import { rowRange } from './rows.ts';
import { sliceMetrics, weeklyMetrics } from './slices.ts';

export interface EvaluateInput {
  trainingSet: TrainingSet;
  model: TrainedModel;
  baseline: FittedModel;
  /** Columns to look at value by value: features or slice columns of the training set. */
  slices: string[];
  online: OnlineSample;
}

/** Scores of the rows of validate, then test; `validate` of them are of the first. */
interface HeldOut {
  table: FeatureTable;
  validate: number;
  onnx: Float32Array;
  native: Float64Array;
  baseline: Float64Array;
}

/** Metrics, slices, parity, curves and the reference profile of a candidate. */
export const evaluateCandidate = defineStep<EvaluateInput, Evaluation>({
  name: 'evaluate-candidate',
  version: 2,
  natives: ['onnxruntime'],
  source: import.meta.url,
  async run(input, context) {
    const { trainingSet, model } = input;
    const { blobs, signal } = context;
    const all = await readTrainingSet(await blobs.path(trainingSet.data), trainingSet);
    signal.throwIfAborted();
    const { held, online } = await scoreHeldOut(input, all, context);
    const parts = bySplit(held);
    const fitted = rowRange(all, 0, trainingSet.rows.train + trainingSet.rows.validate);
    const profile = await buildProfile(model.features, fitted, held.onnx, profilePeriods(trainingSet));
    return {
      metrics: {
        validate: metricsOf(parts.validate.onnx, parts.validate.label),
        test: metricsOf(parts.test.onnx, parts.test.label),
      },
      baseline: {
        validate: metricsOf(parts.validate.baseline, parts.validate.label),
        test: metricsOf(parts.test.baseline, parts.test.label),
      },
      slices: sliceMetrics(parts.test.table, parts.test.onnx, input.slices),
      parity: {
        native: largestDifference(held.onnx, held.native),
        online,
        rowsNative: held.onnx.length,
        rowsOnline: input.online.rows,
      },
      curves: await blobs.putJson(curvesOf(held, parts.test, model)),
      profile: await blobs.putJson(profile),
    };
  },
});

async function scoreHeldOut(
  { trainingSet, model, baseline, online: sample }: EvaluateInput,
  all: FeatureTable,
  context: StepContext,
): Promise<{ held: HeldOut; online: number }> {
  const { blobs, signal } = context;
  const { train, validate, test } = trainingSet.rows;
  // The file is ordered by prediction time, and so are the periods: the held-out rows are its end.
  const table = rowRange(all, train, all.rows);
  if (all.rows !== train + validate + test || !inOrder(table, validate)) {
    throw new RefitError(
      'REFIT_INTERNAL',
      `The training set does not hold ${train} + ${validate} + ${test} rows in order of time.`,
    );
  }
  const threads = { intraOpNumThreads: SCORING_THREADS };
  const session = await openOnnxModel(await blobs.path(model.onnx), model.features, threads);
  try {
    const onnx = finite(await session.predict(table, { signal }));
    const online = await onlineParity(session, model.features, sample, context);
    const native = await readPredictions(blobs.bytes(model.predictions), table.rows);
    const base = await readPredictions(blobs.bytes(baseline.predictions), table.rows);
    return { held: { table, validate, onnx, native, baseline: base }, online };
  } finally {
    await session.close();
  }
}

/** Whether the first `validate` rows are of that split (1) and the others of test (2). */
function inOrder({ split }: FeatureTable, validate: number): boolean {
  return split.every((value, row) => value === (row < validate ? 1 : 2));
}

/** Little-endian float64, one a row. @throws RefitError REFIT_INTERNAL for another number of rows */
async function readPredictions(bytes: Promise<Uint8Array>, rows: number): Promise<Float64Array> {
  const read = await bytes;
  if (read.byteLength !== rows * 8) {
    throw new RefitError('REFIT_INTERNAL', `The model has ${read.byteLength / 8} predictions for ${rows} rows.`);
  }
  const view = new DataView(read.buffer, read.byteOffset, read.byteLength);
  return finite(Float64Array.from({ length: rows }, (_, row) => view.getFloat64(row * 8, true)));
}

interface Part {
  table: FeatureTable;
  label: Uint8Array;
  onnx: Float32Array;
  baseline: Float64Array;
}

function bySplit({ table, validate, onnx, baseline }: HeldOut): { validate: Part; test: Part } {
  const part = (from: number, to: number): Part => {
    const rows = rowRange(table, from, to);
    return { table: rows, label: rows.label, onnx: onnx.subarray(from, to), baseline: baseline.subarray(from, to) };
  };
  return { validate: part(0, validate), test: part(validate, table.rows) };
}

function curvesOf(held: HeldOut, test: Part, model: TrainedModel): Curves {
  return {
    candidate: modelCurves(test.onnx, test.label),
    baseline: modelCurves(test.baseline, test.label),
    histogram: scoreHistogram(test.onnx, test.label),
    weeks: weeklyMetrics(held.table.predictAtMs, held.onnx, held.table.label),
    importance: model.importance,
  };
}

function profilePeriods({ periods: { train, validate, test } }: TrainingSet) {
  return { features: { from: train.from, to: validate.to }, score: { from: validate.from, to: test.to } };
}
