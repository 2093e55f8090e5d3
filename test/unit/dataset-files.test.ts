import { mkdir, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { fingerprintFile, listPartitions } from '../../core/dataset/partitions.ts';
import { workplace } from './dataset.fixture.ts';

async function folder(...files: string[]) {
  const place = await workplace();
  for (const file of files) {
    await mkdir(path.dirname(path.join(place.root, file)), { recursive: true });
    await writeFile(path.join(place.root, file), file);
  }
  return {
    root: place.root,
    names: async (glob: string) =>
      (await listPartitions(place.root, 'flights', { path: glob })).map(({ name }) => name),
  };
}

describe('the files of a source', () => {
  const FILES = [
    'd/2013-02.parquet',
    'd/2013-01.parquet',
    'd/.2013-03.parquet',
    'd/x.csv',
    'd/deep/er/2013-04.parquet',
    'e/[1].parquet',
  ];

  it.each([
    ['d/*.parquet', ['d/2013-01.parquet', 'd/2013-02.parquet']],
    ['d/2013-0?.parquet', ['d/2013-01.parquet', 'd/2013-02.parquet']],
    ['./d/x.csv', ['d/x.csv']],
    ['d/**/*.parquet', ['d/2013-01.parquet', 'd/2013-02.parquet', 'd/deep/er/2013-04.parquet']],
    ['**/2013-04.parquet', ['d/deep/er/2013-04.parquet']],
    ['*/*1*', ['d/2013-01.parquet', 'e/[1].parquet'].concat('d/2013-02.parquet').sort()],
    ['e/[1].parquet', ['e/[1].parquet']],
    ['d/*', ['d/2013-01.parquet', 'd/2013-02.parquet', 'd/x.csv']],
  ])('match %s', async (glob, names) => {
    expect(await (await folder(...FILES)).names(glob)).toEqual(names);
  });

  it('may lie anywhere when the path says so', async () => {
    const { root, names } = await folder(...FILES);
    expect(await names(`${root}/d/*-01.parquet`)).toEqual([`${root}/d/2013-01.parquet`]);
    const inner = await listPartitions(path.join(root, 'e'), 'flights', { path: '../d/x.csv' });
    expect(inner).toEqual([{ name: '../d/x.csv', path: path.join(root, 'd/x.csv'), bytes: 7 }]);
  });

  it('do not go round in circles', async () => {
    const { root, names } = await folder(...FILES);
    await symlink(path.join(root, 'd'), path.join(root, 'd/deep/round'));
    expect(await names('**/x.csv')).toEqual(['d/x.csv']);
  });

  it('are missed by the name of the glob', async () => {
    const { names } = await folder(...FILES);
    await expect(names('d/2014-*.parquet')).rejects.toMatchObject({
      code: 'REFIT_SOURCE_MISSING',
      message: 'Source "flights" has no file: nothing matches d/2014-*.parquet.',
    });
    await expect(names('d/{2013,2014}.parquet')).rejects.toThrow(/only \*, \? and \*\* are wildcards/);
  });

  it('have a fingerprint that follows their bytes, even where size and time stay', async () => {
    const { root } = await folder('d/x.csv');
    const file = path.join(root, 'd/x.csv');
    await utimes(file, 1e9, 1e9);
    const before = await fingerprintFile(file);
    expect(await fingerprintFile(file)).toBe(before);
    await writeFile(file, 'd/y.csv');
    await utimes(file, 1e9, 1e9);
    expect(await fingerprintFile(file)).not.toBe(before);
    await expect(fingerprintFile(path.join(root, 'gone'))).rejects.toMatchObject({ code: 'REFIT_SOURCE_MISSING' });
    await expect(fingerprintFile(root)).rejects.toMatchObject({ code: 'REFIT_SOURCE_UNREADABLE' });
  });
});
