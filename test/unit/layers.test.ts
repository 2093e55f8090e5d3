import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cruise, type ICruiseResult, type IFlattenedRuleSet } from 'dependency-cruiser';
import { afterEach, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const rules = createRequire(import.meta.url)('../../.dependency-cruiser.cjs') as IFlattenedRuleSet & {
  options: object;
};

/** Every import of a tree that breaks a rule, as `rule: from -> to`, sorted. */
async function violations(baseDir: string): Promise<string[]> {
  const { output } = await cruise(['.'], { ...rules.options, ruleSet: rules, validate: true, baseDir });
  const broken = (output as ICruiseResult).summary.violations;
  return broken.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`).sort();
}

let planted: string | undefined;
afterEach(async () => {
  if (planted) await rm(planted, { recursive: true });
  planted = undefined;
});

/** A small project in a temporary folder: path -> source. */
async function plant(files: Record<string, string>): Promise<string> {
  planted = await mkdtemp(join(tmpdir(), 'refit-layers-'));
  const all = {
    'package.json': JSON.stringify({ name: 'refit', type: 'module', exports: { './spec': './core/spec/index.ts' } }),
    'tsconfig.json': '{ "compilerOptions": { "module": "nodenext" } }',
    ...files,
  };
  for (const [path, source] of Object.entries(all)) {
    await mkdir(dirname(join(planted, path)), { recursive: true });
    await writeFile(join(planted, path), source);
  }
  return planted;
}

const npmPackage = (name: string) => ({
  [`node_modules/${name}/package.json`]: JSON.stringify({ name, main: 'index.js' }),
  [`node_modules/${name}/index.js`]: 'module.exports = {};',
});

const lower = {
  'core/spec/index.ts': 'export const spec = 1;',
  'core/store/folder.ts': "import 'node:fs';\nimport { spec } from '../spec/index.ts';\nexport const store = spec;",
  'activities/train.ts':
    "import { store } from '../core/store/folder.ts';\nexport type Train = typeof store;\nexport const train = store;",
};

test('the repository keeps its own import rules', async () => {
  expect(await violations(root)).toEqual([]);
});

test('imports that the layout allows pass', async () => {
  const tree = await plant({
    ...npmPackage('@temporalio/workflow'),
    ...lower,
    'core/dataset/table.ts': "import { store } from '../store/folder.ts';\nexport const table = store;",
    'core/compose/refit.ts': "import { table } from '../dataset/table.ts';\nexport const refit = table;",
    'workflows/train.ts':
      "import * as sdk from '@temporalio/workflow';\nimport { spec } from '../core/spec/index.ts';\nimport type { Train } from '../activities/train.ts';\nexport const x: Train = [sdk, spec];",
    'workers/cpu.ts':
      "import { train } from '../activities/train.ts';\nimport { refit } from '../core/compose/refit.ts';\nexport default [train, refit];",
    'pipelines/a/pipeline.ts':
      "import { spec } from 'refit/spec';\nimport { other } from './other.ts';\nexport default [spec, other];",
    'pipelines/a/other.ts': 'export const other = 1;',
  });
  expect(await violations(tree)).toEqual([]);
});

test.each([
  [
    'a workflow that uses an activity, not only its type',
    'workflows/w.ts',
    "import { train } from '../activities/train.ts';\nexport default train;",
    'workflows-take-types-only: workflows/w.ts -> activities/train.ts',
  ],
  [
    'a workflow that reads the clock of Node',
    'workflows/w.ts',
    "import { performance } from 'node:perf_hooks';\nexport default performance;",
    'workflows-run-in-a-sandbox: workflows/w.ts -> perf_hooks',
  ],
  [
    'a workflow that reaches into the store',
    'workflows/w.ts',
    "import { store } from '../core/store/folder.ts';\nexport default store;",
    'layer-workflows: workflows/w.ts -> core/store/folder.ts',
  ],
  [
    'a workflow that imports a package',
    'workflows/w.ts',
    "import lib from 'lib';\nexport default lib;",
    'workflows-take-the-workflow-sdk-only: workflows/w.ts -> node_modules/lib/index.js',
  ],
  [
    'the specification importing an area',
    'core/spec/bad.ts',
    "import { store } from '../store/folder.ts';\nexport default store;",
    'layer-core-spec: core/spec/bad.ts -> core/store/folder.ts',
  ],
  [
    'the specification importing Node',
    'core/spec/bad.ts',
    "import { createHash } from 'node:crypto';\nexport default createHash;",
    'workflows-run-in-a-sandbox: core/spec/bad.ts -> crypto',
  ],
  [
    'a lower area importing a higher one',
    'core/store/bad.ts',
    "import type { Table } from '../dataset/table.ts';\nexport type Bad = Table;",
    'layer-core-store: core/store/bad.ts -> core/dataset/table.ts',
  ],
  [
    'a top folder that nobody has placed',
    'lib/bad.ts',
    "import { spec } from '../core/spec/index.ts';\nexport default spec;",
    'folders-are-known: lib/bad.ts -> core/spec/index.ts',
  ],
  [
    'an area that nobody has placed',
    'core/helpers/bad.ts',
    "import { spec } from '../spec/index.ts';\nexport default spec;",
    'core-has-known-areas: core/helpers/bad.ts -> core/spec/index.ts',
  ],
  [
    'an area that makes its own adapters',
    'core/drift/bad.ts',
    "import { refit } from '../compose/refit.ts';\nexport default refit;",
    'adapters-are-made-in-compose: core/drift/bad.ts -> core/compose/refit.ts',
  ],
  [
    'core importing an activity',
    'core/drift/bad.ts',
    "import type { Train } from '../../activities/train.ts';\nexport type Bad = Train;",
    'layer-core-drift: core/drift/bad.ts -> activities/train.ts',
  ],
  [
    'the CLI importing a worker',
    'cli/run.ts',
    "import worker from '../workers/cpu.ts';\nexport default worker;",
    'layer-cli: cli/run.ts -> workers/cpu.ts',
  ],
  [
    'the CLI importing an activity',
    'cli/run.ts',
    "import { train } from '../activities/train.ts';\nexport default train;",
    'layer-cli: cli/run.ts -> activities/train.ts',
  ],
  [
    'a worker importing a workflow',
    'workers/control.ts',
    "import w from '../workflows/ok.ts';\nexport default w;",
    'layer-workers: workers/control.ts -> workflows/ok.ts',
  ],
  [
    'a pipeline importing a package',
    'pipelines/a/pipeline.ts',
    "import lib from 'lib';\nexport default lib;",
    'pipelines-take-refit-spec-only: pipelines/a/pipeline.ts -> node_modules/lib/index.js',
  ],
  [
    'a pipeline importing the neighbour',
    'pipelines/a/pipeline.ts',
    "import b from '../b/pipeline.ts';\nexport default b;",
    'pipelines-take-refit-spec-only: pipelines/a/pipeline.ts -> pipelines/b/pipeline.ts',
  ],
  [
    'a pipeline importing core by path',
    'pipelines/a/pipeline.ts',
    "import { spec } from '../../core/spec/index.ts';\nexport default spec;",
    'pipelines-take-refit-spec-by-name: pipelines/a/pipeline.ts -> core/spec/index.ts',
  ],
  [
    'a test that is imported',
    'cli/run.ts',
    "import stub from '../test/stub.ts';\nexport default stub;",
    'nothing-imports-tests: cli/run.ts -> test/stub.ts',
  ],
  [
    'two files that need each other',
    'core/store/bad.ts',
    "import { b } from './b.ts';\nexport const a = b;",
    'no-circles: core/store/b.ts -> core/store/bad.ts',
  ],
  [
    'an import of nothing',
    'cli/run.ts',
    "import lost from './lost.ts';\nexport default lost;",
    'everything-resolves: cli/run.ts -> ./lost.ts',
  ],
])('refuses %s', async (_, path, source, broken) => {
  const tree = await plant({
    ...npmPackage('lib'),
    ...lower,
    'core/dataset/table.ts': 'export type Table = 1;',
    'core/compose/refit.ts': 'export const refit = 1;',
    'core/store/b.ts': "import { a } from './bad.ts';\nexport const b = () => a;",
    'workers/cpu.ts': 'export default 1;',
    'workflows/ok.ts': 'export default 1;',
    'pipelines/b/pipeline.ts': 'export default 1;',
    'test/stub.ts': 'export default 1;',
    ...(path === 'core/store/bad.ts' ? {} : { 'core/store/bad.ts': 'export const a = 1;' }),
    [path]: source,
  });
  expect(await violations(tree)).toContain(broken);
});
