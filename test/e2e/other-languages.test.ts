import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStack, type Stack } from '../../cli/stack.ts';
import { RefitClient } from '../../client/index.ts';
import { placesOf } from '../../core/compose/refit.ts';
import type { Progress, RunResult } from '../../core/spec/run.ts';
import { temporalBinary } from '../../infra/parts.mjs';
import { type Project, REPOSITORY } from '../support/project.ts';
import { type Block, blocksOf, createServicesProject, shell, succeed } from '../support/services.ts';

/** Where pip puts Temporal's Python SDK, once for all test runs. */
const PYTHON_MODULES = path.join(REPOSITORY, '.refit/cache/python-temporalio');

let project: Project;
let stack: Stack;
let folder: string;
let env: NodeJS.ProcessEnv;
let commands: Block[];
let python: Block | undefined;

beforeAll(async () => {
  const blocks = await blocksOf('docs/services.md');
  commands = blocks.filter(({ language, text }) => language === 'sh' && text.includes('temporal workflow'));
  python = blocks.find(({ language }) => language === 'python');
  folder = await mkdtemp(path.join(tmpdir(), 'refit-languages-'));
  project = await createServicesProject();
  stack = await openStack(placesOf(project.root));
  const bin = path.dirname((await temporalBinary()) ?? '');
  env = { TEMPORAL_ADDRESS: stack.address, PATH: `${bin}${path.delimiter}${process.env.PATH ?? ''}` };
});
afterAll(async () => {
  await stack?.close();
  await project?.remove();
  if (folder) await rm(folder, { recursive: true, force: true });
});

/** Runs the block of the page that holds these words. */
const typed = (words: string) => {
  const block = commands.find(({ text }) => text.includes(words));
  if (!block) throw new Error(`docs/services.md has no command with "${words}"`);
  return shell(block.text, { cwd: folder, env });
};

describe('the temporal command', () => {
  test('starts the flights pipeline, asks how far it is, awaits its result', async () => {
    const said = await typed(
      'workflow start --type trainPipeline --task-queue refit-control \\\n  --workflow-id train/',
    );
    const [progress, result] = [answerOf<Progress>(said), resultOf(said)];
    expect(progress.pipeline).toBe('flight-delays');
    expect(result).toMatchObject({ pipeline: 'flight-delays', asOf: '2013-12-01T00:00:00Z', verdict: 'promoted' });
    expect(result.stages.map(({ name }) => name).join(' ')).toBe('extract features train evaluate promote drift-check');
  });

  test('starts and awaits by key: repeated, under another workflow id too, it has the same result', async () => {
    const first = resultOf(await typed('workflow execute'));
    expect(first.verdict).toBe('unchanged');
    expect(resultOf(await typed('workflow execute'))).toEqual(first);
    const input = '{"pipeline":"flight-delays","asOf":"2013-12-01","key":"monthly-2013-12"}';
    const again = ['workflow', 'execute', '--type', 'trainPipeline', '--task-queue', 'refit-control'];
    const other = [...again, '--workflow-id', 'another', '--input', input, '--output', 'json'];
    expect(resultOf(await succeed('temporal', other, { cwd: folder, env })).runId).toBe(first.runId);
  });

  test('approves a version that waits', async () => {
    await typed('ask-me-first \\\n  --input');
    const refit = new RefitClient(stack.client);
    for await (const { waiting } of (await refit.handle('ask-me-first')).progress()) if (waiting) break;
    const said = await typed('update execute');
    expect(said).toMatch(/Running\s+trainPipeline\s+ask-me-first|Running\s+ask-me-first/);
    expect(resultOf(said)).toMatchObject({ verdict: 'promoted', model: { version: 2 } });
  });
});

test('Python starts, asks, awaits and is told what was wrong', async () => {
  const [install] = (await blocksOf('docs/services.md')).filter(({ text }) => text.includes('pip install'));
  const version = /temporalio==(\S+)/.exec(install?.text ?? '')?.[1];
  if (!existsSync(path.join(PYTHON_MODULES, `temporalio-${version}.dist-info`))) {
    await rm(PYTHON_MODULES, { recursive: true, force: true });
    await shell(install?.text ?? '', { cwd: folder, env: { ...env, PIP_TARGET: PYTHON_MODULES } });
  }
  await writeFile(path.join(folder, 'train.py'), python?.text ?? '');
  const said = await succeed('python3', ['train.py'], { cwd: folder, env: { ...env, PYTHONPATH: PYTHON_MODULES } });
  expect(said).toMatch(/^(unchanged|promoted) 2 0\.[67]\d+$/m);
  expect(said).toMatch(/^REFIT_PIPELINE_UNKNOWN There is no pipeline "flight-delay" .*"flight-delays"/m);
});

/** The answer that `temporal workflow query` prints. */
function answerOf<T>(said: string): T {
  return JSON.parse(/QueryResult\s+(\{.*\})$/m.exec(said)?.[1] ?? said) as T;
}

/** The result at the end of what `temporal workflow execute|result --output json` prints. */
function resultOf(said: string): RunResult {
  const [json = ''] = /^\{[\s\S]*\}\s*$/m.exec(said) ?? [];
  const { status, result } = JSON.parse(json) as { status: string; result: RunResult };
  expect(status).toBe('COMPLETED');
  return result;
}
