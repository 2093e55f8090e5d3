// ONNX Runtime for Node. Its npm package fetches CUDA libraries from elsewhere while it is installed, and where it cannot,
// npm leaves the whole package out (it is an optional dependency for this reason): it is fetched here then, without them.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { place as realPlace } from './place.mjs';
import { SetupProblem } from './problem.mjs';
import { findAll, run } from './processes.mjs';

const NAME = 'onnxruntime-node';

export function onnxruntimePart(place = realPlace) {
  return {
    name: 'onnxruntime',
    title: 'ONNX Runtime',
    async check() {
      const found = findOnnxruntime(place);
      const version = pinned(place);
      if (found) return { ok: true, detail: `ONNX Runtime ${version} (${found.where})` };
      return { ok: false, detail: `ONNX Runtime ${version} is not there`, cure: `Run \`${place.command}\`.` };
    },
    async needs() {
      // In a clone it comes with the other packages, and so does what stands in their way.
      if (!place.installed || findAll('npm', place.env).length > 0) return [];
      return [new SetupProblem('ONNX Runtime: npm is not on PATH.', 'Install npm 10 or newer, which comes with Node.')];
    },
    async make(log) {
      if (!place.installed) return;
      log(`ONNX Runtime ${pinned(place)}: fetching it with npm, 80 MB`);
      const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-save', '--no-package-lock'];
      const args = ['install', '--prefix', ownFolder(place), ...quiet, `${NAME}@${pinned(place)}`];
      const { ok, output, code } = await run('npm', args, { env: place.env });
      if (ok) return;
      const said = output.split('\n').find((line) => /^npm error (?!code|errno|syscall|network$)/.test(line));
      throw new SetupProblem(
        `ONNX Runtime could not be installed: ${said?.replace('npm error ', '') ?? `status ${code}`}`,
        'Check the network and the registry that `npm config get registry` names, then run again.',
      );
    },
  };
}

/** Folders in which a package is looked for where Node itself does not find it. */
export const extraPackages = (place) => [join(ownFolder(place), 'node_modules')];

const ownFolder = ({ cache }) => join(cache, 'npm');

/** Where it is: with the other packages, or where it was fetched to. */
export function findOnnxruntime(place = realPlace) {
  try {
    const path = createRequire(join(place.root, 'package.json')).resolve(`${NAME}/package.json`);
    return { path, where: 'npm package' };
  } catch {
    const [folder] = extraPackages(place);
    const path = join(folder, NAME, 'package.json');
    return existsSync(path) && read(path).version === pinned(place) ? { path, where: path } : undefined;
  }
}

function pinned({ root }) {
  const path = join(root, 'package.json');
  const { optionalDependencies, dependencies } = existsSync(path) ? read(path) : {};
  return { ...dependencies, ...optionalDependencies }[NAME];
}

const read = (path) => JSON.parse(readFileSync(path, 'utf8'));
