import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../core/store/digest.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';
import { isAbandoned, ownerToken } from '../../core/store/process-identity.ts';
import { storeError } from '../../core/store/store-errors.ts';
import { objectStoreConformance } from '../conformance/object-store.ts';

const MODULE = fileURLToPath(new URL('../../core/store/folder-store.ts', import.meta.url));
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

objectStoreConformance('folder', async () => {
  const root = await mkdtemp(join(tmpdir(), 'refit-store-'));
  return {
    store: createFolderStore(root),
    elsewhere: { module: MODULE, factory: 'createFolderStore', argument: root },
    damage: (key) => writeFile(join(root, key), 'something else'),
    remove: () => rm(root, { recursive: true }),
  };
});

/** Runs a program in a process of its own. @returns its process id, and what it printed, once it has ended */
async function inProcess(
  program: string,
  kill?: { whenItSays: string },
  as: { uid?: number } = {},
): Promise<{ pid: number; out: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], as);
  let out = '';
  const take = (chunk: Buffer): void => {
    out += chunk.toString();
    if (kill && out.includes(kill.whenItSays)) child.kill('SIGKILL');
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  await once(child, 'close');
  return { pid: child.pid ?? 0, out };
}

describe('folder store', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'refit-store-'));
  });
  afterEach(async () => {
    await rm(root, { recursive: true, force: true });
  });

  const keys = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const key of createFolderStore(root).list('')) found.push(key);
    return found;
  };

  it('shows only whole objects when a writing process is killed, and tidies up after it', async () => {
    const size = 4_000_000;
    const program = `import { createFolderStore } from ${JSON.stringify(MODULE)};
      const store = createFolderStore(${JSON.stringify(root)});
      for (let i = 0; ; i++) {
        if (i > 0) console.log('written ' + i);
        await store.put('object-' + i, new Uint8Array(${size}).fill(i % 256), { create: true });
      }`;
    const { out } = await inProcess(program, { whenItSays: 'written 3' });
    expect(out).not.toContain('Error');
    const store = createFolderStore(root);
    const found = await keys();
    expect(found.length).toBeGreaterThanOrEqual(3);
    for (const key of found) {
      const i = Number(key.replace('object-', ''));
      expect((await store.stat(key))?.etag).toBe(sha256(new Uint8Array(size).fill(i % 256)));
    }
    expect(await readdir(join(root, '.tmp'))).toEqual([]);
  });

  it('removes the half-written file of a dead process when it opens, and never shows it', async () => {
    const identity = JSON.stringify(MODULE.replace('folder-store', 'process-identity'));
    const { out } = await inProcess(`import { ownerToken } from ${identity}; console.log(ownerToken());`);
    await mkdir(join(root, '.tmp'));
    await writeFile(join(root, '.tmp', out.trim()), 'half of an obj');
    expect(await keys()).toEqual([]);
    expect(await readdir(join(root, '.tmp'))).toEqual([]);
  });

  it('leaves the temporary files of live processes alone', async () => {
    await mkdir(join(root, '.tmp'));
    const mine = ownerToken();
    await writeFile(join(root, '.tmp', mine), 'being written');
    createFolderStore(root);
    expect(await readdir(join(root, '.tmp'))).toEqual([mine]);
  });

  it('leaves a temporary file of another machine alone until it is old', async () => {
    await mkdir(join(root, '.tmp'));
    const theirs = ownerToken().replace(/^[0-9a-f]{12}/, '0123456789ab');
    const file = join(root, '.tmp', theirs);
    await writeFile(file, 'written elsewhere');
    createFolderStore(root);
    expect(await readdir(join(root, '.tmp'))).toEqual([theirs]);
    await utimes(file, new Date(0), new Date(0));
    createFolderStore(root);
    expect(await readdir(join(root, '.tmp'))).toEqual([]);
  });

  it('inherits the lock of a process that died holding it, one writer only', async () => {
    const store = createFolderStore(root);
    const etag = (await store.put('k', bytes('before'))) ?? '';
    const identity = JSON.stringify(MODULE.replace('folder-store', 'process-identity'));
    const { out } = await inProcess(`import { ownerToken } from ${identity}; console.log(ownerToken());`);
    const dead = out.trim();
    expect(isAbandoned(dead, 0)).toBe(true);
    await symlink(dead, join(root, '.locks', sha256('k').slice(0, 32)));
    const etags = await Promise.all(
      Array.from({ length: 8 }, (_, i) => store.put('k', bytes(`${i}`), { ifMatch: etag })),
    );
    expect(etags.filter((won) => won !== undefined)).toHaveLength(1);
    expect(await readdir(join(root, '.locks'))).toEqual([]);
  });

  it('inherits from an heir that died as well', async () => {
    const store = createFolderStore(root);
    await store.put('k', bytes('before'));
    const dead = (nonce: string): string =>
      ownerToken().replace(/\.\d+\.\d+\.[0-9a-f]+$/, `.${2 ** 22 + 1}.1.${nonce}`);
    const lock = join(root, '.locks', sha256('k').slice(0, 32));
    await symlink(dead('a'.repeat(16)), lock);
    await symlink(dead('b'.repeat(16)), `${lock}.${'a'.repeat(16)}`);
    await store.put('k', bytes('after'));
    expect(await readFile(join(root, 'k'), 'utf8')).toBe('after');
    expect(await readdir(join(root, '.locks'))).toEqual([]);
  });

  it('waits for a lock that a live process holds', async () => {
    const store = createFolderStore(root);
    await store.put('k', bytes('before'));
    const lock = join(root, '.locks', sha256('k').slice(0, 32));
    await symlink(ownerToken(), lock);
    let done = false;
    const writing = store.put('k', bytes('after')).then(() => {
      done = true;
    });
    await sleep(60);
    expect(done).toBe(false);
    await rm(lock);
    await writing;
    expect(await readFile(join(root, 'k'), 'utf8')).toBe('after');
  });

  it('says that the store is full when the system refuses to write, and shows no half object', async () => {
    // A limit on file sizes (64 blocks of 512 or 1024 bytes) stands in for a full disk: the write ends in the middle.
    const program = `import { createFolderStore } from ${JSON.stringify(MODULE)};
      process.on('SIGXFSZ', () => {});
      const store = createFolderStore(${JSON.stringify(root)});
      await store.put('big', new Uint8Array(1_000_000)).catch((error) => console.log(error.code, error.exit));`;
    const quoted = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', program].map(shellQuoted);
    const child = spawn('sh', ['-c', `ulimit -f 64; exec ${quoted.join(' ')}`], {
      env: { ...process.env, TSX_DISABLE_CACHE: '1' },
    });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
    await once(child, 'close');
    expect(out.trim()).toBe('REFIT_STORE_FULL 1');
    expect(await keys()).toEqual([]);
    expect(await readdir(join(root, '.tmp'))).toEqual([]);
  });

  it.each([
    ['ENOSPC', 'REFIT_STORE_FULL'],
    ['EDQUOT', 'REFIT_STORE_FULL'],
    ['EACCES', 'REFIT_STORE_UNWRITABLE'],
    ['EROFS', 'REFIT_STORE_UNWRITABLE'],
    ['ENOTDIR', 'REFIT_STORE_UNWRITABLE'],
  ])('calls %s by its name in the catalogue', (system, code) => {
    expect(storeError(Object.assign(new Error('no'), { code: system }), '/store/k')).toMatchObject({ code });
  });

  it('says that the store cannot be written when its root is a file', async () => {
    const file = join(root, 'a-file');
    await writeFile(file, '');
    await expect(createFolderStore(file).put('k', bytes('x'))).rejects.toMatchObject({
      code: 'REFIT_STORE_UNWRITABLE',
    });
  });

  it('says that the store cannot be written where this user may not', async () => {
    await chmod(root, 0o555);
    const program = `import { createFolderStore } from ${JSON.stringify(MODULE)};
      const store = createFolderStore(${JSON.stringify(root)});
      await store.put('k', new Uint8Array(1)).catch((error) => console.log(error.code));`;
    // Nothing is forbidden to root: then it is tried as nobody.
    const { out } = await inProcess(program, undefined, process.getuid?.() === 0 ? { uid: 65534 } : {});
    await chmod(root, 0o700);
    expect(out.trim()).toBe('REFIT_STORE_UNWRITABLE');
  });
});

function shellQuoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
