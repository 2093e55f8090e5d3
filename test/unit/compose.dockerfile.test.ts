import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { ROLES } from '../../infra/docker/checks.mjs';
import { needed } from '../../infra/docker/prune.mjs';
import { copiedFromContext, isIgnored, ROOT, stagesOf, textOf } from './compose.fixture.ts';

const stages = stagesOf(textOf('infra/docker/Dockerfile'));
const ignore = textOf('.dockerignore');
const stage = (name: string) => {
  const found = stages.find((one) => one.name === name);
  if (!found) throw new Error(`The Dockerfile has no stage ${name}.`);
  return found;
};

test('both images stand on one pinned Node with glibc', () => {
  const names = stages.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(['training', 'serving']));
  for (const { name, from } of stages) {
    if (!names.includes(from)) expect(from, name).toMatch(/^node:\d+\.\d+\.\d+-bookworm-slim$/);
  }
  const [, major = 0, minor = 0] = /^node:(\d+)\.(\d+)/.exec(stage('base').from)?.map(Number) ?? [];
  expect(major * 1000 + minor).toBeGreaterThanOrEqual(20_020);
});

test('every stage ends as a user that is not root', () => {
  for (const { name, lines } of stages) {
    const user = lines.findLast(([instruction]) => instruction === 'USER')?.[1];
    if (name === 'bundle') expect(user, 'bundle keeps the user of packages').toBeUndefined();
    else expect(user, name).toBe('1000');
  }
});

test('every file that is copied is in the repository and in the context of the build', () => {
  const copied = stages.flatMap(copiedFromContext);
  expect(copied.length).toBeGreaterThan(10);
  expect(copied.filter((file) => !existsSync(path.join(ROOT, file)))).toEqual([]);
  expect(copied.filter((file) => isIgnored(file, ignore))).toEqual([]);
});

test('every stage that is copied from comes first', () => {
  stages.forEach(({ lines }, index) => {
    for (const [, text] of lines) {
      const from = /--from=(\S+)/.exec(text)?.[1];
      if (from) expect(stages.slice(0, index).map(({ name }) => name)).toContain(from);
    }
  });
});

test('secrets, what was built here and what only tests need stay out of the context', () => {
  for (const file of [
    '.env',
    '.git/config',
    '.refit/store',
    'node_modules/tsx',
    'client/node_modules/x',
    'test/unit/a.ts',
    'data/x',
  ]) {
    expect(isIgnored(file, ignore), file).toBe(true);
  }
});

test('each image has the programs of its roles, a health check, and hands signals on', () => {
  for (const name of ['training', 'serving']) {
    const { lines } = stage(name);
    const instruction = (wanted: string) => lines.findLast(([one]) => one === wanted)?.[1] ?? '';
    const entry = JSON.parse(instruction('ENTRYPOINT')) as string[];
    const [role = ''] = JSON.parse(instruction('CMD')) as string[];
    expect(entry[0]).toBe('tini');
    expect(existsSync(path.join(ROOT, entry.at(-1) ?? ''))).toBe(true);
    const program = ROLES[role as keyof typeof ROLES];
    expect(copiedFromContext(stage(name))).toContain(program.split('/')[0]);
    expect(existsSync(path.join(ROOT, program)), program).toBe(true);
    const check = JSON.parse(instruction('HEALTHCHECK').replace(/^.*CMD /, '')) as string[];
    expect(existsSync(path.join(ROOT, check.at(-1) ?? ''))).toBe(true);
  }
});

/** npm packages that programs take, by following their imports. */
async function packagesOf(entryPoints: string[]): Promise<string[]> {
  const { metafile } = await build({
    ...{ entryPoints, absWorkingDir: ROOT, bundle: true, write: false, outdir: 'out', platform: 'node', format: 'esm' },
    ...{ splitting: true, metafile: true, packages: 'external', logLevel: 'silent' },
  });
  const imports = Object.values(metafile.inputs).flatMap((input) => input.imports.filter(({ external }) => external));
  const names = imports.filter(({ path: name }) => !name.startsWith('node:')).map(({ path: name }) => packageOf(name));
  return [...new Set(names)].sort();
}

const packageOf = (specifier: string) =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

test('the serving image keeps just the packages that the gateway takes', async () => {
  const prune = stage('serving-packages').lines.find(([, text]) => text.includes('--keep'))?.[1] ?? '';
  const kept = /--keep (\S+)/.exec(prune)?.[1]?.split(',') ?? [];
  const programs = readdirSync(path.join(ROOT, 'gateway')).filter((name) =>
    /^(main|start|inference-(thread|worker))\./.test(name),
  );
  expect(kept).toEqual(await packagesOf(programs.map((name) => `gateway/${name}`)));
  // What makes it the smaller image.
  const { packages } = JSON.parse(textOf('node_modules/.package-lock.json')) as { packages: Record<string, object> };
  const paths = [...needed(packages, kept)];
  expect(paths.filter((one) => /@temporalio|koffi|webpack/.test(one))).toEqual([]);
});

test('a package is kept with what it needs, from where it would find it', () => {
  const packages = {
    'node_modules/a': { dependencies: { b: '1' }, peerDependencies: { absent: '1' } },
    'node_modules/a/node_modules/b': { dependencies: { c: '1' } },
    'node_modules/b': {},
    'node_modules/c': { optionalDependencies: { d: '1', 'd-win32': '1' } },
    'node_modules/d': {},
    'node_modules/e': {},
  };
  expect([...needed(packages, ['a'])].sort()).toEqual([
    'node_modules/a',
    'node_modules/a/node_modules/b',
    'node_modules/c',
    'node_modules/d',
  ]);
  expect(() => needed(packages, ['z'])).toThrow('There is no package "z" in node_modules.');
});
