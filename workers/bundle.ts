import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';
import { inProcessOfItsOwn } from './own-process.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** What a bundle is made of: workflows, what they may import, and this recipe. */
const SOURCES = ['workflows', 'core/spec', 'workers/bundle.ts'];
/** An unused bundle is kept this long: another checkout of the same project may still start from it. */
const KEPT_MS = 7 * 24 * 3_600_000;
const require = createRequire(import.meta.url);

/**
 * The workflow bundle's file, built when a source or the SDK changed since (1–6 s) and kept under its digest: a stale
 * bundle would run yesterday's story. Looked for in each folder, built in the first. Building takes 200 MB, which would
 * stay with the worker: a process of its own does it.
 */
export async function workflowBundle(...states: [string, ...string[]]): Promise<string> {
  const name = `${await digestOfSources()}.js`;
  const files = states.map((state) => path.join(state, 'cache', 'workflows', name));
  const found = files.find((file) => existsSync(file));
  if (found !== undefined) return found;
  const [file = ''] = files;
  await inProcessOfItsOwn(new URL('./build-bundle.ts', import.meta.url), [file]);
  return file;
}

/** Writes the bundle to `file`, whole or not at all. */
export async function buildWorkflowBundle(file: string): Promise<void> {
  const folder = path.dirname(file);
  await mkdir(folder, { recursive: true });
  const silent = () => undefined;
  const logger = { log: silent, trace: silent, debug: silent, info: silent, warn: console.warn, error: console.error };
  const { code } = await bundleWorkflowCode({
    workflowsPath: path.join(ROOT, 'workflows/index.ts'),
    logger,
    webpackConfigHook: (config) => ({
      ...config,
      // The text of every source would stay in the memory of every worker; names and lines are enough.
      devtool: 'inline-nosources-source-map',
      module: { ...config.module, rules: (config.module?.rules ?? []).map(alsoOurs) },
    }),
  });
  if (path.basename(file) !== `${await digestOfSources()}.js`) throw new Error('the sources changed meanwhile');
  const temporary = `${file}.${process.pid}`;
  await writeFile(temporary, code);
  await rename(temporary, file);
  await removeOld(folder, path.basename(file));
}

/** The SDK leaves TypeScript under node_modules alone, where ours lies when Refit is installed as a package. */
function alsoOurs<Rule>(rule: Rule): Rule {
  if (typeof rule !== 'object' || rule === null || !('exclude' in rule)) return rule;
  const isForeign = (file: string) => file.slice(file.startsWith(ROOT) ? ROOT.length : 0).includes('node_modules');
  return { ...rule, exclude: isForeign };
}

async function digestOfSources(): Promise<string> {
  const hash = createHash('sha256').update(
    (require('@temporalio/workflow/package.json') as { version: string }).version,
  );
  for (const source of SOURCES) {
    for (const file of await filesOf(source)) hash.update(`\0${file}\0`).update(await readFile(path.join(ROOT, file)));
  }
  return hash.digest('hex').slice(0, 24);
}

async function filesOf(source: string): Promise<string[]> {
  if (source.endsWith('.ts')) return [source];
  const names = await readdir(path.join(ROOT, source), { recursive: true });
  return names
    .filter((name) => name.endsWith('.ts'))
    .sort()
    .map((name) => `${source}/${name}`);
}

/** Another process may be removing them as well. */
async function removeOld(folder: string, keep: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const file = path.join(folder, name);
    const madeAt = (await stat(file).catch(() => undefined))?.mtimeMs ?? Date.now();
    if (name !== keep && Date.now() - madeAt > KEPT_MS) await rm(file, { force: true });
  }
}
