// Programs built with Go from a module of ours that pins them, for what no package registry has as a binary.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SetupProblem } from './problem.mjs';
import { elapsed, findAll, run, withElapsed } from './processes.mjs';

const OLDEST = [1, 25];

/** `atLeast('1.29.1', [1, 27])` → true */
export function atLeast(version, [major, minor]) {
  const [a = 0, b = 0] = version.split('.').map(Number);
  return a > major || (a === major && b >= minor);
}

/** Why Go cannot build here; undefined where it can. `title` opens the sentence, `otherwise` ends the cure. */
export async function goProblem(env, { title, otherwise = '' }) {
  const cure = `Install Go ${OLDEST.join('.')} or newer (https://go.dev/dl)${otherwise}.`;
  if (findAll('go', env).length === 0) {
    return new SetupProblem(`${title}: none was found here, and Go, which would build it, is not on PATH.`, cure);
  }
  const { output } = await run('go', ['env', 'GOVERSION', 'GOTOOLCHAIN'], { env, timeoutMs: 60_000 });
  const [version = '', toolchain] = output.split('\n');
  const number = version.replace('go', '');
  // From 1.21 on Go fetches the newer toolchain that a module asks for, unless it is told not to.
  if (atLeast(number, OLDEST) || (atLeast(number, [1, 21]) && toolchain !== 'local')) return undefined;
  return new SetupProblem(`${title}: Go would build it, but this Go (${number || 'unknown'}) is too old.`, cure);
}

/** `needs` and `make` of a part that Go builds: where it cannot, nothing is begun. */
export function builtWithGo({ env }, title, make) {
  return {
    async needs() {
      const problem = await goProblem(env, { title });
      return problem ? [problem] : [];
    },
    async make(log) {
      const problem = await goProblem(env, { title });
      if (problem) throw problem;
      await make(log);
    },
  };
}

/** The release of a package that a module of ours pins, e.g. `v1.8.0`. */
export function pinnedRelease({ root }, module, name) {
  const text = readFileSync(join(root, module, 'go.mod'), 'utf8');
  return new RegExp(`${name} (v\\S+)`).exec(text)?.[1];
}

/**
 * Builds packages of a pinned module; `out` is a file, or a folder (ending in `/`) for several.
 * @throws SetupProblem with what Go said
 */
export async function goBuild({ root, env }, { title, module, packages, out, linker = '-s -w', hint }, log) {
  const started = Date.now();
  let compiled = 0;
  const progress = () => `${title}: still building, ${compiled} Go packages compiled`;
  log(`${title}: building it with Go, once: ${hint} (3 GB in the caches of Go)`);
  const args = ['build', '-v', '-mod=readonly', '-trimpath', '-buildvcs=false', '-ldflags', linker, '-o', out];
  const options = {
    cwd: join(root, module),
    env: { ...env, CGO_ENABLED: '0', GOWORK: 'off' },
    timeoutMs: 3_600_000,
    onLine: (line) => {
      if (/^[\w.-]+(\/\S+)*$/.test(line)) compiled += 1;
    },
  };
  const result = await withElapsed(log, progress, 30_000, () => run('go', [...args, ...packages], options));
  if (!result.ok) throw buildProblem(title, result);
  log(`${title}: built in ${elapsed(Date.now() - started)}`);
}

function buildProblem(title, { output, timedOut, code }) {
  const lines = output.split('\n').filter((line) => !line.startsWith('go: downloading'));
  const said = lines.find((line) => /no space left|dial tcp|lookup |timeout|Forbidden|not found|error|: /i.test(line));
  const reason = timedOut ? 'no end after an hour' : (said ?? `status ${code}`).trim().slice(0, 300);
  const space = /no space left/.test(output);
  return new SetupProblem(
    `${title} could not be built with Go: ${reason}`,
    space
      ? 'Free 4 GB of disk for the caches of Go (`go env GOCACHE GOMODCACHE`), then run again.'
      : 'Check the network and the module proxy that `go env GOPROXY` names, then run again.',
  );
}
