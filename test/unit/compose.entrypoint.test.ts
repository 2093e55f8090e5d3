import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ERRORS } from '../../core/spec/errors.ts';
import { TaskQueue } from '../../core/spec/queues.ts';
import { problemsOf, queuesOf, ROLES } from '../../infra/docker/checks.mjs';
import { ROOT } from './compose.fixture.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'refit-entry-'));
  await mkdir(path.join(folder, 'pipelines/example'), { recursive: true });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A surrounding in which nothing is wrong. */
const good = () => ({
  REFIT_ROOT: folder,
  REFIT_STORE: `file:${folder}/volume/store`,
  REFIT_ONLINE: `lmdb:${folder}/volume/online`,
  TEMPORAL_ADDRESS: 'temporal:7233',
});

function enter(args: string[], env: NodeJS.ProcessEnv): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(process.execPath, ['infra/docker/entrypoint.mjs', ...args], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, TMPDIR: folder, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stderr })));
}

test.each([
  [[], 'The container is not told which role it has.'],
  [['worker'], 'There is no role "worker".'],
])('%j is refused with the roles that there are', async (args, sentence) => {
  const { code, stderr } = await enter(args, good());
  expect(code).toBe(2);
  expect(stderr).toBe(
    `REFIT_USAGE: ${sentence}\n  Give one of control, cpu, gpu, all, gateway as the container's command.\n`,
  );
});

test('a worker that is not told where Temporal is ends at once and says so; the gateway needs none', async () => {
  const { TEMPORAL_ADDRESS: _, ...without } = good();
  const { code, stderr } = await enter(['control'], without);
  expect(code).toBe(1);
  expect(stderr).toBe(
    'REFIT_TEMPORAL_UNREACHABLE: The control worker is not told where Temporal is: TEMPORAL_ADDRESS is not set.\n' +
      '  Set TEMPORAL_ADDRESS (such as temporal:7233), or TEMPORAL_CONFIG_FILE with a profile.\n',
  );
  expect(await problemsOf('gateway', without)).toEqual([]);
  expect(await problemsOf('control', { ...without, TEMPORAL_CONFIG_FILE: '/etc/temporal.toml' })).toEqual([]);
});

test('everything that is wrong is said at once', async () => {
  // Root may write everywhere, but nobody makes a folder under a file.
  await writeFile(path.join(folder, 'file'), '');
  const wrong = {
    REFIT_ROOT: `${folder}/nowhere`,
    REFIT_STORE: `file:${folder}/file/store`,
    REFIT_ONLINE: `${folder}/file/online`,
  };
  const { code, stderr } = await enter(['cpu'], wrong);
  expect(code).toBe(1);
  const codes = [...stderr.matchAll(/^(REFIT_\w+): /gm)].map((match) => match[1]);
  expect(codes).toEqual([
    'REFIT_TEMPORAL_UNREACHABLE',
    'REFIT_STORE_UNWRITABLE',
    'REFIT_STORE_UNWRITABLE',
    'REFIT_PIPELINE_UNKNOWN',
  ]);
  for (const one of codes) expect(Object.keys(ERRORS)).toContain(one);
  expect(stderr).toContain(`REFIT_STORE is ${folder}/file/store, which this process`);
  expect(stderr).toContain(`There is no pipeline in ${folder}/nowhere/pipelines.`);
});

test('what is right passes, and nothing of the looking is left behind', async () => {
  for (const role of Object.keys(ROLES)) expect(await problemsOf(role, good()), role).toEqual([]);
  expect(await readdir(path.join(folder, 'volume/store'))).toEqual([]);
});

test('a store with another scheme is left to its adapter', async () => {
  expect(
    await problemsOf('gateway', { ...good(), REFIT_STORE: 's3://bucket/prefix', REFIT_ONLINE: 'redis://host' }),
  ).toEqual([]);
  expect(existsSync(path.join(folder, 's3:'))).toBe(false);
});

test('the health check asks about the task queues that the workers serve', () => {
  expect(queuesOf('control')).toEqual([TaskQueue.control]);
  expect(queuesOf('cpu')).toEqual([TaskQueue.cpu]);
  expect(queuesOf('gpu')).toEqual([TaskQueue.gpu]);
  expect(queuesOf('all')).toEqual(Object.values(TaskQueue));
  expect(queuesOf('gateway')).toEqual([]);
});

/** start.sh with a program in place of node, which tells its process id and arguments, and ends with 7 on SIGTERM. */
async function startProgram(
  script: string,
): Promise<{ child: ChildProcess; told: Promise<string>; ended: Promise<number | null> }> {
  const program = "#!/bin/sh\ntrap 'exit 7' TERM\necho $$ $*\nwhile :; do sleep 0.05; done\n";
  await mkdir(path.join(folder, 'bin'));
  await writeFile(path.join(folder, 'bin/node'), program, { mode: 0o755 });
  const env = { PATH: `${folder}/bin:${process.env.PATH}`, REFIT_ROOT: folder, REFIT_ONLINE: 'lmdb:volume/online' };
  const child = spawn('sh', ['-c', script], { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'inherit'] });
  const told = new Promise<string>((resolve) =>
    child.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString())),
  );
  return { child, told, ended: new Promise((resolve) => child.once('exit', resolve)) };
}

const WORKER = '--import tsx infra/docker/entrypoint.mjs cpu';

test('start.sh becomes the program of its role, which locks its process id beside the online store', async () => {
  const { child, told, ended } = await startProgram('exec sh infra/docker/start.sh cpu');
  expect(await told).toBe(`${child.pid} ${WORKER}\n`);
  expect(await readdir(path.join(folder, 'volume/online.pids'))).toEqual([String(child.pid)]);
  child.kill('SIGTERM');
  expect(await ended).toBe(7);
});

test('where another container has the same process id, the program is given another and still gets signals', async () => {
  // A lock held through another descriptor, as a process of another container would.
  const script =
    'mkdir -p "$REFIT_ROOT/volume/online.pids"; exec 8>"$REFIT_ROOT/volume/online.pids/$$"; flock 8; exec sh infra/docker/start.sh cpu';
  const { child, told, ended } = await startProgram(script);
  const [pid, ...args] = (await told).trim().split(' ');
  expect(Number(pid)).not.toBe(child.pid);
  expect(args.join(' ')).toBe(WORKER);
  child.kill('SIGTERM');
  expect(await ended).toBe(7);
});

test('the gateway runs without the TypeScript loader; an online store elsewhere needs no lock', async () => {
  const { child, told, ended } = await startProgram('REFIT_ONLINE=redis://host exec sh infra/docker/start.sh gateway');
  expect(await told).toBe(`${child.pid} infra/docker/entrypoint.mjs gateway\n`);
  expect(existsSync(path.join(folder, 'volume'))).toBe(false);
  child.kill('SIGTERM');
  expect(await ended).toBe(7);
});
