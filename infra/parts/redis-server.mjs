// A Redis server for the tests of the online store, each of which starts one of its own. Optional: whoever serves with Redis
// has one running somewhere, and the default online store needs none.
import { existsSync } from 'node:fs';
import { delimiter } from 'node:path';
import { place as realPlace } from './place.mjs';
import { SetupProblem } from './problem.mjs';
import { findAll, run } from './processes.mjs';

const TITLE = 'Redis server';
const NAME = 'redis-server';
/** Scripts of the online store need what 6.2 brings; newer ones are fine. */
const OLDEST = [6, 2];
/** Where Debian puts it, for a PATH that is somebody's own. */
const USUAL = ['/usr/bin', '/usr/local/bin'];

export function redisServerPart(place = realPlace) {
  const { env } = place;
  return {
    name: NAME,
    title: TITLE,
    async check() {
      const found = await findRedis(env);
      if (found) return { ok: true, detail: `${TITLE} ${found.version} (${found.path})` };
      return { ok: false, detail: `${TITLE} is not there`, cure: cure(place) };
    },
    needs: async () => (canInstall() ? [] : [missing(place)]),
    async make(log) {
      if (!canInstall()) throw missing(place);
      log(`${TITLE}: installing Debian's with apt-get`);
      // Debian would start a service at the port that people expect theirs at: with this run level it does not.
      const quiet = { env: { ...env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' } };
      await run('apt-get', ['update'], quiet);
      const { output } = await run('apt-get', ['install', '-y', '--no-install-recommends', NAME], quiet);
      if (await findRedis(env)) return;
      const said = output.split('\n').findLast((line) => line.startsWith('E: '));
      throw new SetupProblem(
        `${TITLE}: apt-get could not install it${said ? ` (${said.slice(3)})` : ''}.`,
        'Check the package sources and the network, then run again.',
      );
    },
  };
}

/** The first redis-server that runs here and is new enough. @returns {Promise<{ path: string, version: string } | undefined>} */
export async function findRedis(env = process.env) {
  const PATH = [env.PATH ?? '', ...USUAL].join(delimiter);
  for (const path of findAll(NAME, { PATH })) {
    const { ok, output } = await run(path, ['--version'], { env, timeoutMs: 20_000 });
    const version = /v=(\d+\.\d+\.\d+)/.exec(output)?.[1];
    if (ok && version && isNewEnough(version)) return { path, version };
  }
  return undefined;
}

function isNewEnough(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
}

const canInstall = () => process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');

const cure = ({ command }) =>
  canInstall()
    ? `Run \`${command} --only ${NAME}\`.`
    : `Install ${OLDEST.join('.')} or newer (Debian, Ubuntu: apt-get install ${NAME}).`;

const missing = (place) =>
  new SetupProblem(`${TITLE}: there is no ${NAME} on this machine, and only root can install it.`, cure(place));
