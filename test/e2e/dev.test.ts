import { createServer } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { memoryOf, type Process, processTree, stillRunning } from '../support/process-tree.ts';
import { createProject, errorOf, type Project, refit, startRefit } from '../support/project.ts';
import { addTinyPipeline } from '../support/tiny-pipeline.ts';

interface Addresses {
  pid: number;
  temporal: string;
  ui: string;
  gateway: string;
}

let project: Project;
let base: number;
beforeAll(async () => {
  project = await createProject({ months: 1 });
  await addTinyPipeline(project, 'orders', { extra: { promote: { approval: 'required', timeout: '1d' } } });
  base = await threeFreePorts();
  // What a set-up has done once.
  await refit(project, ['setup', '--only', 'programs']);
});
afterAll(() => project?.remove());

let running: ReturnType<typeof startRefit> | undefined;
afterEach(async () => {
  running?.child.kill('SIGKILL');
  await running?.outcome;
  running = undefined;
});

async function startDev(): Promise<Addresses> {
  const dev = startRefit(project, ['dev', '--port-base', String(base), '--json']);
  running = dev;
  const line = await until(
    () => /^\{.*\}$/m.exec(dev.output.stdout)?.[0] ?? (dev.child.exitCode === null ? undefined : '!'),
  );
  if (line === '!') throw new Error(`refit dev ended: ${dev.output.stdout}\n${dev.output.stderr}`);
  return JSON.parse(line) as Addresses;
}

const part = (tree: Process[], name: string): number => {
  const found = tree.find(({ command }) => command.includes(name) && !command.startsWith('sh '));
  if (!found) throw new Error(`no ${name} among ${JSON.stringify(tree)}`);
  return found.pid;
};
const answers = async (address: string) => (await fetch(`${address}/health`).catch(() => undefined))?.status === 200;

test('one command: all parts answer, in little memory; a second start says what is there', async () => {
  const addresses = await startDev();
  expect(addresses).toMatchObject({
    temporal: `127.0.0.1:${base}`,
    ui: `http://127.0.0.1:${base + 1}`,
    gateway: `http://127.0.0.1:${base + 2}`,
  });
  expect((await fetch(addresses.ui)).status).toBe(200);
  expect(await answers(addresses.gateway)).toBe(true);

  const again = await refit(project, ['dev', '--json']);
  expect(again.code).toBe(1);
  expect(errorOf(again)).toMatchObject({ code: 'REFIT_PORT_IN_USE', cure: expect.stringContaining('--port-base') });
  expect(errorOf(again).message).toContain(`is running already (process ${addresses.pid})`);
  const same = errorOf(await refit(project, ['dev', '--port-base', String(base), '--json']));
  expect(same.code).toBe('REFIT_PORT_IN_USE');
  expect(same.message).toContain(`Port ${base} (for the Temporal server)`);

  // Once it has given back what its start took.
  let memory = Number.POSITIVE_INFINITY;
  await until(async () => {
    memory = Math.min(memory, await memoryOf(await processTree(addresses.pid)));
    return memory < 400 ? memory : undefined;
  }, 30);
  expect(memory).toBeLessThan(400);
});

test('each part comes back when it is killed, and the others stay', async () => {
  const { pid, gateway } = await startDev();
  for (const name of ['worker', 'gateway', 'temporal server']) {
    const before = await processTree(pid);
    const killed = part(before, name);
    process.kill(killed, 'SIGKILL');
    await until(async () => {
      const now = (await processTree(pid)).find(({ command }) => command.includes(name) && !command.startsWith('sh '));
      return now && now.pid !== killed ? now : undefined;
    });
    await until(() => (/is back \(process/.test(running?.output.stderr ?? '') ? true : undefined));
    const after = await processTree(pid);
    const others = ['worker', 'gateway', 'temporal server'].filter((other) => other !== name);
    for (const other of others) expect(part(after, other)).toBe(part(before, other));
  }
  await until(async () => ((await answers(gateway)) ? true : undefined));
  const outcome = await refit(project, [
    'run',
    'orders',
    '--as-of',
    '2020-11-01',
    '--set',
    'promote.approval=none',
    '--json',
  ]);
  expect(outcome.code, outcome.stdout).toBe(0);
});

test('a run under way outlives the end of dev; SIGTERM and kill -9 leave nothing behind', async () => {
  const first = await startDev();
  const run = await refit(project, ['run', 'orders', '--as-of', '2020-12-01', '--no-wait', '--json']);
  const { workflowId } = JSON.parse(run.stdout) as { workflowId: string };
  const status = async () => (await refit(project, ['status', workflowId, '--json'])).stdout;
  await until(async () => ((await status()).includes('"waiting":{') ? true : undefined));

  const tree = await processTree(first.pid);
  running?.child.kill('SIGTERM');
  expect((await running?.outcome)?.code).toBe(0);
  expect(await stillRunning(tree)).toEqual([]);

  const second = await startDev();
  const version = /"waiting":\{"version":(\d+)/.exec(
    await until(async () => ((await status()).includes('"waiting":{') ? status() : undefined)),
  )?.[1];
  const approved = await refit(project, [
    'approve',
    `orders@${version}`,
    '--by',
    'ada',
    '--reason',
    'fine',
    '--wait',
    '--json',
  ]);
  expect(approved.code, approved.stdout).toBe(0);

  const below = await processTree(second.pid);
  expect(below.length).toBeGreaterThan(4);
  running?.child.kill('SIGKILL');
  await until(async () => ((await stillRunning(below)).length === 0 ? true : undefined), 30);
  expect(await stillRunning(below)).toEqual([]);
});

async function until<T>(probe: () => T | undefined | Promise<T | undefined>, seconds = 60): Promise<T> {
  for (let tries = 0; tries < seconds * 5; tries++) {
    const found = await probe();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`did not happen within ${seconds} s; it said: ${running?.output.stderr}`);
}

/** Three in a row, away from where systems hand out ports by themselves. */
async function threeFreePorts(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = 10_000 + 3 * Math.floor(Math.random() * 6_000);
    const free = await Promise.all([port, port + 1, port + 2].map(isFree));
    if (free.every(Boolean)) return port;
  }
  throw new Error('no three free ports in a row');
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
