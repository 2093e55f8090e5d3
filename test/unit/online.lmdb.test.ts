import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { createLmdbOnlineStore } from '../../core/features/lmdb-online-store.ts';
import { onlineStoreConformance } from '../conformance/online-store.ts';

const MODULE = fileURLToPath(new URL('../../core/features/lmdb-online-store.ts', import.meta.url));

onlineStoreConformance('LMDB', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'refit-online-'));
  return {
    open: () => createLmdbOnlineStore(directory),
    elsewhere: { module: MODULE, factory: 'createLmdbOnlineStore', argument: directory },
    remove: () => rm(directory, { recursive: true, force: true }),
  };
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
