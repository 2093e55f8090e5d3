import { describe, expect, it } from 'vitest';
import { type Evidence, judge } from '../../core/evaluation/gates.ts';
import type { Comparison, Evaluation, GateResult, Metrics, SliceMetrics } from '../../core/spec/evaluation.ts';
import type { GateSpec } from '../../core/spec/pipeline.ts';

const blob = { uri: 'blobs/sha256/00/00', sha256: '0'.repeat(64), bytes: 0 };
const quality = (auc: number | null, logLoss: number, rows = 84_231): Metrics => ({
  auc,
  logLoss,
  brier: 0.14,
  rows,
  positives: Math.round(rows / 5),
});
const slice = (column: string, value: string, auc: number | null, rows: number): SliceMetrics => ({
  column,
  value,
  metrics: quality(auc, 0.45, rows),
});
const evaluation: Evaluation = {
  metrics: { validate: quality(0.74, 0.44), test: quality(0.7312, 0.455) },
  baseline: { validate: quality(0.69, 0.47), test: quality(0.68, 0.48) },
  slices: [
    slice('origin', 'EWR', 0.74, 30_000),
    slice('origin', 'JFK', 0.72, 28_000),
    slice('origin', 'LGA', 0.7, 26_000),
    slice('origin', 'XXX', 0.2, 12),
  ],
  parity: { native: 3e-7, online: 2e-6, rowsNative: 90_000, rowsOnline: 500 },
  curves: blob,
  profile: blob,
};
const comparison: Comparison = {
  champion: { version: 2, sha256: '1'.repeat(64), asOf: '2013-12-01T00:00:00Z' },
  period: { from: '2013-12-01T00:00:00Z', to: '2014-01-01T00:00:00Z' },
  rows: 27_000,
  candidate: quality(0.735, 0.452, 27_000),
  championMetrics: quality(0.73, 0.45, 27_000),
};

function only(gate: GateSpec, evidence: Partial<Evidence> = {}): GateResult {
  const [result] = judge([gate], { evaluation, comparison, ...evidence });
  if (!result) throw new Error('no result');
  return result;
}

const notWorse = (over: object = {}): GateSpec => ({
  gate: 'notWorseThanChampion',
  metric: 'logLoss',
  tolerance: 0,
  minRows: 1000,
  ...over,
});
const bySlice = (over: object = {}): GateSpec => ({
  gate: 'slices',
  columns: ['origin'],
  metric: 'auc',
  tolerance: 0.05,
  minRows: 500,
  ...over,
});
const withTest = (test: Metrics): Partial<Evidence> => ({
  evaluation: { ...evaluation, metrics: { ...evaluation.metrics, test } },
});

describe('bounds', () => {
  it('name the limit and say the figures', () => {
    expect(only({ gate: 'atLeast', metric: 'auc', limit: 0.7 })).toEqual({
      name: 'auc ≥ 0.70',
      passed: true,
      value: 0.7312,
      limit: 0.7,
      reason: '0.7312 ≥ 0.70 on 84,231 test rows',
    });
    expect(only({ gate: 'atMost', metric: 'logLoss', limit: 0.4 })).toMatchObject({
      name: 'logLoss ≤ 0.40',
      passed: false,
      reason: '0.4550 > 0.40 on 84,231 test rows',
    });
  });

  it.each([
    [0.7312, true],
    [0.73121, false],
  ])('hold at the limit itself: auc at least %d → %s', (limit, passed) => {
    expect(only({ gate: 'atLeast', metric: 'auc', limit }).passed).toBe(passed);
  });

  it('never read as an equality when they fail by little', () => {
    const { reason } = only({ gate: 'atLeast', metric: 'auc', limit: 0.7312001 });
    expect(reason).toContain('0.73120000 < 0.7312001');
  });

  it('fail without a value when the metric does not exist', () => {
    expect(only({ gate: 'atLeast', metric: 'auc', limit: 0.1 }, withTest(quality(null, 0.1)))).toMatchObject({
      passed: false,
      value: null,
      limit: null,
      reason: expect.stringContaining('auc needs both outcomes') as string,
    });
  });
});

describe('better than the baseline', () => {
  it.each([
    ['auc', 0.05, true],
    ['auc', 0.06, false],
    ['logLoss', 0.02, true],
    ['logLoss', 0.03, false],
  ] as const)('%s by %d → %s, in the direction of the metric', (metric, margin, passed) => {
    expect(only({ gate: 'betterThanBaseline', metric, margin }).passed).toBe(passed);
  });

  it('is not the same as equal', () => {
    const equal = withTest(evaluation.baseline.test);
    expect(only({ gate: 'betterThanBaseline', metric: 'auc', margin: 0 }, equal).passed).toBe(false);
  });
});

describe('not worse than the champion', () => {
  it('uses the rows that neither saw, and the tolerance', () => {
    expect(only(notWorse())).toMatchObject({
      name: 'logLoss not worse than champion',
      passed: false,
      value: 0.452,
      limit: 0.45,
    });
    expect(only(notWorse({ tolerance: 0.002 })).passed).toBe(true);
    expect(only(notWorse({ metric: 'auc' }))).toMatchObject({ passed: true, value: 0.735, limit: 0.73 });
    expect(only(notWorse()).reason).toBe('0.4520 against 0.4500 of version 2 on 27,000 rows that neither saw');
  });

  it('lets an equal one pass', () => {
    const same = { ...comparison, candidate: comparison.championMetrics };
    expect(only(notWorse(), { comparison: same }).passed).toBe(true);
  });

  it('passes for the first model, with its own figure and no limit', () => {
    expect(only(notWorse(), { comparison: null })).toMatchObject({
      passed: true,
      value: 0.455,
      limit: null,
      reason: expect.stringContaining('no other model is champion yet') as string,
    });
  });

  it('fails on too few rows', () => {
    expect(only(notWorse({ minRows: 30_000 }))).toMatchObject({
      passed: false,
      value: null,
      reason: expect.stringContaining(
        '27,000 rows are later than anything either model saw; 30,000 are needed',
      ) as string,
    });
  });

  it('fails with the reason why nothing could be compared', () => {
    const reason = 'champion version 2 needs wind_gust, which the training set does not have';
    const none: Comparison = { ...comparison, rows: 0, candidate: null, championMetrics: null, reason };
    expect(only(notWorse(), { comparison: none })).toMatchObject({
      passed: false,
      reason: `cannot be computed: ${reason}`,
    });
  });
});

describe('slices', () => {
  it('are judged by the worst that has enough rows', () => {
    const found = only(bySlice());
    expect(found).toMatchObject({ name: 'auc of every slice by origin', passed: true, value: 0.7 });
    expect(found.limit).toBeCloseTo(0.6812, 12);
    expect(found.reason).toContain('worst is origin = LGA with 0.7000 on 26,000 rows');
    expect(only(bySlice({ tolerance: 0.02 }))).toMatchObject({ passed: false, value: 0.7 });
    expect(only(bySlice({ tolerance: 0.02 })).reason).toContain('1 of 3 slices fail');
  });

  it('look at small slices when told to', () => {
    expect(only(bySlice({ minRows: 10 }))).toMatchObject({ passed: false, value: 0.2 });
  });

  it('hold losses from above', () => {
    const worse = { ...slice('origin', 'LGA', 0.7, 900), metrics: quality(0.7, 0.9, 900) };
    const slices = [slice('origin', 'EWR', 0.7, 900), worse];
    const found = only(bySlice({ metric: 'logLoss', tolerance: 0.1 }), { evaluation: { ...evaluation, slices } });
    expect(found).toMatchObject({ passed: false, value: 0.9 });
    expect(found.limit).toBeCloseTo(0.555, 12);
  });

  it('fail for a column of which nothing is known, or nothing with enough rows', () => {
    expect(only(bySlice({ columns: ['origin', 'carrier'] }))).toMatchObject({
      passed: false,
      value: null,
      reason: expect.stringContaining('no slice by carrier has 500 test rows') as string,
    });
    expect(only(bySlice({ minRows: 100_000 })).passed).toBe(false);
  });

  it('fail for a slice with one outcome only, by name', () => {
    const slices = [...evaluation.slices, slice('origin', 'TEB', null, 600)];
    expect(only(bySlice(), { evaluation: { ...evaluation, slices } })).toMatchObject({
      passed: false,
      reason: expect.stringContaining('origin = TEB') as string,
    });
  });
});

describe('parity', () => {
  const parity = (over: object) => ({ evaluation: { ...evaluation, parity: { ...evaluation.parity, ...over } } });
  const gate: GateSpec = { gate: 'parity', limit: 1e-5 };

  it('is the larger of both differences', () => {
    expect(only(gate)).toMatchObject({ name: 'parity ≤ 1e-5', passed: true, value: 2e-6, limit: 1e-5 });
    expect(only(gate, parity({ native: 2e-5 }))).toMatchObject({ passed: false, value: 2e-5 });
    expect(only(gate, parity({ online: 0.1 }))).toMatchObject({ passed: false, value: 0.1 });
  });

  it('fails where the online path could not be tried', () => {
    expect(only(gate, parity({ online: 0, rowsOnline: 0 }))).toMatchObject({
      passed: false,
      value: null,
      reason: expect.stringContaining('no upcoming entities') as string,
    });
  });
});

it('judges every gate in order, whatever an earlier one said', () => {
  const gates: GateSpec[] = [
    { gate: 'atLeast', metric: 'auc', limit: 0.99 },
    bySlice(),
    { gate: 'parity', limit: 1e-5 },
  ];
  expect(judge(gates, { evaluation, comparison }).map(({ passed }) => passed)).toEqual([false, true, true]);
});
