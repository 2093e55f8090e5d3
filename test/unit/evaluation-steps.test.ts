import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withDuckDb } from '../../core/dataset/duckdb.ts';
import { checkDrift } from '../../core/drift/check-drift.ts';
import { compareWithChampion } from '../../core/evaluation/compare-champion.ts';
import type { Curves } from '../../core/evaluation/curves.ts';
import { type EvaluateInput, evaluateCandidate } from '../../core/evaluation/evaluate-candidate.ts';
import type { ReferenceProfile } from '../../core/evaluation/profile.ts';
import { exportLogistic } from '../../core/onnx/export-logistic.ts';
import type { BlobRef, FeatureInfo, TrainedModel, TrainingSet } from '../../core/spec/artifacts.ts';
import type { Evaluation } from '../../core/spec/evaluation.ts';
import { createBlobStore } from '../../core/store/blobs.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';
import type { StepContext } from '../../core/store/step.ts';

const DAY = 864e5;
const START = Date.parse('2013-01-01T00:00:00Z');
const features: FeatureInfo[] = [
  { name: 'delay', kind: 'number', view: 'flights' },
  { name: 'carrier', kind: 'category', view: 'flights' },
];
const sigmoid = (z: number) => 1 / (1 + Math.exp(-z));

/** One row an hour for 100 days; a fixed sequence instead of chance. */
const rows = Array.from({ length: 2400 }, (_, i) => {
  const delay = ((i * 37) % 101) / 10 - 5;
  const carrier = i % 11 === 0 ? null : i % 3 === 0 ? 'AA' : 'UA';
  const day = Math.floor(i / 24);
  const p = scoreOf(delay, carrier);
  const label = ((i * 7919) % 997) / 997 < p;
  return { at: START + i * 36e5, day, delay: i % 50 === 7 ? null : delay, carrier, label };
});
const splitOf = (day: number) => (day < 60 ? 'train' : day < 80 ? 'validate' : 'test');

function scoreOf(delay: number | null, carrier: string | null): number {
  return sigmoid(-1 + 0.5 * (delay ?? 0) + (carrier === 'AA' ? 0.4 : carrier === 'UA' ? -0.2 : 0));
}

let folder: string;
let context: StepContext;
let set: TrainingSet;
let model: TrainedModel;
let input: EvaluateInput;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'refit-evaluation-'));
  const blobs = createBlobStore(createFolderStore(path.join(folder, 'store')));
  const signal = new AbortController().signal;
  context = { blobs, scratch: folder, signal, progress: () => undefined, key: 'test' };
  set = await trainingSet();
  model = await logistic(0.5);
  const sample = await parquet('SELECT delay, carrier FROM t LIMIT 50', 'sample');
  const baseline = { ...model, predictions: await predictions(() => 0.3) };
  input = {
    trainingSet: set,
    model,
    baseline,
    slices: ['carrier', 'airport'],
    online: { offline: sample, online: sample, rows: 50 },
  };
});

afterAll(() => rm(folder, { recursive: true, force: true }));

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

describe('evaluation of a candidate', () => {
  let found: Evaluation;
  beforeAll(async () => {
    found = await evaluateCandidate.run(input, context);
  });

  it('scores both held-out periods and beats a constant baseline', () => {
    expect(found.metrics.test.rows).toBe(480);
    expect(found.metrics.validate.rows).toBe(480);
    expect(found.metrics.test.auc).toBeGreaterThan(0.75);
    expect(found.baseline.test.auc).toBe(0.5);
    expect(found.metrics.test.logLoss).toBeLessThan(found.baseline.test.logLoss);
  });

  it('finds ONNX and the native predictions equal to float32, on every held-out row', () => {
    expect(found.parity).toMatchObject({ rowsNative: 960, rowsOnline: 50, online: 0 });
    expect(found.parity.native).toBeLessThan(1e-6);
  });

  it('slices by features and by columns that are no features, missing values too', () => {
    const names = found.slices.map(({ column, value }) => `${column}=${value}`);
    expect(names).toEqual(['carrier=UA', 'carrier=AA', 'carrier=(missing)', 'airport=JFK', 'airport=LGA']);
    const total = found.slices
      .filter(({ column }) => column === 'carrier')
      .reduce((sum, { metrics }) => sum + metrics.rows, 0);
    expect(total).toBe(480);
  });

  it('keeps what plots need, by week and by score', async () => {
    const curves = await context.blobs.json<Curves>(found.curves);
    expect(curves.candidate.roc.length).toBeGreaterThan(20);
    expect(curves.weeks.map(({ week }) => week)).toEqual([
      '2013-02-25',
      '2013-03-04',
      '2013-03-11',
      '2013-03-18',
      '2013-03-25',
      '2013-04-01',
      '2013-04-08',
    ]);
    const counted = [...curves.histogram.positives, ...curves.histogram.negatives].reduce((a, b) => a + b, 0);
    expect(counted).toBe(480);
  });

  it('says so when the native model predicts something else, or the online values differ', async () => {
    const other = { ...model, predictions: await predictions(() => 0.5) };
    const online = await parquet('SELECT delay + 1 AS delay, carrier FROM t LIMIT 50', 'online');
    const skewed = await evaluateCandidate.run(
      { ...input, model: other, online: { ...input.online, online } },
      context,
    );
    expect(skewed.parity.native).toBeGreaterThan(0.1);
    expect(skewed.parity.online).toBeGreaterThan(0.05);
  });

  it('refuses predictions of another training set', async () => {
    const short = { ...model, predictions: await context.blobs.putBytes(new Uint8Array(80)) };
    await expect(evaluateCandidate.run({ ...input, model: short }, context)).rejects.toThrow(
      '10 predictions for 960 rows',
    );
  });

  it('takes features of train and validate, and scores of validate and test, as the reference of drift', async () => {
    const profile = await context.blobs.json<ReferenceProfile>(found.profile);
    expect(profile).toMatchObject({ featureRows: 1920, scoreRows: 960 });
    expect(profile.features.map(({ name }) => name)).toEqual(['delay', 'carrier']);
    expect(profile.features[0]?.missing).toBeCloseTo(0.02, 2);
    expect(profile.scorePeriod.from).toBe(set.periods.validate.from);
  });
});

describe('champion against candidate', () => {
  const champion = (over: object = {}) => ({
    version: 2,
    sha256: 'a'.repeat(64),
    asOf: '2013-03-30T00:00:00Z',
    onnx: model.onnx,
    features,
    seenUntil: set.periods.test.from,
    ...over,
  });
  const candidate = () => ({ onnx: model.onnx, features, seenUntil: set.periods.test.from });

  it('uses only rows later than anything either saw', async () => {
    const seenUntil = '2013-04-05T00:00:00Z';
    const found = await compareWithChampion.run(
      { trainingSet: set, candidate: candidate(), champion: champion({ seenUntil }) },
      context,
    );
    expect(found.period).toEqual({ from: seenUntil, to: set.periods.test.to });
    expect(found.rows).toBe(rows.filter(({ at }) => at >= Date.parse(seenUntil)).length);
  });

  it('finds equal models equal and a better one better', async () => {
    const worse = await logistic(-0.1);
    const same = await compareWithChampion.run(
      { trainingSet: set, candidate: candidate(), champion: champion() },
      context,
    );
    expect(same.candidate).toEqual(same.championMetrics);
    const better = await compareWithChampion.run(
      { trainingSet: set, candidate: candidate(), champion: champion({ onnx: worse.onnx }) },
      context,
    );
    expect(better.candidate?.auc).toBeGreaterThan(better.championMetrics?.auc as number);
    expect(better.rows).toBe(480);
  });

  it('names the features a champion needs that are gone, and the lack of unseen rows', async () => {
    const needs = champion({ features: [...features, { name: 'wind_gust', kind: 'number', view: 'weather' }] });
    const lacking = await compareWithChampion.run(
      { trainingSet: set, candidate: candidate(), champion: needs },
      context,
    );
    expect(lacking).toMatchObject({ rows: 0, candidate: null, championMetrics: null });
    expect(lacking.reason).toContain('wind_gust');
    const late = champion({ seenUntil: '2014-01-01T00:00:00Z' });
    const seen = await compareWithChampion.run({ trainingSet: set, candidate: candidate(), champion: late }, context);
    expect(seen).toMatchObject({ rows: 0, period: null });
    expect(seen.reason).toContain('has seen all of the test period');
  });
});

describe('drift check', () => {
  const subject = (of: TrainedModel) => ({ name: 'delays', version: 3, onnx: of.onnx, features: of.features });
  let profile: BlobRef;
  beforeAll(async () => {
    profile = (await evaluateCandidate.run(input, context)).profile;
  });
  const check = (over: object = {}) =>
    checkDrift.run(
      { profile, trainingSet: set, model: subject(model), window: '20d', asOf: set.periods.test.to, psi: 0.2, ...over },
      context,
    );

  it('looks at the newest window only, and finds a quiet one quiet', async () => {
    const report = await check();
    expect(report).toMatchObject({ rows: 480, drifted: [], share: 0, notComparable: [], model: 'delays', version: 3 });
    expect(report.window).toEqual({ from: set.periods.test.from, to: set.periods.test.to });
    expect(report.prediction?.psi).toBeLessThan(0.05);
    expect(report.features.map(({ feature }) => feature).sort()).toEqual(['carrier', 'delay']);
  });

  it('finds what moved, by name', async () => {
    const shifted = await parquet('SELECT * REPLACE ((delay + 4)::FLOAT AS delay) FROM t', 'shifted');
    const report = await check({ trainingSet: { ...set, data: shifted } });
    expect(report).toMatchObject({ drifted: ['delay'], share: 0.5 });
    expect(report.prediction?.drifted).toBe(true);
  });

  it('compares what it can when the serving model is older than the training set', async () => {
    const older = await logistic(0.5, 'delay_before');
    const old = await evaluateCandidate.run(input, context);
    const reference = await context.blobs.json<ReferenceProfile>(old.profile);
    for (const feature of reference.features) if (feature.name === 'delay') feature.name = 'delay_before';
    const report = await check({ profile: await context.blobs.putJson(reference), model: subject(older) });
    expect(report).toMatchObject({ notComparable: ['delay_before'], prediction: null, rows: 480 });
    expect(report.features.map(({ feature }) => feature)).toEqual(['carrier']);
  });

  it('claims nothing where there are no rows', async () => {
    const report = await check({ asOf: '2020-01-01T00:00:00Z' });
    expect(report).toMatchObject({
      rows: 0,
      features: [],
      prediction: null,
      drifted: [],
      notComparable: ['delay', 'carrier'],
    });
  });

  it('leaves the report where people look, once', async () => {
    const report = await check();
    await check();
    const keys: string[] = [];
    for await (const key of context.blobs.objects.list('reports/delays/drift/')) keys.push(key);
    const own = keys.filter((key) => key.startsWith(`reports/delays/drift/${set.periods.test.to}-3-`));
    const bodies = await Promise.all(own.map((key) => context.blobs.objects.get(key)));
    const texts = bodies.map((object) => JSON.parse(new TextDecoder().decode(object?.body)) as unknown);
    expect(texts.filter((text) => JSON.stringify(text) === JSON.stringify(report))).toHaveLength(1);
  });
});
