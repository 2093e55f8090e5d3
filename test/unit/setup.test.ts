import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { appendFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

// The set-up as a person starts it, in a fresh copy of the project whose PATH holds nothing but made-up programs.
const infra = fileURLToPath(new URL('../../infra', import.meta.url));
type Started = ChildProcessByStdio<null, Readable, Readable>;
let project: string;

beforeEach(async () => {
  project = await mkdtemp(join(tmpdir(), 'refit-setup-'));
  await cp(infra, join(project, 'infra'), { recursive: true });
  await lockPackages('1.0.0');
});
afterEach(() => rm(project, { recursive: true, force: true }));

async function lockPackages(version: string): Promise<void> {
  const packages = {
    '': {},
    'node_modules/left': { version },
    'node_modules/other-os': { version, optional: true, os: ['plan9'] },
  };
  await writeFile(join(project, 'package-lock.json'), JSON.stringify({ packages }));
}

/** Puts a shell script on the PATH of the set-up; each call of it is written down. */
async function program(name: string, script: string): Promise<void> {
  await put(`bin/${name}`, `#!/bin/sh\nPATH=/usr/bin:/bin\necho "${name} $*" >>${project}/calls\n${script}\n`, 0o755);
}

async function put(path: string, content: string, mode = 0o644): Promise<void> {
  await mkdir(dirname(join(project, path)), { recursive: true });
  await writeFile(join(project, path), content, { mode });
}

const calls = async (start: string) =>
  (await readFile(join(project, 'calls'), 'utf8').catch(() => '')).split('\n').filter((line) => line.startsWith(start));

const installs = `mkdir -p node_modules/left; sleep 0.2; cp package-lock.json node_modules/.package-lock.json`;
const temporal = (cli: string, server: string) => `echo "temporal version ${cli} (Server ${server}, UI 2.42.1)"`;
/** `go env …` tells its version; `go build … -o FILE …` writes a Temporal binary. */
const go = (version = 'go1.26.0') => `
[ "$1" = env ] && { echo ${version}; echo local; exit 0; }
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\n%s\\n' '${temporal('1.5.1', '1.29.1')}' >"$2"; chmod +x "$2"`;

function start(args: string[], env: NodeJS.ProcessEnv = {}): Started {
  return spawn(process.execPath, [join(project, 'infra/setup.mjs'), ...args], {
    cwd: tmpdir(),
    // Port 9 is discard: nothing answers, as in a closed network.
    env: { PATH: join(project, 'bin'), REFIT_TEMPORAL_DOWNLOADS: 'http://127.0.0.1:9', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

async function outcome(child: Started): Promise<{ status: number; out: string; err: string }> {
  const ended = once(child, 'close');
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [status] = (await ended) as [number];
  return { status, out, err };
}

const setUp = (args: string[], env?: NodeJS.ProcessEnv) => outcome(start(args, env));

test('npm packages are installed once, and again when the lock file changes', async () => {
  await program('npm', installs);
  expect(await setUp(['--only', 'npm'])).toMatchObject({ status: 0, out: expect.stringMatching(/✓ 1 npm packages/) });
  expect(await setUp(['--only', 'npm'])).toMatchObject({
    status: 0,
    out: '✓ 1 npm packages (node_modules, as locked)\n',
  });
  expect(await calls('npm ci')).toHaveLength(1);
  await lockPackages('2.0.0');
  expect(await setUp(['--only', 'npm'])).toMatchObject({ status: 0 });
  expect(await calls('npm ci')).toHaveLength(2);
});

test('a package that was deleted is noticed', async () => {
  await program('npm', installs);
  await setUp(['--only', 'npm']);
  await rm(join(project, 'node_modules/left'), { recursive: true });
  const { status, out } = await setUp(['--only', 'npm', '--check']);
  expect(status).toBe(1);
  expect(out).toContain('differ from package-lock.json in 1 of 1 (left)');
});

test('two set-ups at once install once and both succeed', async () => {
  await program('npm', installs);
  const both = await Promise.all([setUp(['--only', 'npm']), setUp(['--only', 'npm'])]);
  expect(both.map(({ status }) => status)).toEqual([0, 0]);
  expect(await calls('npm ci')).toHaveLength(1);
});

test('the lock of a set-up that was killed does not stop the next one', async () => {
  await program('npm', 'exec sleep 3');
  const killed = start(['--only', 'npm']);
  while ((await calls('npm ci')).length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  killed.kill('SIGKILL');
  await once(killed, 'exit');
  expect(existsSync(join(project, '.refit/setup.lock'))).toBe(true);
  await program('npm', installs);
  expect(await setUp(['--only', 'npm'])).toMatchObject({ status: 0 });
  expect(existsSync(join(project, '.refit/setup.lock'))).toBe(false);
});

test('where npm fails, its reason is told in a sentence, with a cure and no stack', async () => {
  await program('npm', 'echo "npm error code EAI_AGAIN"; echo "npm error no such host"; exit 1');
  const { status, out, err } = await setUp(['--only', 'npm']);
  expect({ status, err }).toEqual({ status: 1, err: '' });
  expect(out).toMatch(/✗ npm packages could not be installed: no such host\n {2}→ Check the network/);
});

test('Temporal is built with Go once, and again when the binary is damaged or another release is pinned', async () => {
  await program('go', go());
  const first = await setUp(['--only', 'temporal']);
  expect(first.out).toMatch(
    /building it with Go.*✓ Temporal server 1\.29\.1 \(\.refit\/bin\/temporal, cached\), made in/s,
  );
  const second = await setUp(['--only', 'temporal']);
  expect(second.out).toBe('✓ Temporal server 1.29.1 (.refit/bin/temporal, cached)\n');
  expect(await calls('go build')).toHaveLength(1);

  await appendFile(join(project, '.refit/bin/temporal'), '# damaged\n');
  expect(await setUp(['--only', 'temporal'])).toMatchObject({ status: 0 });
  expect(await calls('go build')).toHaveLength(2);

  const pinned = join(project, 'infra/temporal/go.mod');
  await writeFile(pinned, (await readFile(pinned, 'utf8')).replace(/(temporalio\/cli) v\S+/, '$1 v1.6.0'));
  expect(await setUp(['--only', 'temporal'])).toMatchObject({ status: 0 });
  expect(await calls('go build')).toHaveLength(3);
});

test('a Temporal on PATH is used, unless it is too old', async () => {
  await program('temporal', temporal('1.4.0', '1.28.0'));
  expect((await setUp(['--only', 'temporal'])).out).toBe(`✓ Temporal server 1.28.0 (${project}/bin/temporal)\n`);
  await program('temporal', temporal('1.2.9', '1.26.2'));
  const { status, out } = await setUp(['--only', 'temporal']);
  expect(status).toBe(1);
  expect(out).toMatch(/✗ Temporal server: none was found here, and Go, .* is not on PATH\.\n {2}→ Install Go/);
});

test('with TEMPORAL_ADDRESS no Temporal is needed here', async () => {
  const { status, out } = await setUp(['--only', 'temporal'], { TEMPORAL_ADDRESS: 'temporal.example:7233' });
  expect({ status, out }).toEqual({ status: 0, out: '✓ Temporal at temporal.example:7233 (TEMPORAL_ADDRESS)\n' });
});

test('where the download service answers, Temporal comes from there and Go is not needed', async () => {
  await put('archive/temporal', `#!/bin/sh\n${temporal('1.5.1', '1.29.1')}\n`, 0o755);
  await once(spawn('tar', ['-czf', join(project, 'a.tgz'), '-C', join(project, 'archive'), 'temporal']), 'exit');
  const archive = await readFile(join(project, 'a.tgz'));
  const server = createServer((request, response) => {
    const archiveUrl = `http://${request.headers.host}/archive`;
    if (request.url === '/archive') response.end(archive);
    else response.end(JSON.stringify({ archiveUrl, fileToExtract: 'temporal' }));
  }).listen(0, '127.0.0.1');
  try {
    await once(server, 'listening');
    await program('tar', 'exec tar "$@"');
    const env = { REFIT_TEMPORAL_DOWNLOADS: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
    const { status, out } = await setUp(['--only', 'temporal'], env);
    expect(out).toMatch(
      /downloading Temporal CLI v1\.5\.1.*✓ Temporal server 1\.29\.1 \(\.refit\/bin\/temporal, cached\)/s,
    );
    expect(status).toBe(0);
  } finally {
    server.close();
  }
});

test('an old Go is refused before it starts', async () => {
  await program('go', go('go1.24.3'));
  const { status, out } = await setUp(['--only', 'temporal']);
  expect(status).toBe(1);
  expect(out).toContain('this Go (1.24.3) is too old');
  expect(await calls('go build')).toEqual([]);
});

test('a LightGBM with other bytes than the known ones is not taken', async () => {
  await program(
    'python3',
    `
case "$2" in
  pip) [ "$3" = download ] && for last; do :; done; while [ $# -gt 1 ]; do [ "$1" = --dest ] && touch "$2/lightgbm.whl"; shift; done ;;
  *) mkdir -p "$5/lightgbm/lib"; echo other >"$5/lightgbm/lib/lib_lightgbm.so" ;;
esac`,
  );
  const { status, out } = await setUp(['--only', 'lightgbm']);
  expect(status).toBe(1);
  expect(out).toContain('another checksum than the one known here');
  expect(existsSync(join(project, '.refit/lib/lib_lightgbm.so'))).toBe(false);
  expect(existsSync(join(project, '.refit/lib/wheel'))).toBe(false);
});

test('all that is missing is told at once, before anything is started', async () => {
  await program('npm', installs);
  const { status, out, err } = await setUp(['--json']);
  const report = JSON.parse(out) as {
    ok: boolean;
    error: { code: string; details: { problems: { message: string; cure: string }[] } };
  };
  expect({ status, ok: report.ok, code: report.error.code }).toEqual({
    status: 1,
    ok: false,
    code: 'REFIT_SETUP_MISSING',
  });
  const messages = report.error.details.problems.map(({ message }) => message);
  expect(messages).toEqual([
    expect.stringMatching(/^LightGBM .* python3 /),
    expect.stringMatching(/^Temporal server: .* Go, /),
  ]);
  expect(err).toContain(messages[1]);
  expect(await calls('npm')).toEqual([]);
});

test('--check only looks', async () => {
  await program('npm', installs);
  const { status, out } = await setUp(['--check']);
  expect(status).toBe(1);
  expect(out).toMatch(/✓ Node.*✗ npm packages are not installed\n {2}→ .*✗ LightGBM.*✗ Temporal server/s);
  expect(await calls('npm')).toEqual([]);
  expect(existsSync(join(project, '.refit'))).toBe(false);
});

test.each([
  [['--only', 'npm,redis'], 'There is no part "redis".'],
  [['--onyl', 'npm'], "Unknown option '--onyl'"],
])('wrong usage is told: %s', async (args, message) => {
  const { status, err } = await setUp(args);
  expect(status).toBe(2);
  expect(err).toContain(message);
  expect(err).toContain('Usage: node infra/setup.mjs');
});
