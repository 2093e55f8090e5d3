/** A hundred days of rows with a label that a small logistic model explains, as a training set in a store. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { withDuckDb } from '../../core/dataset/duckdb.ts';
import type { EvaluateInput } from '../../core/evaluation/evaluate-candidate.ts';
import { exportLogistic } from '../../core/onnx/export-logistic.ts';
import type { BlobRef, FeatureInfo, TrainedModel, TrainingSet } from '../../core/spec/artifacts.ts';
import { createBlobStore } from '../../core/store/blobs.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';
import type { StepContext } from '../../core/store/step.ts';

const DAY = 864e5;
const START = Date.parse('2013-01-01T00:00:00Z');
export const features: FeatureInfo[] = [
  { name: 'delay', kind: 'number', view: 'flights' },
  { name: 'carrier', kind: 'category', view: 'flights' },
];
const sigmoid = (z: number) => 1 / (1 + Math.exp(-z));

/** One row an hour for 100 days; a fixed sequence instead of chance. */
export const rows = Array.from({ length: 2400 }, (_, i) => {
  const delay = ((i * 37) % 101) / 10 - 5;
  const carrier = i % 11 === 0 ? null : i % 3 === 0 ? 'AA' : 'UA';
  const day = Math.floor(i / 24);
  const p = scoreOf(delay, carrier);
  const label = ((i * 7919) % 997) / 997 < p;
  return { at: START + i * 36e5, day, delay: i % 50 === 7 ? null : delay, carrier, label };
});
const splitOf = (day: number) => (day < 60 ? 'train' : day < 80 ? 'validate' : 'test');

export function scoreOf(delay: number | null, carrier: string | null): number {
  return sigmoid(-1 + 0.5 * (delay ?? 0) + (carrier === 'AA' ? 0.4 : carrier === 'UA' ? -0.2 : 0));
}

export type EvaluationBench = Awaited<ReturnType<typeof createEvaluationBench>>;

export async function createEvaluationBench() {
  const folder = await mkdtemp(path.join(tmpdir(), 'refit-evaluation-'));
  const blobs = createBlobStore(createFolderStore(path.join(folder, 'store')));
  const signal = new AbortController().signal;
  const context: StepContext = { blobs, scratch: folder, signal, progress: () => undefined, key: 'test' };
  const set = await trainingSet();
  const model = await logistic(0.5);
  const sample = await parquet('SELECT delay, carrier FROM t LIMIT 50', 'sample');
  const baseline = { ...model, predictions: await predictions(() => 0.3) };
  const input: EvaluateInput = {
    trainingSet: set,
    model,
    baseline,
    slices: ['carrier', 'airport'],
    online: { offline: sample, online: sample, rows: 50 },
  };
  const remove = () => rm(folder, { recursive: true, force: true });
  return { context, set, model, input, parquet, predictions, logistic, remove };

  async function parquet(select: string, name: string): Promise<BlobRef> {
    const file = path.join(folder, `${name}.parquet`);
    const text = (value: string | null) => (value === null ? 'NULL' : `'${value}'`);
    const values = rows.map(
      ({ at, day, delay, carrier, label }, i) =>
        `(make_timestamp(${at}000), '${splitOf(day)}', ${label}, ${delay ?? 'NULL'}::FLOAT, ${text(carrier)}, ${text(i % 2 ? 'JFK' : 'LGA')})`,
    );
    await withDuckDb({ scratch: folder }, async (db) => {
      await db.run(
        `CREATE TABLE t AS SELECT * FROM (VALUES ${values.join(',')}) AS v(predict_at, __split, __label, delay, carrier, __slice_airport)`,
      );
      await db.run(`COPY (${select}) TO '${file}' (FORMAT parquet)`);
    });
    return context.blobs.putFile(file);
  }

  async function trainingSet(): Promise<TrainingSet> {
    const at = (day: number) => `${new Date(START + day * DAY).toISOString().slice(0, 19)}Z`;
    return {
      data: await parquet('SELECT * FROM t', 'set'),
      digest: 'd'.repeat(64),
      rows: { train: 1440, validate: 480, test: 480 },
      positives: { train: 1, validate: 1, test: 1 },
      excluded: { unlabelled: 0, labelLate: 0 },
      periods: {
        train: { from: at(0), to: at(60) },
        validate: { from: at(60), to: at(80) },
        test: { from: at(80), to: at(100) },
      },
      features,
      slices: ['airport'],
    };
  }

  /** float64 of `score` for the rows of validate and test. */
  function predictions(score: (row: (typeof rows)[number]) => number): Promise<BlobRef> {
    const held = rows.filter(({ day }) => day >= 60).map(score);
    const view = new DataView(new ArrayBuffer(held.length * 8));
    for (const [i, value] of held.entries()) view.setFloat64(i * 8, value, true);
    return context.blobs.putBytes(new Uint8Array(view.buffer));
  }

  async function logistic(weight: number, delayName = 'delay'): Promise<TrainedModel> {
    const own = features.map((feature) => (feature.name === 'delay' ? { ...feature, name: delayName } : feature));
    const onnx = exportLogistic({
      format: 'logistic',
      intercept: -1,
      numbers: [{ feature: delayName, mean: 0, scale: 1, impute: 0, weight, missingWeight: 0 }],
      categories: [{ feature: 'carrier', levels: ['AA', 'UA'], weights: [0.4, -0.2], otherWeight: 0 }],
      features: own,
    });
    return {
      trainer: 'logistic',
      native: await context.blobs.putJson({}),
      predictions: await predictions(({ delay, carrier }) => scoreOf(delay, carrier)),
      features: own,
      rounds: 1,
      roundsTrained: 1,
      params: {},
      importance: [{ feature: 'delay', share: 1 }],
      seenUntil: set.periods.test.from,
      onnx: await context.blobs.putBytes(onnx),
    };
  }
}
