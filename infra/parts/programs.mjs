// Refit's programs as JavaScript, bundled from the TypeScript that is here: a process that translates TypeScript itself
// starts a second later and takes 40 MB more for as long as it lives. A bundle is named for what it is made of, so that
// changed sources never meet yesterday's program.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { readJson, writeJson } from './files.mjs';
import { extraPackages, findOnnxruntime } from './onnxruntime.mjs';
import { place as realPlace } from './place.mjs';
import { SetupProblem } from './problem.mjs';
import { run } from './processes.mjs';

/** Folders whose sources may end up in a program. */
const SOURCES = ['activities', 'cli', 'client', 'core', 'gateway', 'infra', 'schedules', 'workers', 'workflows'];
/** Program -> where it starts. */
const ENTRIES = {
  cli: 'cli/main.ts',
  dev: 'cli/dev-process.ts',
  worker: 'workers/all.ts',
  control: 'workers/control.ts',
  cpu: 'workers/cpu.ts',
  gpu: 'workers/gpu.ts',
  gateway: 'gateway/main.ts',
  'inference-worker': 'gateway/inference-worker.ts',
  child: 'core/training/child.ts',
  prebuild: 'workers/prebuild.ts',
};
/** These start a program of this bundle that lies beside them; all others look for what lies beside their source. */
const START_OTHERS = ['core/training/trainer-process.ts', 'gateway/inference-pool.ts'];
/** Bundles are kept this long, and a few of them anyway: a process that runs may still load a part of its own. */
const KEPT_MS = 7 * 24 * 3_600_000;
const KEPT = 5;

/**
 * The programs, bundled; made on first use where the set-up has not.
 * @returns {Promise<string>} path of an ES module that starts program `name`
 * @throws where it cannot be bundled or written
 */
export async function program(name, place = realPlace) {
  let said = '';
  // More than once where somebody is editing.
  for (let tries = 0; tries < 3; tries++) {
    const folder = await folderOf(place);
    if (await isWhole(folder)) return join(folder, `${name}.js`);
    // In a process of its own: the bundler would stay in the memory of the program.
    const { output } = await run(process.execPath, [fileURLToPath(import.meta.url), folder], { env: place.env });
    said = output;
  }
  throw new SetupProblem(`Refit's programs could not be bundled: ${said.slice(0, 500)}`, 'Mend the named source.');
}

/** Arguments for Node that start a program: the bundle, or the source where there can be no bundle. */
export async function programArguments(name, place = realPlace) {
  try {
    return [await program(name, place)];
  } catch {
    const tsx = createRequire(import.meta.url).resolve('tsx');
    return ['--import', pathToFileURL(tsx).href, join(place.root, ENTRIES[name])];
  }
}

/** The programs and the workflow bundle, as a part of the set-up: so that nothing has to wait for them later. */
export function programsPart(place = realPlace) {
  const cure = `Run \`${place.command}\`.`;
  const workflowsOf = (folder) => join(folder, 'workflows.json');
  return {
    name: 'programs',
    title: 'Programs',
    async check() {
      const folder = await folderOf(place);
      const { file } = (await readJson(workflowsOf(folder))) ?? {};
      if (file && existsSync(file) && (await isWhole(folder))) return { ok: true, detail: 'Programs (bundled)' };
      return { ok: false, detail: 'The programs are not bundled', cure };
    },
    needs: async () => [],
    async make(log) {
      log('Programs: bundling them and the workflows, some seconds');
      const prebuild = await program('prebuild', place);
      const { ok, output } = await run(process.execPath, [prebuild], { env: place.env });
      const file = output.split('\n').at(-1);
      if (!ok || !file)
        throw new SetupProblem(`The workflows could not be bundled: ${output.slice(0, 500)}`, 'Mend them.');
      await writeJson(workflowsOf(join(prebuild, '..')), { file });
    },
  };
}

const folderOf = async (place) => join(place.cache, 'cache', 'programs', await digestOfSources(place));

/** Whether it is there, and every package that it names by path is still where it was. */
async function isWhole(folder) {
  const made = await readJson(join(folder, 'programs.json'));
  return made?.packages.every((path) => existsSync(path)) ?? false;
}

async function build(folder, place = realPlace) {
  const { root } = place;
  const esbuild = await import('esbuild');
  const draft = `${folder}.${process.pid}`;
  const entries = Object.entries(ENTRIES).filter(([, file]) => existsSync(join(root, file)));
  const packages = new Set();
  try {
    await esbuild.build({
      entryPoints: Object.fromEntries(entries.map(([name, file]) => [name, join(root, file)])),
      outdir: draft,
      bundle: true,
      // What a program loads when it first needs it stays apart.
      splitting: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      conditions: [],
      nodePaths: extraPackages(place),
      sourcemap: true,
      sourcesContent: false,
      logLevel: 'error',
      plugins: [packagesByPath(packages), placesOfSources(root)],
    });
    await writeFile(join(draft, 'package.json'), '{ "type": "module" }\n');
    // The name by which the gateway looks for it.
    await writeFile(join(draft, 'inference-worker.mjs'), "export { default } from './inference-worker.js';\n");
    await writeJson(join(draft, 'programs.json'), { packages: [...packages] });
    if (basename(folder) !== (await digestOfSources(place))) throw new Error('the sources changed meanwhile');
    await rm(folder, { recursive: true, force: true });
    // Somebody else may have made the same meanwhile: theirs is as good.
    await rename(draft, folder).catch((error) => {
      if (!existsSync(join(folder, 'programs.json'))) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  await removeOld(join(folder, '..'));
}

/** Packages are not bundled but named by path: the bundle lies where Node would not find them by name. */
function packagesByPath(packages) {
  const asked = {};
  return {
    name: 'packages-by-path',
    setup({ onResolve, resolve }) {
      onResolve({ filter: /^[^./]/ }, async ({ path, importer, kind, resolveDir, pluginData }) => {
        if (pluginData === asked || kind === 'entry-point') return undefined;
        if (path.startsWith('node:')) return { path, external: true };
        const found = await resolve(path, { importer, kind, resolveDir, pluginData: asked });
        // What is not there yet is missed where it is needed.
        if (found.errors.length > 0 && kind === 'dynamic-import') return { path, external: true };
        if (found.external || found.errors.length > 0) return found;
        packages.add(found.path);
        return { path: pathToFileURL(found.path).href, external: true };
      });
    },
  };
}

/** A file that asks where it lies is told where its source lies: what it looks for is beside that. */
function placesOfSources(root) {
  return {
    name: 'places-of-sources',
    setup({ onLoad }) {
      onLoad({ filter: /\.(ts|mjs)$/ }, async ({ path }) => {
        const source = await readFile(path, 'utf8');
        const url = JSON.stringify(pathToFileURL(path).href);
        const moved = !START_OTHERS.includes(relative(root, path));
        const contents = moved ? source.replaceAll(/\bimport\.meta\.url\b/g, url) : source;
        return { contents, loader: path.endsWith('.ts') ? 'ts' : 'js' };
      });
    },
  };
}

async function digestOfSources(place) {
  const { root } = place;
  // Packages are named by path, and this one may come later than the others.
  const hash = createHash('sha256').update(`${root}\0${findOnnxruntime(place)?.path}\0`);
  for (const file of ['package.json', 'node_modules/.package-lock.json']) {
    hash.update(await readFile(join(root, file)).catch(() => ''));
  }
  for (const folder of SOURCES) {
    const names = await readdir(join(root, folder), { recursive: true }).catch(() => []);
    for (const name of names.filter((file) => /\.(ts|mjs)$/.test(file)).sort()) {
      hash.update(`\0${folder}/${name}\0`).update(await readFile(join(root, folder, name)));
    }
  }
  return hash.digest('hex').slice(0, 24);
}

async function removeOld(parent) {
  const folders = (await readdir(parent)).map((name) => join(parent, name));
  const ages = await Promise.all(folders.map(async (path) => ({ path, at: (await stat(path)).mtimeMs })));
  const old = ages.sort((a, b) => b.at - a.at).slice(KEPT);
  for (const { path, at } of old) if (Date.now() - at > KEPT_MS) await rm(path, { recursive: true, force: true });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await build(process.argv[2]);
