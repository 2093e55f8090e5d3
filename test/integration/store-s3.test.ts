import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ListMultipartUploadsCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { probeStore } from '../../core/compose/probe.ts';
import { sha256 } from '../../core/store/digest.ts';
import type { ObjectStore } from '../../core/store/ports.ts';
import { createS3Store, type S3StoreOptions } from '../../core/store/s3-store.ts';
import { objectStoreConformance } from '../conformance/object-store.ts';
import { type FaultyProxy, startFaultyProxy } from '../support/faulty-proxy.ts';
import { type S3Server, startS3Server } from '../support/s3-server.ts';

const MODULE = fileURLToPath(new URL('../support/s3-server.ts', import.meta.url));
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (body: Uint8Array | undefined): string => new TextDecoder().decode(body);

let server: S3Server;
const outside = { ...process.env };
beforeAll(async () => {
  server = await startS3Server();
});
afterAll(() => server?.stop());
beforeEach(() => void Object.assign(process.env, server.env));
afterEach(() => {
  for (const name of Object.keys(server.env)) {
    if (outside[name] === undefined) delete process.env[name];
    else process.env[name] = outside[name];
  }
});

let buckets = 0;
/** A bucket of its own, and how to open a store in it. */
async function place() {
  const bucket = `refit-${++buckets}`;
  await server.createBucket(bucket);
  const cache = await mkdtemp(join(tmpdir(), 'refit-s3-cache-'));
  const options: S3StoreOptions = { cache, cacheBytes: 1 << 30, partBytes: 5 << 20 };
  const address = `s3://${bucket}/some/prefix`;
  const fileOf = (key: string) => server.fileOf(bucket, `some/prefix/${key}`);
  return { bucket, cache, options, address, fileOf, remove: () => rm(cache, { recursive: true, force: true }) };
}

objectStoreConformance('S3', async () => {
  const { address, options, fileOf, remove } = await place();
  const argument = JSON.stringify({ address, options, env: server.env });
  return {
    store: createS3Store(address, options),
    elsewhere: { module: MODULE, factory: 'openS3Store', argument },
    // Of the same length: the server remembers how long an object is.
    damage: async (key) => {
      const body = await readFile(fileOf(key));
      await writeFile(fileOf(key), body.fill(120, 0, 5));
    },
    remove,
  };
});

describe('S3 store', () => {
  let proxy: FaultyProxy;
  let at: Awaited<ReturnType<typeof place>>;
  let store: ObjectStore;
  beforeEach(async () => {
    proxy = await startFaultyProxy(server.port);
    at = await place();
    process.env.AWS_ENDPOINT_URL = proxy.url;
    store = createS3Store(at.address, at.options);
  });
  afterEach(async () => {
    await proxy.stop();
    await at.remove();
  });

  /** The first so many requests that fit go wrong. */
  function failing(times: number, fits: RegExp, fault: ReturnType<FaultyProxy['fault']>): void {
    let left = times;
    proxy.fault = (line) => (fits.test(line) && left-- > 0 ? fault : undefined);
  }
  const pendingUploads = async (): Promise<unknown[]> =>
    (await server.client.send(new ListMultipartUploadsCommand({ Bucket: at.bucket }))).Uploads ?? [];
  const largeFile = async (size: number): Promise<{ path: string; body: Buffer }> => {
    const path = join(at.cache, 'large-file');
    const body = randomBytes(size);
    await writeFile(path, body);
    return { path, body };
  };

  describe('tries again', () => {
    it.each([
      { status: 503, code: 'SlowDown' },
      { status: 500, code: 'InternalError' },
      { status: 502, code: 'BadGateway' },
      { status: 429, code: 'TooManyRequests' },
    ])('after $status $code, whatever it was doing', async (fault) => {
      failing(2, /^PUT/, fault);
      expect(await store.put('k', bytes('1'), { create: true })).toBeDefined();
      failing(2, /^GET.*\/k/, fault);
      expect(text((await store.get('k'))?.body)).toBe('1');
      failing(1, /^HEAD/, fault);
      expect((await store.stat('k'))?.bytes).toBe(1);
      failing(1, /list-type/, fault);
      const keys: string[] = [];
      for await (const key of store.list('')) keys.push(key);
      expect(keys).toEqual(['k']);
      failing(1, /^DELETE/, fault);
      await store.delete('k');
      expect(await store.get('k')).toBeUndefined();
    });

    it('when the server says that two conditional writes met', async () => {
      failing(2, /^PUT/, { status: 409, code: 'ConditionalRequestConflict' });
      expect(await store.put('k', bytes('1'), { create: true })).toBeDefined();
      expect(await store.put('k', bytes('2'), { create: true })).toBeUndefined();
    });

    it('when the connection is cut in the middle of an upload, small or in parts, and the object is whole', async () => {
      failing(1, /^PUT/, 'cut the request');
      const small = randomBytes(3_000_000);
      await store.put('small', small);
      expect(await store.digest('small')).toEqual({ bytes: small.length, sha256: sha256(small) });
      failing(2, /^PUT.*partNumber/i, 'cut the request');
      const { path, body } = await largeFile(12_000_000);
      await store.putFile('large', path, { create: true });
      expect(await store.digest('large')).toEqual({ bytes: body.length, sha256: sha256(body) });
      expect(await pendingUploads()).toEqual([]);
    });

    it('when the connection is cut in the middle of a download', async () => {
      await store.put('k', randomBytes(1_000_000));
      failing(2, /^GET/, 'lose the answer');
      expect((await store.get('k'))?.body.byteLength).toBe(1_000_000);
    });

    it('but not for ever: a server that only fails is unreachable', async () => {
      failing(100, /./, { status: 503, code: 'SlowDown' });
      await expect(store.get('k')).rejects.toMatchObject({
        code: 'REFIT_STORE_UNREACHABLE',
        details: { said: 'SlowDown' },
      });
      expect(proxy.seen.length).toBeLessThan(10);
    });
  });

  describe('knows what a write came to whose answer was lost', () => {
    it('created: it did so itself', async () => {
      failing(1, /^PUT/, 'lose the answer');
      const etag = await store.put('k', bytes('mine'), { create: true });
      expect(etag).toBe((await store.stat('k'))?.etag);
      expect(proxy.seen.filter((line) => line.startsWith('PUT'))).toHaveLength(2);
    });

    it('created: a rival with the same bytes was there before', async () => {
      await store.put('k', bytes('same'), { create: true });
      failing(1, /^PUT/, 'lose the answer');
      expect(await store.put('k', bytes('same'), { create: true })).toBeUndefined();
    });

    it('replaced: it did so itself, even where a third has replaced it since', async () => {
      const first = (await store.put('k', bytes('1'))) ?? '';
      const rival = createS3Store(at.address, { ...at.options, cache: join(at.cache, 'rival') });
      let lost = 0;
      proxy.fault = (line) => (line.startsWith('PUT') && lost++ === 0 ? 'lose the answer' : undefined);
      const writing = store.put('k', bytes('2'), { ifMatch: first });
      const second = await untilChanged(rival, first);
      expect(await rival.put('k', bytes('3'), { ifMatch: second })).toBeDefined();
      expect(await writing).toBeDefined();
      expect(text((await store.get('k'))?.body)).toBe('3');
      // What it was told is the name of a version that is no more.
      expect(await store.put('k', bytes('4'), { ifMatch: (await writing) ?? '' })).toBeUndefined();
    });

    it('in parts: the last call was carried out', async () => {
      const { path, body } = await largeFile(8_000_000);
      failing(1, /^POST.*uploadId/i, 'lose the answer');
      const etag = await store.putFile('large', path, { create: true });
      expect(etag).toBe((await store.stat('large'))?.etag);
      expect((await store.digest('large'))?.sha256).toBe(sha256(body));
    });

    it('counts right when many increment at once and every third answer is lost', async () => {
      await store.put('counter', bytes('0'));
      let puts = 0;
      proxy.fault = (line) => (line.startsWith('PUT') && puts++ % 3 === 0 ? 'lose the answer' : undefined);
      const increment = async (): Promise<void> => {
        for (;;) {
          const now = await store.get('counter');
          const next = bytes(String(Number(text(now?.body)) + 1));
          if ((await store.put('counter', next, { ifMatch: now?.etag ?? '' })) !== undefined) return;
        }
      };
      await Promise.all(Array.from({ length: 6 }, increment));
      expect(text((await store.get('counter'))?.body)).toBe('6');
    });
  });

  it('aborts an upload that fails for good: nothing is visible, nothing is left at the server', async () => {
    const { path } = await largeFile(12_000_000);
    failing(100, /partNumber=2/i, { status: 403, code: 'AccessDenied' });
    await expect(store.putFile('large', path)).rejects.toMatchObject({ code: 'REFIT_STORE_DENIED' });
    expect(await store.stat('large')).toBeUndefined();
    expect(await pendingUploads()).toEqual([]);
    expect(await readdir(join(at.cache, 'uploads'))).toEqual([]);
    const order = proxy.seen.filter((line) => /^(PUT|DELETE).*uploadId/i.test(line));
    expect(order.findIndex((line) => line.startsWith('DELETE'))).toBe(order.length - 1);
  });

  it('goes on with an upload whose process was killed; until then no part of it is visible', async () => {
    const { path, body } = await largeFile(31_000_000);
    const argument = JSON.stringify({ address: at.address, options: at.options, env: process.env });
    const program = `import { openS3Store } from ${JSON.stringify(MODULE)};
      await openS3Store(${JSON.stringify(argument)}).putFile('large', ${JSON.stringify(path)}, { create: true });`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
      stdio: 'inherit',
    });
    // Parts 1 to 3 arrive; at the sixth the process is killed.
    const isPart = (line: string): boolean => /^PUT.*partNumber/i.test(line);
    proxy.fault = (line) => {
      if (isPart(line) && proxy.seen.filter(isPart).length > 5) child.kill('SIGKILL');
      return undefined;
    };
    await once(child, 'exit');
    expect(child.signalCode).toBe('SIGKILL');
    proxy.fault = () => undefined;
    expect(await store.get('large')).toBeUndefined();
    const keys: string[] = [];
    for await (const key of store.list('')) keys.push(key);
    expect(keys).toEqual([]);
    expect(await pendingUploads()).toHaveLength(1);

    proxy.seen.length = 0;
    expect(await store.putFile('large', path, { create: true })).toBeDefined();
    expect(await store.digest('large')).toEqual({ bytes: body.length, sha256: sha256(body) });
    expect(proxy.seen.filter(isPart).length).toBeLessThan(6);
    expect(await pendingUploads()).toEqual([]);
    expect(await readdir(join(at.cache, 'uploads'))).toEqual([]);
  });

  describe('reads with a checksum', () => {
    const damage = async (key: string): Promise<void> => {
      const body = await readFile(at.fileOf(key));
      await writeFile(at.fileOf(key), body.reverse());
    };

    it('and refuses altered bytes, in memory and as a file, until the object is written again', async () => {
      const etag = (await store.put('k', bytes('what was stored'))) ?? '';
      await damage('k');
      await expect(store.get('k')).rejects.toMatchObject({ code: 'REFIT_STORE_CORRUPT', details: { key: 'k' } });
      await expect(store.localPath('k')).rejects.toMatchObject({ code: 'REFIT_STORE_CORRUPT' });
      expect((await store.remembered?.('k'))?.sha256).toBeUndefined();
      // The bytes stay, for who wants to look into it.
      expect((await store.digest('k'))?.bytes).toBe(15);
      expect((await store.stat('k'))?.etag).not.toBe(etag);
      await store.put('k', bytes('again'));
      expect(text((await store.get('k'))?.body)).toBe('again');
    });

    it('and believes its bytes more than a mark of damage that came after they were put right', async () => {
      await store.put('k', bytes('what was stored'));
      await damage('k');
      await expect(store.get('k')).rejects.toMatchObject({ code: 'REFIT_STORE_CORRUPT' });
      await damage('k');
      expect(text((await store.get('k'))?.body)).toBe('what was stored');
      expect(await readFile((await store.localPath('k')) ?? '', 'utf8')).toBe('what was stored');
    });

    it('and believes one damaged read after a cut one no more than a first: it reads again', async () => {
      await store.put('k', bytes('what was stored'));
      const good = await readFile(at.fileOf('k'));
      let reads = 0;
      proxy.fault = (line) => {
        if (!line.startsWith('GET')) return undefined;
        reads += 1;
        writeFileSync(at.fileOf('k'), reads === 2 ? Buffer.from(good).reverse() : good);
        return reads === 1 ? 'lose the answer' : undefined;
      };
      expect(text((await store.get('k'))?.body)).toBe('what was stored');
      expect(reads).toBe(3);
    });

    it('and keeps no connection of what it refuses to read', async () => {
      await store.put('k', randomBytes(4_000_000));
      await damage('k');
      const refused = async () => expect(store.get('k')).rejects.toMatchObject({ code: 'REFIT_STORE_CORRUPT' });
      // The SDK has 50 connections.
      for (let time = 0; time < 30; time++) await refused();
    }, 30_000);

    it('of the local copy too: an altered one is fetched again', async () => {
      await store.put('k', bytes('what was stored'));
      const path = (await store.localPath('k')) ?? '';
      await writeFile(path, 'something else!');
      expect(await readFile((await store.localPath('k')) ?? '', 'utf8')).toBe('what was stored');
    });

    it('takes objects that another tool put there', async () => {
      await server.client.send(
        new PutObjectCommand({ Bucket: at.bucket, Key: 'some/prefix/theirs', Body: 'by another tool' }),
      );
      const found = await store.get('theirs');
      expect(text(found?.body)).toBe('by another tool');
      expect(await readFile((await store.localPath('theirs')) ?? '', 'utf8')).toBe('by another tool');
      expect(await store.put('theirs', bytes('ours'), { ifMatch: found?.etag ?? '' })).toBeDefined();
      expect(await readFile((await store.localPath('theirs')) ?? '', 'utf8')).toBe('ours');
    });
  });

  it('a second process finds the local copies of the first, and asks the server only whether they hold', async () => {
    await store.put('k', randomBytes(100_000));
    await store.localPath('k');
    proxy.seen.length = 0;
    const second = createS3Store(at.address, at.options);
    expect((await readFile((await second.localPath('k')) ?? '')).length).toBe(100_000);
    expect(proxy.seen.map((line) => line.split(' ')[0])).toEqual(['HEAD']);
  });

  describe('says in a sentence', () => {
    it('that the credentials are wrong', async () => {
      process.env.AWS_SECRET_ACCESS_KEY = 'wrong';
      const other = createS3Store(at.address, at.options);
      await expect(probeStore(other)).rejects.toMatchObject({ code: 'REFIT_STORE_DENIED', exit: 1 });
      process.env.AWS_ACCESS_KEY_ID = 'nobody';
      await expect(probeStore(createS3Store(at.address, at.options))).rejects.toMatchObject({
        code: 'REFIT_STORE_DENIED',
      });
    });

    it('that there is no such bucket', async () => {
      const other = createS3Store('s3://no-such-bucket/x', at.options);
      await expect(probeStore(other)).rejects.toMatchObject({ code: 'REFIT_STORE_MISSING' });
      await expect(other.put('k', bytes('1'))).rejects.toMatchObject({ code: 'REFIT_STORE_MISSING' });
      await expect(other.list('')[Symbol.asyncIterator]().next()).rejects.toMatchObject({
        code: 'REFIT_STORE_MISSING',
      });
    });

    it('that nothing answers at the endpoint', async () => {
      process.env.AWS_ENDPOINT_URL = 'http://127.0.0.1:9';
      await expect(probeStore(createS3Store(at.address, at.options))).rejects.toMatchObject({
        code: 'REFIT_STORE_UNREACHABLE',
        message: expect.stringContaining(at.address),
      });
    });
  });
});

/** The etag of an object once it is another one. */
async function untilChanged(store: ObjectStore, before: string): Promise<string> {
  for (;;) {
    const etag = (await store.stat('k'))?.etag ?? before;
    if (etag !== before) return etag;
  }
}
