// Starts the gateway: bundles its TypeScript (a tenth of a second) and runs the bundle. Running the sources themselves would
// keep a TypeScript loader and a compiler in memory for as long as the gateway runs, 70 MB of them.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import v8 from 'node:v8';
import { build, stop } from 'esbuild';

const ENTRIES = ['main.ts', 'inference-worker.ts'];

/** Sources find their packages and neighbours where they stand, not where the bundle stands. */
const inPlace = {
  name: 'in-place',
  setup(/** @type {import('esbuild').PluginBuild} */ plugin) {
    plugin.onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
      if (kind === 'entry-point') return undefined;
      return { path: path.startsWith('node:') ? path : import.meta.resolve(path), external: true };
    });
    plugin.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      const isOurs = basename(path) !== 'inference-pool.ts';
      const contents = isOurs ? source.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)) : source;
      return { contents, loader: 'ts' };
    });
  },
};

async function bundle() {
  const { outputFiles } = await build({
    entryPoints: ENTRIES.map((name) => fileURLToPath(new URL(name, import.meta.url))),
    outdir: '/bundle',
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    write: false,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    plugins: [inPlace],
    logLevel: 'error',
  });
  await stop();
  const hash = createHash('sha256');
  for (const { path, contents } of outputFiles) hash.update(path).update(contents);
  return { files: outputFiles, digest: hash.digest('hex').slice(0, 24) };
}

/** The bundle's folder, under the digest of what is in it: processes that start at once write the same. */
async function publish(/** @type {string} */ folder, /** @type {Awaited<ReturnType<typeof bundle>>} */ built) {
  const target = join(folder, built.digest);
  if (existsSync(target)) return target;
  const temporary = `${target}.${process.pid}`;
  await mkdir(temporary, { recursive: true });
  for (const { path, contents } of built.files) await writeFile(join(temporary, basename(path)), contents);
  await rename(temporary, target).catch(() => rm(temporary, { recursive: true }));
  return target;
}

// Loading packages lets the young generation grow to sizes that a waiting gateway never needs: 20 MB, not given back.
v8.setFlagsFromString('--semi-space-growth-factor=1');
setTimeout(() => v8.setFlagsFromString('--semi-space-growth-factor=2'), 3000).unref();

const built = await bundle();
const cache = join(resolve(process.env.REFIT_ROOT ?? '.'), '.refit', 'cache', 'gateway');
// A project that may not be written to can still be served from.
const elsewhere = async () => publish(await mkdtemp(join(tmpdir(), 'refit-gateway-')), built);
const folder = await publish(cache, built).catch(elsewhere);
await import(pathToFileURL(join(folder, 'main.mjs')).href);
