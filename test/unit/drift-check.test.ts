import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkDrift } from '../../core/drift/check-drift.ts';
import { evaluateCandidate } from '../../core/evaluation/evaluate-candidate.ts';
import type { ReferenceProfile } from '../../core/evaluation/profile.ts';
import type { BlobRef, TrainedModel } from '../../core/spec/artifacts.ts';
import { createEvaluationBench, type EvaluationBench } from './evaluation.fixture.ts';

let bench: EvaluationBench;
beforeAll(async () => {
  bench = await createEvaluationBench();
});
afterAll(() => bench.remove());

describe('drift check', () => {
  const subject = (of: TrainedModel) => ({ name: 'delays', version: 3, onnx: of.onnx, features: of.features });
  let profile: BlobRef;
  beforeAll(async () => {
    profile = (await evaluateCandidate.run(bench.input, bench.context)).profile;
  });
  const check = (over: object = {}) =>
    checkDrift.run(
      {
        profile,
        trainingSet: bench.set,
        model: subject(bench.model),
        window: '20d',
        asOf: bench.set.periods.test.to,
        psi: 0.2,
        ...over,
      },
      bench.context,
    );

  it('looks at the newest window only, and finds a quiet one quiet', async () => {
    const report = await check();
    expect(report).toMatchObject({ rows: 480, drifted: [], share: 0, notComparable: [], model: 'delays', version: 3 });
    expect(report.window).toEqual({ from: bench.set.periods.test.from, to: bench.set.periods.test.to });
    expect(report.prediction?.psi).toBeLessThan(0.05);
    expect(report.features.map(({ feature }) => feature).sort()).toEqual(['carrier', 'delay']);
  });

  it('finds what moved, by name', async () => {
    const shifted = await bench.parquet('SELECT * REPLACE ((delay + 4)::FLOAT AS delay) FROM t', 'shifted');
    const report = await check({ trainingSet: { ...bench.set, data: shifted } });
    expect(report).toMatchObject({ drifted: ['delay'], share: 0.5 });
    expect(report.prediction?.drifted).toBe(true);
  });

  it('compares what it can when the serving model is older than the training set', async () => {
    const older = await bench.logistic(0.5, 'delay_before');
    const old = await evaluateCandidate.run(bench.input, bench.context);
    const reference = await bench.context.blobs.json<ReferenceProfile>(old.profile);
    for (const feature of reference.features) if (feature.name === 'delay') feature.name = 'delay_before';
    const report = await check({ profile: await bench.context.blobs.putJson(reference), model: subject(older) });
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
    for await (const key of bench.context.blobs.objects.list('reports/delays/drift/')) keys.push(key);
    const own = keys.filter((key) => key.startsWith(`reports/delays/drift/${bench.set.periods.test.to}-3-`));
    const bodies = await Promise.all(own.map((key) => bench.context.blobs.objects.get(key)));
    const texts = bodies.map((object) => JSON.parse(new TextDecoder().decode(object?.body)) as unknown);
    expect(texts.filter((text) => JSON.stringify(text) === JSON.stringify(report))).toHaveLength(1);
  });
});
