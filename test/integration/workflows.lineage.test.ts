import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { LineageMoment, LineageRun } from '../../core/spec/openlineage.ts';
import type { RunResult } from '../../core/spec/run.ts';
import { eventually, startWorkflows, type WorkflowStack } from './workflows.fixture.ts';

let stack: WorkflowStack;
beforeAll(async () => {
  stack = await startWorkflows();
});
afterAll(() => stack.close());
beforeEach(() => {
  stack.reset();
  stack.script.run = { lineage: true };
});

const asOf = '2020-06-01T00:00:00Z';
const input = (reason: string) => ({ pipeline: 'p', asOf, reason });

interface Told {
  run: LineageRun;
  moment: LineageMoment;
}
const told = () =>
  stack.script.inputs.filter(({ name }) => name === 'emitLineage').map((call) => call.input as unknown as Told);
const moments = () => told().map(({ moment }) => `${moment.type} ${moment.stage ?? 'run'}`);

test('a run is told from its start over its stages to its end, in order and with what became known', async () => {
  await stack.run('told', input('told'));
  const stages = ['extract', 'features', 'train', 'evaluate', 'promote', 'drift-check'];
  const inside = stages.flatMap((stage) => [`START ${stage}`, `COMPLETE ${stage}`, 'RUNNING run']);
  expect(moments()).toEqual(['START run', ...inside, 'COMPLETE run']);
  const last = told().at(-1)?.moment;
  expect(last).toMatchObject({
    asOf,
    facts: { snapshots: { s: { id: 'i' } }, decision: { version: 1, verdict: 'promoted' }, drift: { share: 0 } },
  });
  const times = told().map(({ moment }) => moment.at);
  expect(times).toEqual([...times].sort());
});

test('nothing is told, and nothing is started for it, where nobody asked', async () => {
  stack.script.run = {};
  const handle = await stack.start('silent', input('silent'));
  await handle.result();
  expect(moments()).toEqual([]);
  const { events } = await handle.fetchHistory();
  expect(
    events?.some(
      (event) => event.startChildWorkflowExecutionInitiatedEventAttributes?.workflowType?.name === 'tellLineage',
    ),
  ).toBe(false);
});

test('a failure is told of the stage and of the run, with its reason', async () => {
  stack.script.fails.buildTrainingSet = ApplicationFailure.nonRetryable('No rows.', 'REFIT_WINDOW_EMPTY');
  await expect(stack.run('failed', input('failed'))).rejects.toThrow();
  expect(moments().slice(-3)).toEqual(['START features', 'FAIL features', 'FAIL run']);
  expect(told().at(-1)?.moment.reason).toMatch(/REFIT_WINDOW_EMPTY: No rows/);
});

test('a cancelled run is told as aborted', async () => {
  const { open, gate } = gated();
  stack.script.gate.buildTrainingSet = gate;
  const handle = await stack.start('cancelled', input('cancelled'));
  await eventually(() => moments().includes('START features'));
  await handle.cancel();
  await expect(handle.result()).rejects.toThrow();
  open();
  await eventually(() => moments().at(-1) === 'ABORT run');
  expect(moments().slice(-2)).toEqual(['ABORT features', 'ABORT run']);
});

test('a terminated run cannot say so: it is told for it', async () => {
  const { open, gate } = gated();
  stack.script.gate.buildTrainingSet = gate;
  const handle = await stack.start('terminated', input('terminated'));
  await eventually(() => moments().includes('START features'));
  await handle.terminate('gone');
  await eventually(() => moments().at(-1) === 'ABORT run');
  expect(moments().slice(-2)).toEqual(['ABORT features', 'ABORT run']);
  open();
});

test('a receiver that is down fails no run, which says so; all is told when it is back', async () => {
  stack.script.fails.emitLineage = new Error('down');
  const handle = await stack.start('down', input('down'));
  expect(((await handle.result()) as RunResult).verdict).toBe('promoted');
  expect((await stack.progress(handle)).lineage).toBe('waiting');
  stack.script.fails.emitLineage = undefined;
  await eventually(() => moments().at(-1) === 'COMPLETE run');
  // Every attempt at an event says the very same.
  const said = new Map<string, string>();
  for (const { moment } of told()) {
    const text = JSON.stringify(moment);
    const key = `${moment.type} ${moment.stage} ${moment.at} ${Object.keys(moment.facts).length}`;
    expect(said.get(key) ?? text).toBe(text);
    said.set(key, text);
  }
});

test('an event that its receiver will not take is given up: the later ones are told, and the run says so', async () => {
  stack.script.refuses = 'extract';
  const handle = await stack.start('refused', input('refused'));
  await handle.result();
  expect(moments().slice(-2)).toEqual(['RUNNING run', 'COMPLETE run']);
  expect(new Set(moments()).size + 5).toBe(moments().length);
  expect((await stack.progress(handle)).lineage).toBe('refused');
});

function gated() {
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, gate };
}
