// The npm packages of package-lock.json. What is installed is compared with the lock file package by package, so that
// neither a half-finished installation nor a changed lock file goes unnoticed.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readJson } from './files.mjs';
import { place as realPlace } from './place.mjs';
import { SetupProblem } from './problem.mjs';
import { findAll, run, withElapsed } from './processes.mjs';

export function npmPart(place = realPlace) {
  const { root, env } = place;
  return {
    name: 'npm',
    title: 'npm packages',
    async check() {
      if (place.installed) return { ok: true, detail: 'npm packages (installed together with Refit)' };
      const wanted = (await readJson(join(root, 'package-lock.json')))?.packages;
      if (!wanted) {
        return {
          ok: false,
          detail: 'package-lock.json is missing or damaged',
          cure: 'Check the repository out again.',
        };
      }
      const installed = (await readJson(join(root, 'node_modules/.package-lock.json')))?.packages;
      const cure = `Run \`${place.command}\`.`;
      if (!installed) return { ok: false, detail: 'npm packages are not installed', cure };
      const names = Object.keys(wanted).filter((name) => name !== '' && isForThisMachine(wanted[name]));
      const wrong = names.filter((name) => isWrong(name, wanted[name], installed[name], root));
      if (wrong.length > 0) {
        const detail = `npm packages differ from package-lock.json in ${wrong.length} of ${names.length} (${first(wrong)})`;
        return { ok: false, detail, cure };
      }
      return { ok: true, detail: `${names.length} npm packages (node_modules, as locked)` };
    },
    async needs() {
      if (findAll('npm', env).length > 0) return [];
      return [new SetupProblem('npm packages: npm is not on PATH.', 'Install npm 10 or newer, which comes with Node.')];
    },
    make: (log) => install(root, env, log),
  };
}

async function install(root, env, log) {
  log('npm packages: installing what package-lock.json names, about half a minute');
  // A production setting of the machine must not leave out what the tests need.
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--include=dev', '--include=optional'];
  const result = await withElapsed(
    log,
    () => 'npm packages: still installing',
    15_000,
    () => run('npm', args, { cwd: root, env }),
  );
  if (result.ok) return;
  if (result.output.includes('EUSAGE')) {
    throw new SetupProblem(
      'npm packages could not be installed: package.json and package-lock.json do not fit together.',
      'Run `npm install`, which mends package-lock.json, or check the repository out again.',
    );
  }
  const said = result.output.split('\n').find((line) => /^npm error (?!code|errno|syscall|network$)/.test(line));
  const reason = result.timedOut
    ? 'no end after 10 minutes'
    : (said?.replace('npm error ', '') ?? `status ${result.code}`);
  throw new SetupProblem(
    `npm packages could not be installed: ${reason}`,
    'Check the network and the registry that `npm config get registry` names, then run again.',
  );
}

function isWrong(name, wanted, installed, root) {
  if (!installed || !existsSync(join(root, name))) return true;
  return wanted.version !== installed.version || (wanted.integrity ?? installed.integrity) !== installed.integrity;
}

/** Optional packages without a platform are npm's to choose; those for this machine are its native builds. */
function isForThisMachine({ optional, os, cpu, libc }) {
  if (!optional) return true;
  if (!os) return false;
  return os.includes(process.platform) && (cpu?.includes(process.arch) ?? true) && (libc?.includes('glibc') ?? true);
}

const first = (names) => `${names[0].replace('node_modules/', '')}${names.length > 1 ? ', …' : ''}`;
