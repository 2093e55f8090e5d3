import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { TaskQueue } from '../../core/spec/queues.ts';
import type { RunResult } from '../../core/spec/run.ts';
import { eventually, latch, startWorkflows, type WorkflowStack } from './workflows.fixture.ts';

let stack: WorkflowStack;
beforeAll(async () => {
  stack = await startWorkflows();
});
afterAll(() => stack.close());
beforeEach(() => stack.reset());

const asOf = '2020-06-01T00:00:00Z';
const count = (name: string) => stack.script.calls.filter((call) => call === name).length;

test('runs of one key at once, whatever their ids, do the work once and end with one result', async () => {
  const { open, opened } = latch();
  stack.script.gate.fitModel = opened;
  const ids = ['train/one/2020-06-01', 'typed by somebody', 'train/one-2020-06-01T00:00:00Z', 'a', 'b', 'c'];
  const handles = await Promise.all(ids.map((id) => stack.start(id, { pipeline: 'one', asOf })));
  await eventually(async () => {
    const progress = await Promise.all(handles.map((handle) => stack.progress(handle)));
    return progress.filter(({ follows }) => follows !== undefined).length === ids.length - 1;
  });
  open();
  const results = (await Promise.all(handles.map((handle) => handle.result()))) as RunResult[];
  expect(new Set(results.map((result) => JSON.stringify(result))).size).toBe(1);
  expect(count('fitModel')).toBe(1);
  expect(count('decide')).toBe(1);
  const progress = await Promise.all(handles.map((handle) => stack.progress(handle)));
  expect(progress.map(({ verdict, stages }) => [verdict, stages.length])).toEqual(ids.map(() => ['promoted', 6]));
});

test('runs of different keys do not wait for each other', async () => {
  const results = await Promise.all([
    stack.run('d1', { pipeline: 'different', asOf }),
    stack.run('d2', { pipeline: 'different', asOf, set: { 'model.rounds': 3 } }),
    stack.run('d3', { pipeline: 'different', asOf: '2020-07-01T00:00:00Z' }),
  ]);
  expect(new Set(results.map(({ runId }) => runId)).size).toBe(3);
  expect(count('decide')).toBe(3);
});

test('a run of a key that is done does its own, cached, work', async () => {
  const first = await stack.run('again 1', { pipeline: 'again', asOf });
  const second = await stack.run('again 2', { pipeline: 'again', asOf });
  expect(second.runId).not.toBe(first.runId);
  expect(count('decide')).toBe(2);
});

test.each(['fails', 'is cancelled', 'is terminated'])('when the run that works %s, another goes on', async (fate) => {
  const { open, opened } = latch();
  stack.script.gate.fitModel = opened;
  const pipeline = `fate ${fate}`;
  const first = await stack.start(`${fate} 1`, { pipeline, asOf });
  await eventually(() => count('fitModel') === 1);
  const second = await stack.start(`${fate} 2`, { pipeline, asOf });
  await eventually(async () => (await stack.progress(second)).follows === `${fate} 1`);
  stack.script.gate.fitModel = undefined;
  if (fate === 'fails') stack.script.fails.fitModel = ApplicationFailure.nonRetryable('broken', 'REFIT_INTERNAL');
  if (fate === 'is cancelled') await first.cancel();
  if (fate === 'is terminated') await first.terminate();
  if (fate !== 'fails') open();
  else setTimeout(open, 0);
  await expect(first.result()).rejects.toThrow();
  stack.script.fails.fitModel = undefined;
  // One that failed has failed for good reason: the other tries for itself, here with better luck.
  await expect(second.result()).resolves.toMatchObject({ verdict: 'promoted', workflowId: `${fate} 2` });
  expect((await stack.progress(second)).follows).toBeUndefined();
});

test('a run that follows another keeps the result under its own idempotency key', async () => {
  const { open, opened } = latch();
  stack.script.gate.fitModel = opened;
  const first = await stack.start('keyless', { pipeline: 'follower', asOf });
  await eventually(() => count('fitModel') === 1);
  const second = await stack.start('keyed', { pipeline: 'follower', asOf, key: 'k' });
  await eventually(async () => (await stack.progress(second)).follows === 'keyless');
  open();
  expect(await second.result()).toEqual(await first.result());
  expect(count('recordResult')).toBe(1);
});

test('a run whose key was taken away by force ends well', async () => {
  const { open, opened } = latch();
  stack.script.gate.fitModel = opened;
  const first = await stack.start('robbed', { pipeline: 'robbed', asOf });
  await eventually(() => count('fitModel') === 1);
  const hold = `hold/robbed/${asOf}/`;
  const held = await eventually(async () => {
    for await (const { workflowId } of stack.client.workflow.list()) if (workflowId.startsWith(hold)) return workflowId;
    return undefined;
  });
  await stack.client.workflow.getHandle(held).terminate();
  open();
  await expect(first.result()).resolves.toMatchObject({ verdict: 'promoted' });
});

test('a failure is announced with its cure, and a cancellation is not', async () => {
  const { open, opened } = latch();
  stack.script.gate.fitModel = opened;
  const cancelled = await stack.start('not told', { pipeline: 'not told', asOf });
  await eventually(() => count('fitModel') === 1);
  await cancelled.cancel();
  await expect(cancelled.result()).rejects.toThrow();
  open();
  stack.script.fails.buildTrainingSet = ApplicationFailure.nonRetryable('No rows.', 'REFIT_WINDOW_EMPTY', {
    cure: 'Load some.',
  });
  await expect(stack.run('failing', { pipeline: 'failing', asOf })).rejects.toThrow();
  // The cancelled run came first: had it been told, it would stand here.
  const event = await eventually(() => stack.script.events[0]);
  expect(event).toMatchObject({ type: 'run.failed', pipeline: 'failing', asOf, workflowId: 'failing' });
  expect(event.reason).toBe('REFIT_WINDOW_EMPTY: No rows. Load some.');
});

test('--from computes anew from that stage on, and only from there', async () => {
  await stack.run('from', { pipeline: 'from', asOf, from: 'train' });
  const forced = stack.script.inputs.filter(({ input }) => 'force' in input).map(({ name }) => name);
  expect(forced).toEqual(expect.arrayContaining(['fitModel', 'evaluateCandidate', 'checkDrift']));
  expect(forced).not.toEqual(expect.arrayContaining(['extractPartition']));
  expect(forced).not.toEqual(expect.arrayContaining(['buildTrainingSet']));
});

test('a result that is known under an idempotency key is handed out, and nothing is done', async () => {
  const first = await stack.run('key 1', { pipeline: 'key', asOf, key: 'k' });
  expect(count('recordResult')).toBe(1);
  stack.script.run = { earlier: first };
  const before = count('fitModel');
  expect(await stack.run('key 2', { pipeline: 'key', asOf, key: 'k' })).toEqual(first);
  expect(count('fitModel')).toBe(before);
});

test('a scheduled run takes its asOf from the time it was scheduled for, never from after the end of the data', async () => {
  const schedule = await stack.client.schedule.create({
    scheduleId: 'schedule/latest',
    spec: { intervals: [{ every: '1d' }] },
    action: {
      type: 'startWorkflow',
      workflowType: 'trainPipeline',
      workflowId: 'scheduled',
      args: [{ pipeline: 'latest' }],
      taskQueue: TaskQueue.control,
    },
    state: { paused: true },
  });
  await schedule.backfill({
    start: new Date('2020-12-30T23:00:00Z'),
    end: new Date('2021-01-02T01:00:00Z'),
    overlap: 'ALLOW_ALL',
  });
  const asOfs = await eventually(async () => {
    const ends = stack.script.inputs.filter(({ name }) => name === 'checkDrift').map(({ input }) => String(input.asOf));
    return ends.length >= 2 && stack.script.calls.filter((name) => name === 'resolveRun').length === 3
      ? ends
      : undefined;
  });
  await schedule.delete();
  // 31 December and 1 January as scheduled; for 2 January the data ends on the 1st, which is the same run.
  expect([...new Set(asOfs)].map((text) => new Date(text).toISOString()).sort()).toEqual([
    '2020-12-31T00:00:00.000Z',
    '2021-01-01T00:00:00.000Z',
  ]);
});
