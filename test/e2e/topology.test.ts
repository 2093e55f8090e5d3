import { existsSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createProject, type Project, runJson } from '../support/project.ts';
import {
  freePorts,
  healthProblem,
  type Running,
  startRole,
  startTopology,
  type Topology,
  until,
} from './topology.fixture.ts';

const AS_OF = '2013-04-16';
const ARGS = [
  ...['flight-delays', '--as-of', AS_OF, '--set', 'split.test=1mo', '--set', 'split.train.min=1mo'],
  ...[
    '--set',
    'split.train.max=2mo',
    '--set',
    'model.rounds=40',
    '--set',
    'search.trials=2',
    '--set',
    'search.rounds=20',
  ],
];

let topology: Topology;
let connection: Connection;
const roles = new Map<string, Running>();
const projects: Project[] = [];

/** A folder of a role's own, as a container has it: the project, the installed library, and nothing that another role wrote. */
async function ownFolder(): Promise<Project> {
  const project = await createProject({ months: 4 });
  projects.push(project);
  for (const shared of ['bin', 'cache']) await rm(project.path('.refit', shared));
  return project;
}

beforeAll(async () => {
  topology = await startTopology();
  connection = await Connection.connect({ address: topology.address });
});
afterAll(async () => {
  await connection?.close();
  await Promise.all([...roles.values()].map((role) => role.stop()));
  await topology?.remove();
  for (const project of projects) await project.remove();
});

const workerEnv = (project: Project): Record<string, string> => ({
  REFIT_ROOT: project.root,
  TEMPORAL_ADDRESS: topology.address,
  TEMPORAL_NAMESPACE: 'default',
  ...topology.stores,
});

async function startHealthy(role: string, env: Record<string, string>): Promise<void> {
  const running = startRole(topology, role, env);
  roles.set(role, running);
  let said: string | undefined;
  await until(`${role} is healthy`, async () => {
    if (running.child.exitCode !== null) throw new Error(`${role} ended: ${await readFile(running.log, 'utf8')}`);
    said = await healthProblem(topology, role, env);
    return said === undefined;
  }).catch(async (error: Error) => {
    throw new Error(`${error.message} It says: ${said}\n${await readFile(running.log, 'utf8')}`);
  });
}

test("workers of their own on folders of their own, started by the images' entry point, run the flights pipeline", async () => {
  const [control, cpu, operator] = [await ownFolder(), await ownFolder(), await ownFolder()];
  // Both at once on an empty namespace, as containers start: each finds the search attributes missing.
  await Promise.all([startHealthy('control', workerEnv(control)), startHealthy('cpu', workerEnv(cpu))]);

  const result = await runJson(operator, ARGS, workerEnv(operator));

  expect(result.verdict).toBe('promoted');
  expect(result.stages.map(({ name }) => name)).toEqual([
    'extract',
    'features',
    'train',
    'evaluate',
    'promote',
    'drift-check',
  ]);
  expect(result.model.path).toBe(`${topology.stores.REFIT_STORE}/models/flight-delays/1`);
  expect(result.report).toMatch(`${topology.stores.REFIT_STORE}/reports/`);
  for (const { path: at } of projects) {
    for (const folder of ['store', 'online']) expect(existsSync(at('.refit', folder))).toBe(false);
  }

  // Search attributes live in PostgreSQL here, under columns of its own choosing.
  const { workflow } = new Client({ connection });
  await until('the run is found by pipeline and verdict', async () => {
    const found: string[] = [];
    const query = 'RefitPipeline = "flight-delays" AND RefitVerdict = "promoted" AND ExecutionStatus = "Completed"';
    for await (const { workflowId } of workflow.list({ query })) found.push(workflowId);
    return found.includes(result.workflowId);
  });
});

test('a worker on another host goes on from what the first one left in the store', async () => {
  expect(await roles.get('cpu')?.stop()).toBe(0);
  const [other, operator] = [await ownFolder(), await ownFolder()];
  await startHealthy('cpu', workerEnv(other));
  const { stages, verdict } = await runJson(operator, [...ARGS, '--set', 'model.rounds=41'], workerEnv(operator));
  const cached = stages.filter((stage) => stage.cached).map(({ name }) => name);
  expect(cached).toEqual(expect.arrayContaining(['extract', 'features']));
  expect(cached).not.toContain('train');
  expect(['promoted', 'rejected', 'unchanged']).toContain(verdict);
});

test('the gateway, a process of its own without trainer and without Temporal, answers for an entity from the stores of the servers', async () => {
  const [port = 0] = await freePorts(1);
  const root = path.join(topology.folder, 'serving');
  await mkdir(root);
  const env = { REFIT_ROOT: root, REFIT_GATEWAY_PORT: String(port), ...topology.stores };
  await startHealthy('gateway', env);
  const predict = async (instance: object) => {
    const body = JSON.stringify({ instances: [instance], asOf: AS_OF });
    const headers = { 'content-type': 'application/json' };
    const url = `http://127.0.0.1:${port}/v1/models/flight-delays:predict`;
    return (await fetch(url, { method: 'POST', headers, body })).json();
  };

  const answer = await predict({ flight_id: 'AA-1-JFK-20130416' });
  expect(answer).toMatchObject({
    model: 'flight-delays',
    version: expect.any(Number),
    predictions: [{ score: expect.any(Number) }],
  });
  expect(await predict({ flight_id: 'no such flight' })).toMatchObject({ error: { code: 'REFIT_ENTITY_UNKNOWN' } });
  expect(existsSync(path.join(root, '.refit/lib'))).toBe(false);
});

test('SIGTERM ends every role with status 0', async () => {
  const statuses = await Promise.all([...roles].map(async ([role, running]) => [role, await running.stop()]));
  expect(Object.fromEntries(statuses)).toEqual({ control: 0, cpu: 0, gateway: 0 });
});
