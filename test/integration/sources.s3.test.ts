import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSourceFiles } from '../../core/dataset/source-files.ts';
import { createFileCache } from '../../core/store/file-cache.ts';
import { type S3Server, startS3Server } from '../support/s3-server.ts';

let server: S3Server;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'refit-s3-sources-'));
  server = await startS3Server();
  await server.createBucket('raw');
});
afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

test('objects of a real S3 server are sources, by pattern and by content', async () => {
  const put = (key: string, body: string) =>
    server.client.send(new PutObjectCommand({ Bucket: 'raw', Key: key, Body: body }));
  for (const month of ['01', '02']) await put(`orders/year=2024/month=${month}/part.csv`, `id\n${month}\n`);
  await put('orders/README.md', 'no data');
  const files = createSourceFiles(folder, createFileCache(path.join(folder, 'cache'), 1e9), server.env);
  const look = () => files.list('orders', { path: 's3://raw/orders/*/*/*.csv' });
  const found = await look();
  expect(found.map(({ name }) => name)).toEqual([
    's3://raw/orders/year=2024/month=01/part.csv',
    's3://raw/orders/year=2024/month=02/part.csv',
  ]);
  const [first, second] = await Promise.all(found.map((file) => files.fingerprint(file)));
  expect(await readFile(await files.path(found[0]?.name ?? '', first ?? ''), 'utf8')).toBe('id\n01\n');
  await put('orders/year=2024/month=02/part.csv', 'id\n03\n');
  const again = await Promise.all((await look()).map((file) => files.fingerprint(file)));
  expect(again[0]).toBe(first);
  expect(again[1]).not.toBe(second);
  const stranger = createSourceFiles(folder, createFileCache(path.join(folder, 'other'), 1e9), {
    ...server.env,
    AWS_SECRET_ACCESS_KEY: 'wrong',
  });
  await expect(stranger.list('orders', { path: 's3://raw/orders/*/*/*.csv' })).rejects.toMatchObject({
    code: 'REFIT_SOURCE_UNREACHABLE',
  });
});
