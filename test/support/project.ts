import { spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ErrorCode } from '../../core/spec/errors.ts';
import type { RunResult } from '../../core/spec/run.ts';

export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

/** A copy of the project with a store of its own; the set-up's parts are shared by link. */
export interface Project {
  root: string;
  path(...parts: string[]): string;
  remove(): Promise<void>;
}

/** A folder with nothing in it but the set-up's parts. */
export async function createEmptyProject(): Promise<Project> {
  const root = await mkdtemp(path.join(tmpdir(), 'refit-e2e-'));
  for (const part of ['bin', 'lib', 'cache']) {
    await mkdir(path.join(root, '.refit'), { recursive: true });
    await mkdir(path.join(REPOSITORY, '.refit', part), { recursive: true });
    await symlink(path.join(REPOSITORY, '.refit', part), path.join(root, '.refit', part));
  }
  return {
    root,
    path: (...parts) => path.join(root, ...parts),
    remove: () => rm(root, { recursive: true, force: true, maxRetries: 5 }),
  };
}

/** `months`: how many months of flights the project has (1..12). */
export async function createProject({ months = 12 } = {}): Promise<Project> {
  const project = await createEmptyProject();
  const { root } = project;
  await cp(path.join(REPOSITORY, 'pipelines'), path.join(root, 'pipelines'), { recursive: true });
  await writeFile(path.join(root, 'package.json'), '{ "name": "e2e", "type": "module" }\n');
  const data = path.join(root, 'data/nycflights13');
  await mkdir(path.join(data, 'flights'), { recursive: true });
  for (const name of ['weather', 'planes', 'airports']) await copyData(root, `${name}.parquet`);
  for (let month = 1; month <= months; month++) await copyMonth(root, month);
  return project;
}

async function copyData(root: string, name: string): Promise<void> {
  await cp(path.join(REPOSITORY, 'data/nycflights13', name), path.join(root, 'data/nycflights13', name));
}

export async function copyMonth(root: string, month: number): Promise<void> {
  await copyData(root, `flights/2013-${String(month).padStart(2, '0')}.parquet`);
}

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs `refit` in a project, as a user would. */
export function refit(project: Project, args: string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  return startRefit(project, args, env).outcome;
}

/** As `refit`, with the process at hand. */
export function startRefit(project: Project, args: string[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [path.join(REPOSITORY, 'cli/refit.mjs'), ...args], {
    cwd: project.root,
    env: { ...process.env, NO_COLOR: '1', REFIT_ROOT: project.root, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
  const outcome = new Promise<Outcome>((resolve) => child.once('close', (code) => resolve({ code, ...output })));
  return { child, output, outcome };
}

/** The RunResult of `refit run … --json`. */
export async function runJson(project: Project, args: string[], env: NodeJS.ProcessEnv = {}): Promise<RunResult> {
  const { code, stdout, stderr } = await refit(project, ['run', ...args, '--json'], env);
  if (code !== 0 && code !== 3)
    throw new Error(`refit run ${args.join(' ')} ended with ${code}:\n${stdout}\n${stderr}`);
  return JSON.parse(stdout) as RunResult;
}

/** The error of a `--json` command that is meant to fail. */
export function errorOf({ stdout }: Outcome): { code: ErrorCode; message: string; cure: string } {
  return (JSON.parse(stdout) as { error: { code: ErrorCode; message: string; cure: string } }).error;
}
