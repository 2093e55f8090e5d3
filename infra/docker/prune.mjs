// Makes node_modules small for an image: native builds for other platforms go, and, with --keep, every package that those
// named do not need. Plain Node.
//   node infra/docker/prune.mjs <folder with node_modules> [--keep fastify,lmdb,…]
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/** Packages that carry their native builds for all platforms: where those lie, and which of them is this platform's. */
const BUILDS = [
  { under: 'node_modules/onnxruntime-node/bin/napi-v6', mine: process.platform },
  { under: `node_modules/onnxruntime-node/bin/napi-v6/${process.platform}`, mine: process.arch },
  {
    under: 'node_modules/@temporalio/core-bridge/releases',
    mine: `${{ x64: 'x86_64', arm64: 'aarch64' }[process.arch]}-unknown-linux-gnu`,
  },
];

/**
 * Paths (`node_modules/a/node_modules/b`) of the named packages and of all that they need, as npm's own lock file in
 * node_modules has them. @throws Error when a named package is not installed
 */
export function needed(packages, names) {
  const kept = new Set();
  const visit = (path) => {
    if (kept.has(path)) return;
    kept.add(path);
    const { dependencies, optionalDependencies, peerDependencies } = packages[path];
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
      const found = resolve(packages, path, name);
      // Optional ones are for other platforms, peers may be left out by choice.
      if (found) visit(found);
    }
  };
  for (const name of names) {
    const path = `node_modules/${name}`;
    if (!packages[path]) throw new Error(`There is no package "${name}" in node_modules.`);
    visit(path);
  }
  return kept;
}

/** Where `name` is found from the package at `path`: beside it, or in a folder above. */
function resolve(packages, path, name) {
  for (let from = path; ; from = from.slice(0, Math.max(0, from.lastIndexOf('/node_modules/')))) {
    const candidate = `${from === '' ? '' : `${from}/`}node_modules/${name}`;
    if (packages[candidate]) return candidate;
    if (from === '') return undefined;
  }
}

function main() {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { keep: { type: 'string' } } });
  const [root = '.'] = positionals;
  const gone = [];
  const remove = (path) => {
    gone.push(path);
    rmSync(join(root, path), { recursive: true, force: true });
  };
  for (const { under, mine } of BUILDS) {
    const folder = join(root, under);
    if (!existsSync(folder)) continue;
    if (!existsSync(join(folder, mine))) throw new Error(`${under} has no build for ${mine}.`);
    for (const name of readdirSync(folder)) if (name !== mine) remove(`${under}/${name}`);
  }
  if (values.keep !== undefined) {
    const { packages } = JSON.parse(readFileSync(join(root, 'node_modules/.package-lock.json'), 'utf8'));
    const kept = needed(packages, values.keep.split(','));
    for (const path of Object.keys(packages)) if (!kept.has(path) && existsSync(join(root, path))) remove(path);
  }
  console.log(`${gone.length} packages and native builds removed`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
