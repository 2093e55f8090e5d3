/** A report's input in full, made of figures that look like a real run's; the same on every call. */
import { modelCurves, scoreHistogram } from '../../core/evaluation/curves.ts';
import { type Evidence, judge } from '../../core/evaluation/gates.ts';
import { metricsOf, rocCurve } from '../../core/evaluation/metrics.ts';
import type { ReportInput } from '../../core/evaluation/report/input.ts';
import { metricsOfRows, weeklyMetrics } from '../../core/evaluation/slices.ts';
import type { BlobRef, TrainedModel, TrainingSet } from '../../core/spec/artifacts.ts';
import type { Comparison, Evaluation, SliceMetrics } from '../../core/spec/evaluation.ts';
import type { GateSpec } from '../../core/spec/pipeline.ts';

/** Uniform in 0..1 (Mulberry32): a fixed sequence for a seed. */
function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function blob(letter: string): BlobRef {
  const sha256 = letter.repeat(64);
  return { uri: `blobs/sha256/${sha256.slice(0, 2)}/${sha256}`, sha256, bytes: 4096 };
}

const DAY = 864e5;
const ROWS = 12_000;
const FROM = Date.parse('2013-09-01T00:00:00Z');
const DAYS = 122;
const AIRPORTS = ['EWR', 'JFK', 'LGA'];
const CARRIERS = ['UA', 'B6', 'EV', 'DL', 'AA', 'MQ', 'US', '9E', 'WN', 'VX', 'FL', 'AS', 'F9', 'YV', 'HA', 'OO'];

const sigmoid = (z: number) => 1 / (1 + Math.exp(-z));

/** Scores of three models for the same rows: the candidate knows most of what decides, the baseline less. */
function simulate() {
  const random = uniform(7);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const label = new Uint8Array(ROWS);
  const [candidate, champion, baseline] = [new Float64Array(ROWS), new Float64Array(ROWS), new Float64Array(ROWS)];
  const predictAt = new Float64Array(ROWS);
  const airport: number[] = [];
  const carrier: number[] = [];
  for (let row = 0; row < ROWS; row++) {
    predictAt[row] = FROM + (row / ROWS) * DAYS * DAY;
    const [known, hidden, coarse] = [normal(), normal(), normal()];
    airport.push(Math.floor(random() * AIRPORTS.length));
    carrier.push(Math.floor(random() ** 2 * CARRIERS.length));
    label[row] = Number(random() < sigmoid(-1.5 + 0.85 * known + 0.4 * coarse + 0.6 * hidden));
    candidate[row] = sigmoid(-1.42 + 0.8 * known + 0.38 * coarse);
    champion[row] = sigmoid(-1.4 + 0.75 * known + 0.2 * coarse);
    baseline[row] = sigmoid(-1.35 + 0.45 * known + 0.3 * normal());
  }
  return { label, candidate, champion, baseline, predictAt, airport, carrier };
}

const features = [
  ['tail_delay', 'number'],
  ['sched_minute_of_day_sin', 'number'],
  ['origin_mean_delay', 'number'],
  ['carrier', 'category'],
  ['dest', 'category'],
  ['sched_minute_of_day_cos', 'number'],
  ['visib', 'number'],
  ['temp', 'number'],
  ['wind_speed', 'number'],
  ['distance', 'number'],
  ['precip', 'number'],
  ['seats', 'number'],
  ['origin', 'category'],
  ['plane_year', 'number'],
  ['humid', 'number'],
  ['pressure', 'number'],
  ['wind_gust', 'number'],
  ['lat', 'number'],
] as const;

function trainingSet(validate: number, label: Uint8Array): TrainingSet {
  const positives = (from: number, to: number) => label.subarray(from, to).reduce((a, b) => a + b, 0);
  return {
    data: blob('1'),
    digest: 'd1'.repeat(32),
    rows: { train: 219_044, validate, test: ROWS - validate },
    positives: { train: 50_812, validate: positives(0, validate), test: positives(validate, ROWS) },
    excluded: { unlabelled: 9_430, labelLate: 212 },
    periods: {
      train: { from: '2013-01-01T00:00:00Z', to: '2013-09-01T00:00:00Z' },
      validate: { from: '2013-09-01T00:00:00Z', to: '2013-10-01T00:00:00Z' },
      test: { from: '2013-10-01T00:00:00Z', to: '2014-01-01T00:00:00Z' },
    },
    features: features.map(([name, kind]) => ({ name, kind, view: 'flights' })),
    slices: ['origin', 'carrier'],
  };
}

const GATES: GateSpec[] = [
  { gate: 'atLeast', metric: 'auc', limit: 0.7 },
  { gate: 'betterThanBaseline', metric: 'logLoss', margin: 0 },
  { gate: 'notWorseThanChampion', metric: 'logLoss', tolerance: 0.001, minRows: 1000 },
  { gate: 'slices', columns: ['origin', 'carrier'], metric: 'auc', tolerance: 0.05, minRows: 250 },
  { gate: 'parity', limit: 1e-5 },
];

/** `gates` are judged from the figures, so that the page tells one story. */
export function reportInput(gates: GateSpec[] = GATES): ReportInput {
  const { label, candidate, champion, baseline, predictAt, airport, carrier } = simulate();
  const validate = Math.round((ROWS * 30) / DAYS);
  const test = <T extends Float64Array | Uint8Array>(values: T) => values.subarray(validate) as T;
  const set = trainingSet(validate, label);
  const sliceOf = (column: string, names: string[], of: number[]): SliceMetrics[] =>
    names.map((value, i) => ({
      column,
      value,
      metrics: metricsOfRows(
        candidate,
        label,
        of.flatMap((name, row) => (name === i && row >= validate ? [row] : [])),
      ),
    }));
  const slices = [...sliceOf('origin', AIRPORTS, airport), ...sliceOf('carrier', CARRIERS, carrier)];
  const evaluation: Evaluation = {
    metrics: {
      validate: metricsOf(candidate.subarray(0, validate), label.subarray(0, validate)),
      test: metricsOf(test(candidate), test(label)),
    },
    baseline: {
      validate: metricsOf(baseline.subarray(0, validate), label.subarray(0, validate)),
      test: metricsOf(test(baseline), test(label)),
    },
    slices,
    parity: { native: 3.1e-7, online: 2.4e-7, rowsNative: ROWS, rowsOnline: 412 },
    curves: blob('2'),
    profile: blob('3'),
  };
  const comparison: Comparison = {
    champion: { version: 2, sha256: 'c4'.repeat(32), asOf: '2013-12-01T00:00:00Z' },
    period: set.periods.test,
    rows: ROWS - validate,
    candidate: evaluation.metrics.test,
    championMetrics: metricsOf(test(champion), test(label)),
    curves: blob('4'),
  };
  const shares = features.map((_, i) => 0.8 ** i);
  const total = shares.reduce((a, b) => a + b, 0);
  const importance = features.map(([feature], i) => ({ feature, share: (shares[i] as number) / total }));
  const model: TrainedModel = {
    trainer: 'gbdt',
    native: blob('5'),
    predictions: blob('6'),
    features: set.features,
    rounds: 275,
    roundsTrained: 325,
    params: { learning_rate: 0.0623418, num_leaves: 63, feature_fraction: 0.8, max_cat_threshold: 32, seed: 1 },
    importance,
    seenUntil: set.periods.test.from,
    onnx: blob('7'),
  };
  const evidence: Evidence = { evaluation, comparison };
  return {
    pipeline: 'flight-delays',
    question: 'Will this flight arrive more than 15 minutes late? Asked one hour before departure.',
    asOf: '2014-01-01T00:00:00Z',
    trainingSet: set,
    model,
    baseline: { ...model, trainer: 'logistic', rounds: 1, roundsTrained: 1, params: {} },
    evaluation,
    comparison,
    gates: judge(gates, evidence),
    trials: Array.from({ length: 8 }, (_, i) => ({
      trial: i,
      params: { learning_rate: 0.02 * (i + 1), num_leaves: 15 + 16 * ((i * 3) % 5) },
      logLoss: 0.4713 + ((i * 5) % 8) / 1000,
      rounds: 120 + 7 * i,
    })),
    snapshots: ['flights', 'weather', 'planes', 'airports'].map((source, i) => ({
      source,
      id: `${i}a`.repeat(32),
      partitions: Array.from({ length: i === 0 ? 12 : 1 }, (_, part) => ({ name: `part-${part}`, data: blob('8') })),
      columns: [],
      rows: [336_776, 26_115, 3_322, 1_458][i] as number,
      quarantined: i === 0 ? 3 : 0,
      rules: [],
      newestEvent: i < 2 ? '2013-12-31T23:59:00Z' : null,
      manifest: `datasets/${source}/manifest.json`,
    })),
    specDigest: '5e'.repeat(32),
    curves: {
      candidate: modelCurves(test(candidate), test(label)),
      baseline: modelCurves(test(baseline), test(label)),
      histogram: scoreHistogram(test(candidate), test(label)),
      weeks: weeklyMetrics(predictAt, candidate, label),
      importance,
    },
    comparisonCurves: {
      candidate: rocCurve(test(candidate), test(label)),
      champion: rocCurve(test(champion), test(label)),
    },
  };
}
