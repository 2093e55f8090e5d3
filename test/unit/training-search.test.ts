import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Trial } from '../../core/spec/artifacts.ts';
import { gbdt } from '../../core/spec/define.ts';
import type { SearchSpec } from '../../core/spec/pipeline.ts';
import { bestTrial, proposeTrials } from '../../core/spec/search.ts';
import { trialSlice } from '../../core/training/run-trial.ts';

const SPEC: SearchSpec = {
  trials: 40,
  batch: 4,
  rounds: 50,
  rowShare: 0.5,
  space: {
    learning_rate: { min: 0.01, max: 0.3, log: true },
    num_leaves: { min: 7, max: 127, int: true },
    feature_fraction: { min: 0.4, max: 1 },
  },
};
const DECLARED = { learning_rate: 0.05, num_leaves: 31, feature_fraction: 0.8 };

/** Lowest at learning_rate 0.1, num_leaves 63. */
const lossOf = ({
  learning_rate = DECLARED.learning_rate,
  num_leaves = DECLARED.num_leaves,
}: Record<string, number>): number =>
  0.4 + Math.abs(Math.log(learning_rate / 0.1)) / 10 + Math.abs(num_leaves - 63) / 1000;

function search(seed: number, spec = SPEC): Trial[] {
  const finished: Trial[] = [];
  for (;;) {
    const batch = proposeTrials(spec, seed, finished, spec.batch, DECLARED);
    if (batch.length === 0) return finished;
    for (const { index, params } of batch) finished.push({ trial: index, params, logLoss: lossOf(params), rounds: 1 });
  }
}

test('the declared parameters are tried first, every trial once, all within their ranges', () => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const trials = search(seed);
      expect(trials.map(({ trial }) => trial)).toEqual([...Array(40).keys()]);
      expect(trials[0]?.params).toEqual({});
      for (const { params } of trials.slice(1)) {
        for (const [name, { min, max, int }] of Object.entries(SPEC.space)) {
          expect(params[name]).toBeGreaterThanOrEqual(min);
          expect(params[name]).toBeLessThanOrEqual(max);
          if (int) expect(Number.isInteger(params[name])).toBe(true);
        }
      }
    }),
    { numRuns: 30 },
  );
});

test('the same seed and finished trials give the same proposals, whatever their order; another seed gives others', () => {
  const finished = search(5).slice(0, 8);
  expect(proposeTrials(SPEC, 5, [...finished].reverse(), 4, DECLARED)).toEqual(
    proposeTrials(SPEC, 5, finished, 4, DECLARED),
  );
  expect(proposeTrials(SPEC, 6, finished, 4, DECLARED)).not.toEqual(proposeTrials(SPEC, 5, finished, 4, DECLARED));
});

test('it finds a good place, and closes in on it', () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const trials = search(seed);
    expect(bestTrial(trials)?.logLoss).toBeLessThan(0.43);
    const mean = (some: Trial[]): number => some.reduce((sum, { logLoss }) => sum + logLoss, 0) / some.length;
    expect(mean(trials.slice(-8))).toBeLessThan(mean(trials.slice(1, 9)));
  }
});

test('the first batch spreads out: no two trials in the same corner', () => {
  const places = proposeTrials({ ...SPEC, batch: 9 }, 3, [], 9)
    .slice(1)
    .map(({ params }) => [Math.log(params.learning_rate ?? 0) / Math.log(30), (params.num_leaves ?? 0) / 120]);
  for (const [i, a] of places.entries()) {
    for (const b of places.slice(i + 1)) {
      expect(Math.hypot((a[0] ?? 0) - (b[0] ?? 0), (a[1] ?? 0) - (b[1] ?? 0))).toBeGreaterThan(0.05);
    }
  }
});

test('the best of equals is the earlier; no search proposes nothing', () => {
  const trial = (index: number, logLoss: number): Trial => ({ trial: index, params: {}, logLoss, rounds: 1 });
  expect(bestTrial([trial(2, 0.4), trial(1, 0.4), trial(0, 0.5)])?.trial).toBe(1);
  expect(bestTrial([trial(0, Number.NaN)])).toBeUndefined();
  expect(proposeTrials({ ...SPEC, trials: 0 }, 1, [], 4)).toEqual([]);
});

test('the best of a search is never worse than the declared parameters, with or without knowing where they lie', () => {
  // The declared parameters are the best of all: nothing in the space comes near.
  const loss = (params: Record<string, number>) => (Object.keys(params).length === 0 ? 0.1 : lossOf(params));
  for (const declared of [DECLARED, undefined]) {
    const finished: Trial[] = [];
    for (let at = 0; at < SPEC.trials; at += SPEC.batch) {
      for (const { index, params } of proposeTrials(SPEC, 7, finished, SPEC.batch, declared))
        finished.push({ trial: index, params, logLoss: loss(params), rounds: 1 });
    }
    expect(bestTrial(finished)?.params).toEqual({});
  }
});

test('a trial does not depend on how long the model itself trains', () => {
  const model = gbdt({ params: { num_leaves: 31 } });
  expect(trialSlice({ ...model, rounds: 400, chunk: 20, resources: 'gpu' })).toEqual(trialSlice(model));
  expect(trialSlice({ ...model, params: { num_leaves: 63 } })).not.toEqual(trialSlice(model));
  expect(trialSlice({ ...model, earlyStopping: 5 })).not.toEqual(trialSlice(model));
});
