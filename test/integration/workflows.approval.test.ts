import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { PersonsDecision, RunResult } from '../../core/spec/run.ts';
import { approveUpdate, rejectUpdate } from '../../workflows/approval.ts';
import { decided, eventually, startWorkflows, type WorkflowStack } from './workflows.fixture.ts';

let stack: WorkflowStack;
beforeAll(async () => {
  stack = await startWorkflows();
});
afterAll(() => stack.close());
beforeEach(() => stack.reset());

const asOf = '2020-06-01T00:00:00Z';
const soon = (milliseconds: number) => new Date(Date.now() + milliseconds).toISOString();

/** A run whose version waits until it is decided or the time is over. */
async function waitingRun(id: string, { until = soon(60_000), onTimeout = 'reject' } = {}): Promise<WorkflowHandle> {
  stack.script.decide = ({ approved }) => {
    if (!approved) return { due: 'approval', until, onTimeout };
    const passed = approved.action === 'approve';
    const gate = {
      name: 'approval',
      passed,
      value: null,
      limit: null,
      reason: `by ${approved.by}: ${approved.reason}`,
    };
    return decided(passed ? 'promoted' : 'rejected', [gate]);
  };
  const handle = await stack.start(id, { pipeline: 'p', asOf, reason: id });
  await eventually(async () => (await stack.progress(handle)).waiting?.version === 1);
  return handle;
}

const by = (name: string, reason = 'looked at it'): PersonsDecision => ({ by: name, reason });

test('a version that waits is promoted by an approval, and the run tells who gave it', async () => {
  const handle = await waitingRun('approved');
  const spoken = await handle.executeUpdate(approveUpdate, { args: [by(' Grace ')] });
  expect(spoken).toEqual({ version: 1, action: 'approve', by: 'Grace', reason: 'looked at it' });
  const result = (await handle.result()) as RunResult;
  expect(result).toMatchObject({ verdict: 'promoted', gates: [{ reason: 'by Grace: looked at it' }] });
  expect((await stack.progress(handle)).waiting).toBeUndefined();
  expect(stack.script.events.map(({ type }) => type)).toEqual(['run.waiting']);
});

test('a rejection ends the run as rejected and is announced', async () => {
  const handle = await waitingRun('rejected');
  await handle.executeUpdate(rejectUpdate, { args: [by('Ada', 'the holidays are missing')] });
  expect(((await handle.result()) as RunResult).verdict).toBe('rejected');
  const events = await eventually(() => stack.script.events.length === 2 && stack.script.events);
  expect(events.map(({ type }) => type)).toEqual(['run.waiting', 'run.rejected']);
  expect(events[1]?.reason).toMatch(/the holidays are missing/);
});

test.each([
  ['reject', 'rejected'],
  ['promote', 'promoted'],
])('when nobody speaks in time, the policy %s decides', async (onTimeout, verdict) => {
  const until = soon(2_500);
  const handle = await waitingRun(`silence ${onTimeout}`, { until, onTimeout });
  const result = (await handle.result()) as RunResult;
  expect(result.verdict).toBe(verdict);
  expect(result.gates[0]?.reason).toBe(`by rule: nobody decided by ${until}`);
});

test('a decision without a name or a reason is refused in a sentence, and the run waits on', async () => {
  const handle = await waitingRun('nameless');
  const nameless: unknown[] = [{ by: '', reason: 'x' }, { reason: 'x' }, { by: 'Ada', reason: '  ' }, 'yes', null];
  for (const said of nameless) {
    const update = handle.executeUpdate(approveUpdate, { args: [said as PersonsDecision] });
    await expect(update).rejects.toMatchObject({ cause: { type: 'REFIT_USAGE' } });
  }
  expect((await stack.progress(handle)).waiting?.version).toBe(1);
  await handle.executeUpdate(approveUpdate, { args: [by('Ada')] });
  await handle.result();
});

test('of two who decide at once one is heard, and a run that does not wait refuses', async () => {
  const handle = await waitingRun('two');
  const answers = await Promise.allSettled([
    handle.executeUpdate(approveUpdate, { args: [by('Ada')] }),
    handle.executeUpdate(rejectUpdate, { args: [by('Grace')] }),
  ]);
  expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  await handle.result();
  stack.reset();
  let letGo = () => {};
  stack.script.gate.fitModel = new Promise((resolve) => {
    letGo = resolve;
  });
  const busy = await stack.start('busy', { pipeline: 'busy', asOf });
  await eventually(() => stack.script.calls.includes('fitModel'));
  const early = busy.executeUpdate(approveUpdate, { args: [by('Ada')] });
  await expect(early).rejects.toMatchObject({ cause: { type: 'REFIT_NOT_WAITING' } });
  letGo();
  await busy.result();
});

test('a champion that moved is compared with again before anything is decided', async () => {
  let asked = 0;
  stack.script.decide = () =>
    ++asked === 1 ? { due: 'comparison', until: soon(1), onTimeout: 'reject' } : decided('promoted');
  await stack.run('moved', { pipeline: 'moved', asOf });
  const order = stack.script.calls.filter((name) => name === 'judgeCandidate' || name === 'decide');
  expect(order).toEqual(['judgeCandidate', 'decide', 'judgeCandidate', 'decide']);
});

test('a run that is cancelled while it waits ends, and nothing is decided', async () => {
  const handle = await waitingRun('cancelled');
  await handle.cancel();
  await expect(handle.result()).rejects.toThrow();
  expect(stack.script.calls.filter((name) => name === 'decide')).toHaveLength(1);
  expect(stack.script.events.map(({ type }) => type)).toEqual(['run.waiting']);
});
