import { afterAll, beforeAll, expect, test } from 'vitest';
import { startWorkflows, type WorkflowStack } from './workflows.fixture.ts';

let stack: WorkflowStack;
beforeAll(async () => {
  stack = await startWorkflows();
});
afterAll(() => stack?.close());

test('a source of more files than a Temporal payload can list runs through, each file in its place', async () => {
  Object.assign(stack.script, { files: 700, columns: 'x'.repeat(4_000) });
  const result = await stack.run('train/p/large', { pipeline: 'p', asOf: '2021-01-01' });
  expect(result.verdict).toBe('promoted');
  const published = stack.script.inputs.find(({ name }) => name === 'publishSnapshot')?.input.partitions;
  expect((published as { name: string }[]).map(({ name }) => name)).toEqual(
    Array.from({ length: 700 }, (_, i) => `f${i}`),
  );
  const { events } = await stack.client.workflow.getHandle('train/p/large').fetchHistory();
  const bytes = (events ?? []).map((event) => JSON.stringify(event).length);
  expect(Math.max(...bytes)).toBeLessThan(1024 * 1024);
});
