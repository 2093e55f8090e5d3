import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Curves } from '../../core/evaluation/curves.ts';
import { evaluateCandidate } from '../../core/evaluation/evaluate-candidate.ts';
import type { ReferenceProfile } from '../../core/evaluation/profile.ts';
import type { Evaluation } from '../../core/spec/evaluation.ts';
import { createEvaluationBench, type EvaluationBench } from './evaluation.fixture.ts';

let bench: EvaluationBench;
beforeAll(async () => {
  bench = await createEvaluationBench();
});
afterAll(() => bench.remove());

describe('evaluation of a candidate', () => {
  let found: Evaluation;
  beforeAll(async () => {
    found = await evaluateCandidate.run(bench.input, bench.context);
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
    const curves = await bench.context.blobs.json<Curves>(found.curves);
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
    const other = { ...bench.model, predictions: await bench.predictions(() => 0.5) };
    const online = await bench.parquet('SELECT delay + 1 AS delay, carrier FROM t LIMIT 50', 'online');
    const skewed = await evaluateCandidate.run(
      { ...bench.input, model: other, online: { ...bench.input.online, online } },
      bench.context,
    );
    expect(skewed.parity.native).toBeGreaterThan(0.1);
    expect(skewed.parity.online).toBeGreaterThan(0.05);
  });

  it('refuses predictions of another training set', async () => {
    const short = { ...bench.model, predictions: await bench.context.blobs.putBytes(new Uint8Array(80)) };
    await expect(evaluateCandidate.run({ ...bench.input, model: short }, bench.context)).rejects.toThrow(
      '10 predictions for 960 rows',
    );
  });

  it('takes features of train and validate, and scores of validate and test, as the reference of drift', async () => {
    const profile = await bench.context.blobs.json<ReferenceProfile>(found.profile);
    expect(profile).toMatchObject({ featureRows: 1920, scoreRows: 960 });
    expect(profile.features.map(({ name }) => name)).toEqual(['delay', 'carrier']);
    expect(profile.features[0]?.missing).toBeCloseTo(0.02, 2);
    expect(profile.scorePeriod.from).toBe(bench.set.periods.validate.from);
  });
});
