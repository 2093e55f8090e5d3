import Value from 'typebox/value';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { toFailure } from '../../activities/errors-interceptor.ts';
import { asRefitError } from '../../client/errors.ts';
import { RefitError } from '../../core/spec/errors.ts';
import { RunResult } from '../../core/spec/run.ts';
import { startWorkflows, type WorkflowStack } from './workflows.fixture.ts';

let stack: WorkflowStack;
beforeAll(async () => {
  stack = await startWorkflows();
});
afterAll(() => stack?.close());

test('a source of more files than a Temporal payload can list runs through, each file in its place', async () => {
  Object.assign(stack.script, { files: 700, columns: 'x'.repeat(4_000) });
  const result = await stack.run('train/p/large', { pipeline: 'p', asOf: '2021-01-01' });
  expect(result).toMatchObject({ verdict: 'promoted' });
  expect(result.shortened).toBeUndefined();
  const published = stack.script.inputs.find(({ name }) => name === 'publishSnapshot')?.input.partitions;
  expect((published as { name: string }[]).map(({ name }) => name)).toEqual(
    Array.from({ length: 700 }, (_, i) => `f${i}`),
  );
  const { events } = await stack.client.workflow.getHandle('train/p/large').fetchHistory();
  const bytes = (events ?? []).map((event) => JSON.stringify(event).length);
  expect(Math.max(...bytes)).toBeLessThan(1024 * 1024);
});

test('other services read a run that found very much, and one that failed over very much, without a store', async () => {
  stack.reset();
  const names = (what: string) => Array.from({ length: 5_000 }, (_, i) => `${what}, the ${i}th: é`);
  Object.assign(stack.script, {
    found: {
      rules: names('a rule of a row').map((rule) => ({ rule, column: null, count: 7 })),
      drifted: names('a feature'),
      gates: names('a gate').map((name) => ({
        name,
        passed: true,
        value: 1,
        limit: 0,
        reason: 'it holds '.repeat(99),
      })),
    },
  });
  // `stack.client` knows nothing of the workers' store, as @refit/client does not.
  const handle = await stack.start('train/p/found', { pipeline: 'p', asOf: '2021-02-01' });
  const result = (await handle.result()) as RunResult;
  expect(result).toMatchObject({ verdict: 'promoted', shortened: true, drift: { share: 0.5 } });
  expect(Value.Errors(RunResult, result)).toEqual([]);
  expect(result.drift.drifted[0]).toBe('a feature, the 0th: é');
  expect(result.gates.length).toBeGreaterThan(1);
  const { broken } = (result.stages[0]?.details ?? {}) as { broken?: { s: unknown[] } };
  expect(broken?.s[0]).toEqual({ rule: 'a rule of a row, the 0th: é', count: 7 });
  expect(Buffer.byteLength(JSON.stringify(result))).toBeLessThan(64 * 1024);

  const details = { source: 's', changes: names('a column').map((column) => ({ column, change: 'removed' })) };
  const failure = toFailure(new RefitError('REFIT_SCHEMA_CHANGED', 'All is other.', details), 1, false);
  Object.assign(stack.script.fails, { publishSnapshot: failure });
  const failed = await stack.start('train/p/failed', { pipeline: 'p', asOf: '2021-03-01' });
  const error = asRefitError(await failed.result().catch((reason: unknown) => reason));
  expect(error).toMatchObject({ code: 'REFIT_SCHEMA_CHANGED', message: 'All is other.', details: { source: 's' } });
});
