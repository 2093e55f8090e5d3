import { expect, test } from 'vitest';
import { differences } from '../../cli/differences.ts';
import { duration, outcome } from '../../cli/runs.ts';

test('two values differ leaf by leaf; equal ones not at all', () => {
  const a = { asOf: 'latest', model: { rounds: 40, params: { lambda: 1 } }, drift: { psi: 0.2 } };
  const b = { asOf: 'latest', model: { rounds: 80, params: {} }, drift: { psi: 0.2 }, seed: 1 };
  expect(differences(a, a)).toEqual([]);
  expect(differences(a, b)).toEqual([
    { path: 'model.params', a: null, b: {} },
    { path: 'model.params.lambda', a: 1, b: null },
    { path: 'model.rounds', a: 40, b: 80 },
    { path: 'seed', a: null, b: 1 },
  ]);
});

test('parts of a list are told by their names, so that one more in the middle moves no others', () => {
  const weather = { name: 'weather', ttl: '6h' };
  const planes = { name: 'planes', by: ['tailnum'] };
  const before = { features: [planes] };
  const after = { features: [weather, planes] };
  expect(differences(before, after).map(({ path }) => path)).toEqual(['features.weather.name', 'features.weather.ttl']);
  expect(differences([1, 2], [1, 3])).toEqual([{ path: '1', a: 2, b: 3 }]);
});

test('a run is told by what it came to', () => {
  const run = { status: 'completed', stage: 'done', verdict: 'promoted' } as const;
  expect(outcome(run)).toBe('promoted');
  expect(outcome({ ...run, status: 'running', stage: 'train', verdict: null })).toBe('running: train');
  expect(outcome({ ...run, status: 'running', stage: 'promote', verdict: 'waiting' })).toBe('waiting for approval');
  expect(outcome({ ...run, status: 'failed', stage: 'extract', verdict: 'failed' })).toBe('failed in extract');
  expect([12.34, 185, 7_800].map(duration)).toEqual(['12.3 s', '3 min 05 s', '2 h 10 min']);
});
