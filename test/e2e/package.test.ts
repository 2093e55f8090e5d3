import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Progress, RunResult } from '../../core/spec/run.ts';
import { type Project, REPOSITORY } from '../support/project.ts';
import { addTinyPipeline } from '../support/tiny-pipeline.ts';

const run = promisify(execFile);
const LIMITS = { timeout: 240_000, maxBuffer: 1 << 26 };

// Somebody else's project: none of this repository's settings, none of its files, a cache of its own user.
let folder: string;
let project: Project;
let env: NodeJS.ProcessEnv;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'refit-package-'));
  const root = path.join(folder, 'mine');
  project = { root, path: (...parts) => path.join(root, ...parts), remove: () => rm(root, { recursive: true }) };
  const { REFIT_ROOT: _, ...rest } = process.env;
  env = { ...rest, NO_COLOR: '1', REFIT_CACHE: path.join(folder, 'cache') };
  await mkdir(project.path('deep', 'inside'), { recursive: true });
  await mkdir(path.join(folder, 'cache'));
  // The parts that take long to build are those of the set-up here; the rest is made by the package itself.
  for (const part of ['bin', 'lib'])
    await symlink(path.join(REPOSITORY, '.refit', part), path.join(folder, 'cache', part));
  await writeFile(project.path('package.json'), '{ "name": "mine", "version": "1.0.0" }\n');

  const packed = await run('npm', ['pack', '--json', '--pack-destination', folder], {
    cwd: REPOSITORY,
    env,
    ...LIMITS,
  });
  const [{ filename }] = JSON.parse(packed.stdout) as [{ filename: string }];
  const quiet = ['--no-audit', '--no-fund', '--prefer-offline'];
  await run('npm', ['install', ...quiet, path.join(folder, filename)], { cwd: root, env, ...LIMITS });
});
afterAll(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));

/** `npx --no refit …` in the project, as its README would say. */
const refit = (args: string[], cwd = project.root) => run('npx', ['--no', 'refit', ...args], { cwd, env, ...LIMITS });

test('the tarball holds the programs and nothing of the tests, the data or this machine', async () => {
  const names = await readdir(project.path('node_modules/refit'));
  expect(names).toEqual(
    expect.arrayContaining(['cli', 'core', 'gateway', 'workers', 'workflows', 'LICENSE', 'README.md']),
  );
  for (const name of ['test', 'data', 'bench', 'pipelines', 'node_modules', '.ci', '.refit'])
    expect(names).not.toContain(name);
});

test('setup, then a run of the project’s own pipeline, from a folder inside it', async () => {
  await refit(['setup']);
  await addTinyPipeline(project, 'orders');
  const args = ['run', 'orders', '--as-of', '2020-12-01', '--json'];
  const { stdout } = await refit(args, project.path('deep/inside'));
  const result = JSON.parse(stdout) as RunResult;
  expect(result).toMatchObject({ pipeline: 'orders', verdict: 'promoted', model: { name: 'orders', version: 1 } });
  expect(result.report).toContain(project.path('.refit/store'));
  expect(await readFile(result.report, 'utf8')).toContain('<html');
});

test('dev: a changed and a new pipeline are taken up, the run under way keeps its own', async () => {
  const base = 28_000 + 3 * Math.floor(Math.random() * 1_500);
  const dev = spawn('npx', ['--no', 'refit', 'dev', '--port-base', String(base), '--json'], {
    cwd: project.root,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => dev.once('exit', resolve));
  try {
    const line = await new Promise<string>((resolve) =>
      dev.stdout.once('data', (text: Buffer) => resolve(String(text))),
    );
    const { pid, temporal, gateway } = JSON.parse(line) as { pid: number; temporal: string; gateway: string };
    const connection = await Connection.connect({ address: temporal });
    const { workflow } = new Client({ connection });

    await addTinyPipeline(project, 'orders', { extra: { promote: { approval: 'required', timeout: '1d' } } });
    const started = await refit(['run', 'orders', '--as-of', '2020-12-15', '--no-wait', '--json']);
    const before = workflow.getHandle((JSON.parse(started.stdout) as { workflowId: string }).workflowId);
    while (!(await before.query<Progress>('progress').catch(() => undefined))?.waiting) await pause(200);

    // The worker has been running all the while.
    await addTinyPipeline(project, 'orders');
    await addTinyPipeline(project, 'returns');
    const after = await refit(['run', 'orders', '--as-of', '2020-12-20', '--json']);
    const fresh = await refit(['run', 'returns', '--as-of', '2020-12-20', '--json']);
    expect(JSON.parse(after.stdout)).toMatchObject({ verdict: 'promoted' });
    expect(JSON.parse(fresh.stdout)).toMatchObject({ pipeline: 'returns', verdict: 'promoted' });
    expect((await before.query<Progress>('progress')).waiting).toBeDefined();
    await before.cancel();
    await expect(before.result()).rejects.toThrow();

    const answer = await fetch(`${gateway}/v1/models/returns:predict`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ instances: [{ amount: 10, items: 1, country: 'at' }] }),
    });
    expect(await answer.json()).toMatchObject({
      model: 'returns',
      version: 1,
      predictions: [{ label: expect.any(Boolean) }],
    });
    await connection.close();
    process.kill(pid, 'SIGTERM');
    await ended;
  } finally {
    dev.kill('SIGTERM');
  }
});

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
