// An S3 server for this machine (versitygw, which keeps objects as files of a folder), built with Go from the pinned module in
// infra/s3-server. Optional: who has an S3 store needs none; the tests of that store and of the deployment's topology do.
import { chmod, mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readJson, sha256, writeJson } from './files.mjs';
import { builtWithGo, goBuild, pinnedRelease } from './go.mjs';
import { place as realPlace, shown } from './place.mjs';
import { SetupProblem } from './problem.mjs';
import { run } from './processes.mjs';

const TITLE = 'S3 server (versitygw)';
const PACKAGE = 'github.com/versity/versitygw';
const MODULE = 'infra/s3-server';

export function s3ServerPart(place = realPlace) {
  const { env } = place;
  const program = programIn(place.cache);
  return {
    name: 's3-server',
    title: TITLE,
    async check() {
      const cure = 'Run `node infra/setup.mjs --only s3-server`.';
      const made = await readJson(`${program}.json`);
      if (!made || made.release !== pinnedRelease(place, MODULE, PACKAGE) || !(await isWhole(program, made))) {
        return { ok: false, detail: `${TITLE} is not there`, cure };
      }
      return { ok: true, detail: `${TITLE} ${made.release} (${shown(place, program)})` };
    },
    ...builtWithGo(place, TITLE, async (log) => {
      const draft = `${program}.draft`;
      await mkdir(join(place.cache, 'bin'), { recursive: true });
      try {
        const packages = [`${PACKAGE}/cmd/versitygw`];
        await goBuild(place, { title: TITLE, module: MODULE, packages, out: draft, hint: '1 to 3 minutes' }, log);
        await chmod(draft, 0o755);
        const { ok } = await run(draft, ['--help'], { env, timeoutMs: 20_000 });
        if (!ok) throw new SetupProblem(`${TITLE}: what was made does not run on this machine.`, 'Run it again.');
        const { size, mtimeMs } = await stat(draft);
        const stamp = {
          release: pinnedRelease(place, MODULE, PACKAGE),
          sha256: await sha256(draft),
          bytes: size,
          mtimeMs,
        };
        await writeJson(`${program}.json`, stamp);
        await rename(draft, program);
      } finally {
        await rm(draft, { force: true });
      }
    }),
  };
}

/** Where the program lies, whether it is there yet or not. */
export const programIn = (cache) => join(cache, 'bin', 'versitygw');

/** An untouched file is trusted; a copied one is read. */
async function isWhole(program, made) {
  const file = await stat(program).catch(() => undefined);
  if (file?.size !== made.bytes) return false;
  return file.mtimeMs === made.mtimeMs || (await sha256(program)) === made.sha256;
}
