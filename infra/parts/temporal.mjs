// The Temporal server, in this order: TEMPORAL_ADDRESS, `temporal` on PATH, the cached binary, the download that the SDKs
// use, a build with Go from the pinned module in infra/temporal.
import { readFileSync } from 'node:fs';
import { chmod, mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readJson, sha256, writeJson } from './files.mjs';
import { atLeast, goBuild, goProblem } from './go.mjs';
import { place as realPlace, shown } from './place.mjs';
import { SetupProblem } from './problem.mjs';
import { findAll, run } from './processes.mjs';

const PACKAGE = 'github.com/temporalio/cli';
const TITLE = 'Temporal server';
const PROBE_MS = 10_000;
/** REFIT_TEMPORAL_DOWNLOADS may name a mirror of it. */
const DOWNLOADS = 'https://temporal.download';

export function temporalPart(place = realPlace) {
  const { env } = place;
  return {
    name: 'temporal',
    title: TITLE,
    async check() {
      if (env.TEMPORAL_ADDRESS) return { ok: true, detail: `Temporal at ${env.TEMPORAL_ADDRESS} (TEMPORAL_ADDRESS)` };
      const found = (await onPath(env)) ?? (await cached(place));
      if (found) return { ok: true, detail: `Temporal server ${found.server} (${found.where})` };
      return { ok: false, detail: 'Temporal server is not there', cure: `Run \`${place.command}\`.` };
    },
    async needs() {
      const problem = await goReason(env);
      return problem && !(await askDownload(place)) ? [problem] : [];
    },
    async make(log) {
      const binary = binaryIn(place.cache);
      await mkdir(join(place.cache, 'bin'), { recursive: true });
      const draft = `${binary}.draft`;
      try {
        const source = (await download(place, draft, log)) ? 'download' : await build(place, draft, log);
        const version = await versionOf(draft, env);
        if (!version) {
          throw new SetupProblem('Temporal server: what was made does not run on this machine.', 'Run it again.');
        }
        await publish(draft, binary, { ...version, source, release: release(place) });
      } finally {
        await rm(draft, { force: true });
      }
    },
  };
}

/** The Temporal binary that a local server is started from: on PATH, or the cached one; undefined where neither is. */
export async function findBinary(place = realPlace) {
  return ((await onPath(place.env)) ?? (await cached(place)))?.path;
}

const binaryIn = (cache) => join(cache, 'bin', 'temporal');

/** The release of the Temporal CLI that the Go module pins, e.g. `v1.5.1`. */
function release(place) {
  const pinned = new RegExp(`${PACKAGE} (v\\S+)`).exec(readFileSync(join(place.root, 'infra/temporal/go.mod'), 'utf8'));
  return pinned?.[1];
}

async function onPath(env) {
  for (const path of findAll('temporal', env)) {
    const version = await versionOf(path, env);
    if (version) return { path, server: version.server, where: path };
  }
  return undefined;
}

async function cached(place) {
  const path = binaryIn(place.cache);
  const stamp = await readJson(`${path}.json`);
  const file = await stat(path).catch(() => undefined);
  if (!stamp || !file || stamp.release !== release(place)) return undefined;
  // Reading 200 MB for each look would take longer than all the rest: an untouched file is trusted.
  const untouched = file.size === stamp.bytes && file.mtimeMs === stamp.mtimeMs;
  if (!untouched && (await sha256(path)) !== stamp.sha256) return undefined;
  const version = await versionOf(path, place.env);
  return version && { path, server: version.server, where: `${shown(place, path)}, cached` };
}

async function publish(draft, binary, stamp) {
  await chmod(draft, 0o755);
  const { size, mtimeMs } = await stat(draft);
  await writeJson(`${binary}.json`, { ...stamp, sha256: await sha256(draft), bytes: size, mtimeMs });
  await rename(draft, binary);
}

/**
 * The version of a Temporal CLI, from `temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)`; undefined where it does not run
 * or is older than 1.3. A CLI built from source calls itself 0.0.0-DEV and is judged by its server, 1.27 in CLI 1.3.
 */
async function versionOf(binary, env) {
  const { ok, output } = await run(binary, ['--version'], { env, timeoutMs: 20_000 });
  const [, cli, server] = /version (\S+) \(Server ([\d.]+)/.exec(output) ?? [];
  if (!ok || !cli || !server) return undefined;
  const fits = cli.startsWith('0.0.0') ? atLeast(server, [1, 27]) : atLeast(cli, [1, 3]);
  return fits ? { cli, server } : undefined;
}

const goReason = (env) =>
  goProblem(env, { title: TITLE, otherwise: ', put `temporal` 1.3 or newer on PATH, or set TEMPORAL_ADDRESS' });

/** Where the SDKs' download service has the pinned release; undefined where it cannot be reached, as in a closed network. */
async function askDownload(place) {
  const os = { linux: 'linux', darwin: 'darwin' }[process.platform];
  const arch = { x64: 'amd64', arm64: 'arm64' }[process.arch];
  try {
    const url = `${place.env.REFIT_TEMPORAL_DOWNLOADS ?? DOWNLOADS}/cli/${release(place)}?arch=${arch}&platform=${os}&format=tar.gz`;
    const response = await fetch(url, { signal: AbortSignal.timeout(PROBE_MS) });
    const info = response.ok ? await response.json() : {};
    return info.archiveUrl && info.fileToExtract ? info : undefined;
  } catch {
    return undefined;
  }
}

/** @returns whether the binary is there now; any failure means no, since Go can still build it. */
async function download(place, draft, log) {
  const info = await askDownload(place);
  if (!info) return false;
  log(`Temporal server: downloading Temporal CLI ${release(place)}`);
  const archive = `${draft}.tar.gz`;
  const folder = `${draft}.unpacked`;
  try {
    const response = await fetch(info.archiveUrl, { signal: AbortSignal.timeout(600_000) });
    if (!response.ok) return false;
    await writeFile(archive, response.body);
    await mkdir(folder, { recursive: true });
    const { ok } = await run('tar', ['-xzf', archive, '-C', folder], { env: place.env });
    if (ok) await rename(join(folder, info.fileToExtract), draft);
    return ok;
  } catch {
    return false;
  } finally {
    await rm(archive, { force: true });
    await rm(folder, { recursive: true, force: true });
  }
}

async function build(place, draft, log) {
  const problem = await goReason(place.env);
  if (problem) throw problem;
  const linker = `-s -w -X ${PACKAGE}/temporalcli.Version=${release(place)?.slice(1)}`;
  const packages = [`${PACKAGE}/cmd/temporal`];
  const hint = '2 to 6 minutes with two cores';
  await goBuild(place, { title: TITLE, module: 'infra/temporal', packages, out: draft, linker, hint }, log);
  return 'go';
}
