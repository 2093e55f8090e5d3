import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { sha256 } from '../../core/store/digest.ts';
import { type CachedFile, createFileCache, type FileCache } from '../../core/store/file-cache.ts';
import { releasingLocalFiles } from '../../core/store/local-files.ts';
import { ownerToken } from '../../core/store/process-identity.ts';

/** What goes before a removal. */
const slow = vi.hoisted(() => ({ rm: undefined as ((path: string) => Promise<void>) | undefined }));
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const rmSlowly: typeof real.rm = async (path, options) => {
    await slow.rm?.(String(path));
    return real.rm(path, options);
  };
  return { ...real, rm: rmSlowly };
});

const MODULE = fileURLToPath(new URL('../../core/store/file-cache.ts', import.meta.url));
const SIZE = 1_000;

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'refit-file-cache-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** The n-th file: its name, and how often it was fetched. */
function source() {
  const fetched: number[] = [];
  const body = (n: number): Buffer => Buffer.alloc(SIZE, n);
  const file = (n: number): CachedFile => ({ name: sha256(body(n)), bytes: SIZE, sha256: sha256(body(n)) });
  const get = (cache: FileCache, n: number): Promise<string> =>
    cache.path(file(n), async (path) => {
      fetched.push(n);
      await writeFile(path, body(n));
    });
  return { fetched, body, file, get };
}

async function stored(): Promise<string[]> {
  const folders = await readdir(join(root, 'files'));
  return (await Promise.all(folders.map((folder) => readdir(join(root, 'files', folder))))).flat();
}

test('a file is fetched once, for all who ask at once and for the next process', async () => {
  const { fetched, body, get } = source();
  const cache = createFileCache(root, 1e9);
  const paths = await Promise.all(Array.from({ length: 8 }, () => get(cache, 1)));
  expect(new Set(paths).size).toBe(1);
  expect(await readFile(paths[0] ?? '')).toEqual(body(1));
  await get(createFileCache(root, 1e9), 1);
  expect(fetched).toEqual([1]);
});

test('above its limit the files used longest ago go, but none that work under way has asked for', async () => {
  const { fetched, body, file, get } = source();
  const cache = createFileCache(root, 5 * SIZE);
  const kept = await releasingLocalFiles(async () => {
    const used = await get(cache, 0);
    for (let n = 1; n <= 20; n++) await releasingLocalFiles(() => get(cache, n));
    expect(await readFile(used)).toEqual(body(0));
    return stored();
  });
  expect(kept).toContain(file(0).name);
  expect(kept.length).toBeLessThanOrEqual(6);
  expect(kept).toContain(file(20).name);
  expect(kept).not.toContain(file(1).name);
  await releasingLocalFiles(() => get(cache, 1));
  expect(fetched.filter((n) => n === 1)).toHaveLength(2);
});

test('a file that is asked for while it is let go is there for who asked', async () => {
  const { body, file, get } = source();
  const cache = createFileCache(root, SIZE);
  const first = await releasingLocalFiles(() => get(cache, 1));
  // The second makes room: the link to the first is about to go.
  const begun = new Promise<void>((tell) => {
    slow.rm = async (path) => {
      if (path !== first) return;
      tell();
      await new Promise((resolve) => setTimeout(resolve, 50));
    };
  });
  const second = releasingLocalFiles(() => get(cache, 2));
  await begun;
  await releasingLocalFiles(async () => {
    const again = await cache.find(file(1).name);
    await second;
    slow.rm = undefined;
    expect(again === undefined ? again : await readFile(again)).toEqual(again && body(1));
    expect(await readFile(await get(cache, 1))).toEqual(body(1));
  });
});

test('what is not here is not found, and what is damaged neither', async () => {
  const { fetched, body, file, get } = source();
  const cache = createFileCache(root, 1e9);
  expect(await cache.find(file(1).name)).toBeUndefined();
  // One that only looks and one that needs it, at once.
  const [looked, needed] = await Promise.all([cache.find(file(1).name), get(cache, 1)]);
  expect([undefined, needed]).toContain(looked);
  expect(await cache.find(file(1).name)).toBe(needed);
  await writeFile(needed, body(2));
  expect(await createFileCache(root, 1e9).find(file(1).name)).toBeUndefined();
  await get(cache, 1);
  expect(fetched).toEqual([1, 1]);
});

test('work that needs more than the limit has it while it runs; afterwards it goes', async () => {
  const { body, get } = source();
  const cache = createFileCache(root, 3 * SIZE);
  await releasingLocalFiles(async () => {
    const paths: string[] = [];
    for (let n = 0; n < 10; n++) paths.push(await get(cache, n));
    for (const [n, path] of paths.entries()) expect(await readFile(path)).toEqual(body(n));
  });
  for (const n of [20, 21]) await releasingLocalFiles(() => get(cache, n));
  expect((await stored()).length).toBeLessThanOrEqual(4);
});

test('a file that another process uses stays readable there, however many are added here', async () => {
  const { body, file, get } = source();
  const program = `import { writeFile } from 'node:fs/promises';
    import { createFileCache } from ${JSON.stringify(MODULE)};
    const cache = createFileCache(${JSON.stringify(root)}, ${2 * SIZE});
    const path = await cache.path(${JSON.stringify(file(7))}, (to) => writeFile(to, Buffer.alloc(${SIZE}, 7)));
    console.log(path);
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program]);
  try {
    const [said] = (await once(child.stdout, 'data')) as [Buffer];
    const theirs = said.toString().trim();
    const cache = createFileCache(root, 2 * SIZE);
    for (let n = 10; n < 20; n++) await releasingLocalFiles(() => get(cache, n));
    expect(await readFile(theirs)).toEqual(body(7));
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  // What the killed process held is free again.
  const next = createFileCache(root, 2 * SIZE);
  for (let n = 30; n < 33; n++) await releasingLocalFiles(() => get(next, n));
  expect(await stored()).not.toContain(file(7).name);
});

test('what a process that died was writing is removed, and never taken for the file', async () => {
  const { body, get } = source();
  const dead = ownerToken().replace(/\.\d+\.\d+\.([0-9a-f]+)$/, `.${2 ** 22 + 1}.1.$1`);
  await mkdir(join(root, 'tmp'), { recursive: true });
  await writeFile(join(root, 'tmp', dead), 'half');
  expect(await readFile(await get(createFileCache(root, 1e9), 1))).toEqual(body(1));
  expect(await readdir(join(root, 'tmp'))).toEqual([]);
});

test('a copy that was altered is noticed and fetched again, by this process and by the next', async () => {
  const { fetched, body, get } = source();
  const cache = createFileCache(root, 1e9);
  const path = await get(cache, 1);
  await writeFile(path, Buffer.alloc(SIZE, 9));
  expect(await readFile(await get(cache, 1))).toEqual(body(1));
  await writeFile(path, Buffer.alloc(SIZE, 9));
  expect(await readFile(await get(createFileCache(root, 1e9), 1))).toEqual(body(1));
  expect(fetched).toEqual([1, 1, 1]);
});

test('a fetch that fails leaves nothing, and the next one is asked again', async () => {
  const { body, file, get } = source();
  const cache = createFileCache(root, 1e9);
  const failing = cache.path(file(1), async (path) => {
    await writeFile(path, 'half');
    throw new Error('cut');
  });
  await expect(failing).rejects.toThrow('cut');
  await expect(cache.path(file(1), (path) => writeFile(path, 'too short'))).rejects.toMatchObject({
    code: 'REFIT_STORE_CORRUPT',
  });
  expect(await readFile(await get(cache, 1))).toEqual(body(1));
});

test('the folder may be deleted under a running process: what it asks for next is fetched again', async () => {
  const { body, get } = source();
  const cache = createFileCache(root, 1e9);
  await get(cache, 1);
  await rm(root, { recursive: true });
  expect(await readFile(await get(cache, 1))).toEqual(body(1));
  expect((await stat(root)).isDirectory()).toBe(true);
});

test('a local file that is adopted need not be fetched, and changing the original changes nothing', async () => {
  const { fetched, body, file, get } = source();
  const original = join(root, 'original');
  await writeFile(original, body(1));
  const cache = createFileCache(join(root, 'cache'), 1e9);
  await cache.adopt(file(1), original);
  await writeFile(original, Buffer.alloc(SIZE, 9));
  expect(await readFile(await get(cache, 1))).toEqual(body(1));
  expect(fetched).toEqual([]);
});
