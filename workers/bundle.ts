import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** What a bundle is made of: workflows, and what they may import. */
const SOURCES = ['workflows', 'core/spec'];
const require = createRequire(import.meta.url);

/**
 * The workflow bundle's file, built when a source or the SDK changed since (1–6 s) and kept under its digest: a stale
 * bundle would run yesterday's story.
 */
export async function workflowBundle(state: string): Promise<string> {
  const folder = path.join(state, 'cache', 'workflows');
  const file = path.join(folder, `${await digestOfSources()}.js`);
  if (
    await readFile(file).then(
      () => true,
      () => false,
    )
  )
    return file;
  await mkdir(folder, { recursive: true });
  const silent = () => undefined;
  const logger = { log: silent, trace: silent, debug: silent, info: silent, warn: console.warn, error: console.error };
  const { code } = await bundleWorkflowCode({ workflowsPath: path.join(ROOT, 'workflows/index.ts'), logger });
  const temporary = `${file}.${process.pid}`;
  await writeFile(temporary, code);
  await rename(temporary, file);
  await removeOthers(folder, path.basename(file));
  return file;
}

async function digestOfSources(): Promise<string> {
  const hash = createHash('sha256').update(
    (require('@temporalio/workflow/package.json') as { version: string }).version,
  );
  for (const folder of SOURCES) {
    const names = (await readdir(path.join(ROOT, folder), { recursive: true })).filter((name) => name.endsWith('.ts'));
    for (const name of names.sort()) {
      hash.update(`\0${folder}/${name}\0`).update(await readFile(path.join(ROOT, folder, name)));
    }
  }
  return hash.digest('hex').slice(0, 24);
}

/** Old bundles are of no use to anybody; another process may be removing them as well. */
async function removeOthers(folder: string, keep: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name !== keep && name.endsWith('.js')) await rm(path.join(folder, name), { force: true });
  }
}
