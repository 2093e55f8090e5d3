// LightGBM's native library, taken out of its PyPI wheel: the same build that Python users have. Python only fetches and
// unpacks it; nothing of Python runs later.
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from './files.mjs';
import { place as realPlace, shown } from './place.mjs';
import { SetupProblem } from './problem.mjs';
import { findAll, run } from './processes.mjs';

const VERSION = '4.7.0';
/** SHA-256 of lib_lightgbm.so in the wheels of that version, by `platform-arch`. */
const DIGESTS = {
  'linux-x64': '573d57e8a2c6290c2271b99b87afa7a802e796eafc9e8d66aefa0913cbc1616a',
  'linux-arm64': '05ec49bad350009b9debd36769ef1cced2132cd93abfe3fe0b8aa116c4388052',
};
const MEMBER = 'lightgbm/lib/lib_lightgbm.so';
const OPENMP = 'libgomp.so.1';

/** Where LightGBM's library lies once it is set up. */
export const libraryIn = (cache) => join(cache, 'lib', 'lib_lightgbm.so');

export function lightgbmPart(
  place = realPlace,
  machine = `${process.platform}-${process.arch}`,
  digest = DIGESTS[machine],
) {
  const library = libraryIn(place.cache);
  const cure = `Run \`${place.command}\`.`;
  const isWhole = async () => existsSync(library) && (await sha256(library)) === digest;
  return {
    name: 'lightgbm',
    title: `LightGBM ${VERSION}`,
    async check() {
      if (!existsSync(library)) return { ok: false, detail: `LightGBM ${VERSION} is not there`, cure };
      if (!(await isWhole())) {
        return { ok: false, detail: `${library} is not LightGBM ${VERSION}: its checksum differs`, cure };
      }
      const reason = loadError(library);
      if (reason) return { ok: false, detail: `LightGBM ${VERSION} is there but does not load: ${reason}`, cure };
      return { ok: true, detail: `LightGBM ${VERSION} (${shown(place, library)}, checksum right)` };
    },
    async needs() {
      if (!digest) return [unsupported(machine)];
      const python = (await isWhole()) ? [] : await pythonProblems(place.env);
      return loadError(OPENMP) && !canInstall(place.env) ? [...python, openmpProblem()] : python;
    },
    async make(log) {
      if (loadError(OPENMP)) await installOpenmp(place.env, log);
      if (await isWhole()) return;
      const python = await pythonWithPip(place.env);
      if (!python) throw (await pythonProblems(place.env))[0];
      const folder = join(place.cache, 'lib', 'wheel');
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { recursive: true });
      try {
        await fetchWheel(python, folder, place.env, log);
        const unpacked = await unpack(python, folder, place.env);
        if ((await sha256(unpacked)) !== digest) {
          throw new SetupProblem(
            `LightGBM ${VERSION}: the library in the wheel that pip fetched has another checksum than the one known here.`,
            'Make pip use an index that carries the wheels of PyPI unchanged.',
          );
        }
        await rename(unpacked, library);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}

/** Why the system's loader refuses a library; undefined where it takes it. */
export function loadError(library) {
  try {
    process.dlopen({ exports: {} }, library);
  } catch (error) {
    // Loaded, and then found to be no Node add-on: all that is asked here.
    if (error.message.includes('did not self-register')) return undefined;
    return error.message.split('\n')[0];
  }
  return undefined;
}

/** The first python3 on PATH that has pip: with several of them, the first is not always the whole one. */
async function pythonWithPip(env) {
  for (const python of findAll('python3', env)) {
    const { ok } = await run(python, ['-m', 'pip', '--version'], { env, timeoutMs: 60_000 });
    if (ok) return python;
  }
  return undefined;
}

async function pythonProblems(env) {
  if (await pythonWithPip(env)) return [];
  const found = findAll('python3', env).length > 0 ? 'python3 has no pip' : 'python3 is not on PATH';
  return [
    new SetupProblem(
      `LightGBM ${VERSION}: ${found}, which fetches its wheel from PyPI.`,
      'Install Python 3 with pip (Debian, Ubuntu: apt-get install python3-pip); any version from 3.8 will do.',
    ),
  ];
}

async function fetchWheel(python, folder, env, log) {
  log(`LightGBM ${VERSION}: fetching its wheel from PyPI with pip, 3.5 MB`);
  const options = ['--quiet', '--no-deps', '--only-binary=:all:', '--no-input', '--retries', '2', '--dest', folder];
  const result = await run(python, ['-m', 'pip', 'download', ...options, `lightgbm==${VERSION}`], { env });
  if (result.ok) return;
  const said = result.output.split('\n').findLast((line) => line.startsWith('ERROR: '));
  throw new SetupProblem(
    `LightGBM ${VERSION} could not be fetched with pip: ${said?.replace('ERROR: ', '') ?? `status ${result.code}`}`,
    'Check the network and the index that `python3 -m pip config list` names, then run again.',
  );
}

async function unpack(python, folder, env) {
  const wheel = (await readdir(folder)).find((file) => file.endsWith('.whl')) ?? '';
  const script = 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract(sys.argv[2], sys.argv[3])';
  const result = await run(python, ['-c', script, join(folder, wheel), MEMBER, folder], { env });
  if (result.ok) return join(folder, MEMBER);
  const reason = result.output.split('\n').at(-1);
  throw new SetupProblem(
    `LightGBM ${VERSION}: ${wheel || 'the wheel'} could not be unpacked: ${reason}`,
    'Run it again.',
  );
}

const canInstall = (env) => process.getuid?.() === 0 && findAll('apt-get', env).length > 0;

async function installOpenmp(env, log) {
  log(`LightGBM ${VERSION}: installing libgomp1 (${OPENMP}) with apt-get`);
  const quiet = { env: { ...env, DEBIAN_FRONTEND: 'noninteractive' } };
  await run('apt-get', ['update'], quiet);
  await run('apt-get', ['install', '-y', '--no-install-recommends', 'libgomp1'], quiet);
  if (loadError(OPENMP)) throw openmpProblem();
}

const openmpProblem = () =>
  new SetupProblem(
    `LightGBM ${VERSION}: the system library ${OPENMP} is missing.`,
    'Install it (Debian, Ubuntu: apt-get install libgomp1; Fedora: dnf install libgomp).',
  );

const unsupported = (machine) =>
  new SetupProblem(
    `LightGBM ${VERSION}: there is no build for ${machine} here.`,
    `Use one of ${Object.keys(DIGESTS).join(', ')} (with glibc), for instance in a container.`,
  );
