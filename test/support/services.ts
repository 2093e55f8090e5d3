import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { copyMonth, createProject, type Outcome, type Project, REPOSITORY } from './project.ts';

/** The last four months of flights, and a pipeline that is done with them in seconds: what docs/services.md is tried on. */
export async function createServicesProject(): Promise<Project> {
  const project = await createProject({ months: 0 });
  for (const month of [9, 10, 11, 12]) await copyMonth(project.root, month);
  const file = project.path('pipelines/flight-delays/pipeline.ts');
  const shipped = await readFile(file, 'utf8');
  const small = shipped
    .replace(/split: \{.*\},\n/, "split: { test: '1mo', validate: '1mo', train: { min: '1mo', max: '2mo' } },\n")
    .replace(/rounds: 300,/, 'rounds: 40,')
    .replace(/trials: 4,/, 'trials: 0,')
    .replace(/gates: \[[\s\S]*?\n {2}\],\n/, "gates: [atLeast('auc', 0.55), parity(1e-5)],\n");
  await writeFile(file, small);
  return project;
}

/** A fenced block of a page: ` ```sh service ` or ` ```ts service/start.ts `. */
export interface Block {
  language: string;
  /** What stands behind the language: where the commands are run, or the file that the program is. */
  place: string;
  text: string;
}

export async function blocksOf(page: string): Promise<Block[]> {
  const text = await readFile(path.join(REPOSITORY, page), 'utf8');
  return [...text.matchAll(/^```(\w+) ?(\S*)\n([\s\S]*?)^```$/gm)].map(([, language = '', place = '', body = '']) => ({
    language,
    place,
    text: body,
  }));
}

/** Runs a program to its end. */
export function execute(
  command: string,
  args: string[],
  { cwd, env = {} }: { cwd: string; env?: NodeJS.ProcessEnv },
): Promise<Outcome> {
  const child = spawn(command, args, { cwd, env: { ...outsideNpm(), ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...output }));
  });
}

/** As `execute`, for what must go well. @returns standard output. */
export async function succeed(command: string, args: string[], options: { cwd: string; env?: NodeJS.ProcessEnv }) {
  const { code, stdout, stderr } = await execute(command, args, options);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${stdout}\n${stderr}`);
  return stdout;
}

/** The commands of a block, as typed into a shell that stops at the first one that fails. */
export const shell = (text: string, options: { cwd: string; env?: NodeJS.ProcessEnv }) =>
  succeed('bash', ['-euo', 'pipefail', '-c', text], options);

/** The environment without what `npm test` adds for its own scripts. */
const outsideNpm = () => Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('npm_')));
