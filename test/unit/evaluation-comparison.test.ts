import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareWithChampion } from '../../core/evaluation/compare-champion.ts';
import { createEvaluationBench, type EvaluationBench, features, rows } from './evaluation.fixture.ts';

let bench: EvaluationBench;
beforeAll(async () => {
  bench = await createEvaluationBench();
});
afterAll(() => bench.remove());

describe('champion against candidate', () => {
  const champion = (over: object = {}) => ({
    version: 2,
    sha256: 'a'.repeat(64),
    asOf: '2013-03-30T00:00:00Z',
    onnx: bench.model.onnx,
    features,
    seenUntil: bench.set.periods.test.from,
    ...over,
  });
  const candidate = () => ({ onnx: bench.model.onnx, features, seenUntil: bench.set.periods.test.from });

  it('uses only rows later than anything either saw', async () => {
    const seenUntil = '2013-04-05T00:00:00Z';
    const found = await compareWithChampion.run(
      { trainingSet: bench.set, candidate: candidate(), champion: champion({ seenUntil }) },
      bench.context,
    );
    expect(found.period).toEqual({ from: seenUntil, to: bench.set.periods.test.to });
    expect(found.rows).toBe(rows.filter(({ at }) => at >= Date.parse(seenUntil)).length);
  });

  it('finds equal models equal and a better one better', async () => {
    const worse = await bench.logistic(-0.1);
    const same = await compareWithChampion.run(
      { trainingSet: bench.set, candidate: candidate(), champion: champion() },
      bench.context,
    );
    expect(same.candidate).toEqual(same.championMetrics);
    const better = await compareWithChampion.run(
      { trainingSet: bench.set, candidate: candidate(), champion: champion({ onnx: worse.onnx }) },
      bench.context,
    );
    expect(better.candidate?.auc).toBeGreaterThan(better.championMetrics?.auc as number);
    expect(better.rows).toBe(480);
  });

  it('names the features a champion needs that are gone, and the lack of unseen rows', async () => {
    const needs = champion({ features: [...features, { name: 'wind_gust', kind: 'number', view: 'weather' }] });
    const lacking = await compareWithChampion.run(
      { trainingSet: bench.set, candidate: candidate(), champion: needs },
      bench.context,
    );
    expect(lacking).toMatchObject({ rows: 0, candidate: null, championMetrics: null });
    expect(lacking.reason).toContain('wind_gust');
    const late = champion({ seenUntil: '2014-01-01T00:00:00Z' });
    const seen = await compareWithChampion.run(
      { trainingSet: bench.set, candidate: candidate(), champion: late },
      bench.context,
    );
    expect(seen).toMatchObject({ rows: 0, period: null });
    expect(seen.reason).toContain('has seen all of the test period');
  });
});
