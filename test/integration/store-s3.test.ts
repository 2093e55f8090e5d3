import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll } from 'vitest';
import { createS3Store } from '../../core/store/s3-store.ts';
import { objectStoreConformance } from '../conformance/object-store.ts';
import { type S3Server, startS3Server } from '../support/s3-server.ts';

let server: S3Server;
beforeAll(async () => {
  server = await startS3Server();
  Object.assign(process.env, server.env);
});
afterAll(() => server?.stop());

let buckets = 0;
objectStoreConformance('S3', async () => {
  const bucket = `refit-${++buckets}`;
  await server.createBucket(bucket);
  const cache = await mkdtemp(join(tmpdir(), 'refit-s3-cache-'));
  const options = { cache, cacheBytes: 1 << 30, partBytes: 5 << 20 };
  const address = `s3://${bucket}/some/prefix`;
  const module = fileURLToPath(new URL('../support/s3-server.ts', import.meta.url));
  return {
    store: createS3Store(address, options),
    elsewhere: { module, factory: 'openS3Store', argument: JSON.stringify({ address, options, env: server.env }) },
    remove: () => rm(cache, { recursive: true, force: true }),
  };
});
