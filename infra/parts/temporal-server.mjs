// The Temporal server of a deployment (not the dev server of the CLI), its schema tool and the configuration that its image
// has, which reads everything from the environment: built with Go from the pinned module in infra/temporal-server. Optional:
// containers have their own; the test of the deployment's topology needs it.
import { copyFile, mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readJson, writeJson } from './files.mjs';
import { builtWithGo, goBuild, pinnedRelease } from './go.mjs';
import { place as realPlace } from './place.mjs';
import { SetupProblem } from './problem.mjs';
import { run } from './processes.mjs';

const TITLE = 'Temporal deployment server';
const PACKAGE = 'go.temporal.io/server';
const MODULE = 'infra/temporal-server';
/** What Go names them, and what Temporal's images do. */
const PROGRAMS = { server: 'temporal-server', sql: 'temporal-sql-tool' };
const CONFIG = 'temporal-server-config/docker.yaml';

export function temporalServerPart(place = realPlace) {
  const { env } = place;
  const folder = join(place.cache, 'bin');
  const stamp = join(folder, 'temporal-server.json');
  return {
    name: 'temporal-server',
    title: TITLE,
    async check() {
      const cure = 'Run `node infra/setup.mjs --only temporal-server`.';
      const made = await readJson(stamp);
      const whole = made?.release === pinnedRelease(place, MODULE, PACKAGE) && (await sizes(folder)) === made.sizes;
      if (!whole) return { ok: false, detail: `${TITLE} is not there`, cure };
      return { ok: true, detail: `${TITLE} ${made.release} (.refit/bin/temporal-server, temporal-sql-tool)` };
    },
    ...builtWithGo(place, TITLE, async (log) => {
      const draft = join(folder, 'temporal-server.draft');
      await mkdir(draft, { recursive: true });
      try {
        const packages = [`${PACKAGE}/cmd/server`, `${PACKAGE}/cmd/tools/sql`];
        const hint = 'half a minute after the Temporal CLI was built here, 5 minutes otherwise';
        await goBuild(place, { title: TITLE, module: MODULE, packages, out: `${draft}/`, hint }, log);
        for (const [built, name] of Object.entries(PROGRAMS)) {
          const { ok } = await run(join(draft, built), ['--version'], { env, timeoutMs: 20_000 });
          if (!ok) throw new SetupProblem(`${TITLE}: the ${name} that was made does not run here.`, 'Run it again.');
          await rename(join(draft, built), join(folder, name));
        }
        await mkdir(dirname(join(folder, CONFIG)), { recursive: true });
        await copyFile(join(await sourceOf(place), 'config/docker.yaml'), join(folder, CONFIG));
        await writeJson(stamp, { release: pinnedRelease(place, MODULE, PACKAGE), sizes: await sizes(folder) });
      } finally {
        await rm(draft, { recursive: true, force: true });
      }
    }),
  };
}

/** Where Go keeps the module's sources. */
async function sourceOf({ root, env }) {
  const options = { cwd: join(root, MODULE), env: { ...env, GOWORK: 'off' }, timeoutMs: 60_000 };
  const { ok, output } = await run('go', ['list', '-mod=readonly', '-m', '-f', '{{.Dir}}', PACKAGE], options);
  if (!ok) throw new SetupProblem(`${TITLE}: Go does not tell where its sources are: ${output}`, 'Run it again.');
  return output.trim();
}

/** Bytes of each file; a half-written or missing one shows. */
async function sizes(folder) {
  const files = [...Object.values(PROGRAMS), CONFIG].map((name) => stat(join(folder, name)).catch(() => undefined));
  return (await Promise.all(files)).map((file) => file?.size ?? 0).join(' ');
}
