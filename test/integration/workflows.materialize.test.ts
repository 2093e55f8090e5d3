/** `materializeFeatures` as a story: what it asks for, in which order, and how it is joined. */
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { RefitClient } from '../../client/index.ts';
import { latch, startWorkflows, type WorkflowStack } from './workflows.fixture.ts';

let stack: WorkflowStack;
beforeAll(async () => {
  stack = await startWorkflows();
});
afterAll(() => stack.close());
beforeEach(() => stack.reset());

test('extracts what is new, writes the features as of the end of the data, and does nothing else', async () => {
  const done = await new RefitClient(stack.client).materialize({ pipeline: 'p' });
  expect(done).toMatchObject({
    pipeline: 'p',
    asOf: '2021-01-01T00:00:00Z',
    entities: 1,
    written: 2,
    incremental: true,
  });
  const calls = ['resolveServed', 'inspectSource', 'extractPartition', 'publishSnapshot', 'materializeOnline'];
  expect(stack.script.calls).toEqual(calls);
  expect(stack.script.inputs.at(-1)?.input).toMatchObject({
    asOf: '2021-01-01T00:00:00Z',
    snapshots: { s: { id: 'i' } },
  });
});

test('two who ask for the same date at once are given the result of one, and a forced one writes anew', async () => {
  const client = new RefitClient(stack.client);
  const request = { pipeline: 'p', asOf: '2020-06-01' };
  const { open, opened } = latch();
  stack.script.gate.materializeOnline = opened;
  const [one, other] = [client.materialize(request), client.materialize(request)];
  open();
  expect(await one).toEqual(await other);
  expect(stack.script.calls.filter((name) => name === 'materializeOnline')).toHaveLength(1);
  await client.materialize({ ...request, force: true });
  expect(stack.script.inputs.at(-1)?.input).toHaveProperty('force');
});

test('a failure is told with its code, and a wrong argument before anything starts', async () => {
  const client = new RefitClient(stack.client);
  stack.script.fails.materializeOnline = ApplicationFailure.nonRetryable('Wrong password.', 'REFIT_ONLINE_REFUSED');
  await expect(client.materialize({ pipeline: 'p' })).rejects.toMatchObject({ code: 'REFIT_ONLINE_REFUSED' });
  const wrong = { pipeline: 'p', asof: '2020-01-01' };
  await expect(client.materialize(wrong)).rejects.toMatchObject({
    code: 'REFIT_USAGE',
    message: expect.stringContaining('asof'),
  });
});
