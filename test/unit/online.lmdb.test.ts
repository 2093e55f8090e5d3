import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { createLmdbOnlineStore } from '../../core/features/lmdb-online-store.ts';
import { onlineStoreConformance } from '../conformance/online-store.ts';

onlineStoreConformance('LMDB', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'refit-online-'));
  return {
    open: () => createLmdbOnlineStore(directory),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
});

const MODULE = fileURLToPath(new URL('../../core/features/lmdb-online-store.ts', import.meta.url));

test('two processes that write the same entities leave the newest', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'refit-online-'));
  try {
    const writer = (parity: number) => `
      import { createLmdbOnlineStore } from ${JSON.stringify(MODULE)};
      const store = createLmdbOnlineStore(${JSON.stringify(directory)});
      const order = Array.from({ length: 60 }, (_, i) => (i * 37) % 60).filter((i) => i % 2 === ${parity});
      for (const i of order) await store.put('v', Array.from({ length: 20 }, (_, k) => ({ key: 'k' + k, values: [i], eventAtUs: i, knownAtUs: i })));
      await store.close();`;
    const run = (parity: number) =>
      promisify(execFile)(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', writer(parity)], {
        cwd: path.resolve(path.dirname(MODULE), '../..'),
      });
    await Promise.all([run(0), run(1)]);
    const store = createLmdbOnlineStore(directory);
    const found = await store.get(
      'v',
      Array.from({ length: 20 }, (_, k) => `k${k}`),
    );
    expect(found.map((row) => row?.values[0])).toEqual(Array.from({ length: 20 }, () => 59));
    await store.close();
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test('a folder that cannot be made is named', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'refit-online-'));
  try {
    const file = path.join(directory, 'file');
    await writeFile(file, '');
    await chmod(file, 0o600);
    expect(() => createLmdbOnlineStore(path.join(file, 'online'))).toThrow(
      expect.objectContaining({ code: 'REFIT_STORE_UNWRITABLE', details: { directory: path.join(file, 'online') } }),
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
