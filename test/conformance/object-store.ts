import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RefitError } from '../../core/spec/errors.ts';
import { createBlobStore } from '../../core/store/blobs.ts';
import { createCheckpoints } from '../../core/store/checkpoints.ts';
import { sha256 } from '../../core/store/digest.ts';
import type { ObjectStore, PutCondition } from '../../core/store/ports.ts';

/** How the suite gets at an adapter: an empty store, and how another process opens the same one. */
export interface AdapterUnderTest {
  store: ObjectStore;
  elsewhere: { module: string; factory: string; argument: string };
  /** Alters bytes of an object behind the store's back. */
  damage(key: string): Promise<void>;
  remove(): Promise<void>;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (body: Uint8Array | undefined): string => new TextDecoder().decode(body);

/** What every ObjectStore promises. */
export function objectStoreConformance(name: string, open: () => Promise<AdapterUnderTest>): void {
  describe(`object store: ${name}`, () => {
    let adapter: AdapterUnderTest;
    let store: ObjectStore;
    const started: AdapterUnderTest[] = [];
    beforeEach(async () => {
      adapter = await open();
      store = adapter.store;
      started.push(adapter);
    });
    afterEach(async () => {
      await adapter.remove();
    });
    afterAll(() => expect(started.length).toBeGreaterThan(0));

    const keys = async (prefix: string): Promise<string[]> => {
      const found: string[] = [];
      for await (const key of store.list(prefix)) found.push(key);
      return found;
    };

    describe('reading and writing', () => {
      it('gives back what was put, byte for byte', async () => {
        const body = Uint8Array.from({ length: 256 }, (_, i) => i);
        const etag = await store.put('a/b/c.bin', body);
        expect(await store.get('a/b/c.bin')).toEqual({ body, etag });
        expect(await store.stat('a/b/c.bin')).toEqual({ bytes: 256, etag });
      });

      it('takes an empty object', async () => {
        await store.put('empty', bytes(''));
        expect((await store.get('empty'))?.body).toEqual(bytes(''));
        expect((await store.stat('empty'))?.bytes).toBe(0);
      });

      it('knows nothing of a key that was never written, nor of a folder', async () => {
        await store.put('a/b', bytes('x'));
        for (const key of ['nothing', 'a', 'a/b/c']) {
          expect(await store.get(key)).toBeUndefined();
          expect(await store.stat(key)).toBeUndefined();
          expect(await store.localPath(key)).toBeUndefined();
        }
      });

      it('copies a file and leaves the original alone', async () => {
        const folder = await mkdtemp(join(tmpdir(), 'refit-source-'));
        try {
          const file = join(folder, 'original');
          await writeFile(file, 'first');
          const etag = await store.putFile('copied', file, { create: true });
          await writeFile(file, 'second');
          expect(text((await store.get('copied'))?.body)).toBe('first');
          expect((await store.stat('copied'))?.etag).toBe(etag);
          expect(await store.putFile('copied', file, { create: true })).toBeUndefined();
          expect(await store.putFile('copied', file, { ifMatch: etag ?? '' })).toBeDefined();
          expect(text((await store.get('copied'))?.body)).toBe('second');
        } finally {
          await rm(folder, { recursive: true });
        }
      });

      it('takes a file that is larger than a part of an upload, under conditions too', async () => {
        const folder = await mkdtemp(join(tmpdir(), 'refit-source-'));
        try {
          const file = join(folder, 'large');
          const [first, second] = [randomBytes(11_534_337), randomBytes(7_000_000)];
          await writeFile(file, first);
          const etag = (await store.putFile('a/large', file, { create: true })) ?? '';
          expect(await store.digest('a/large')).toEqual({ bytes: first.length, sha256: sha256(first) });
          expect((await store.stat('a/large'))?.etag).toBe(etag);
          expect(sha256(await readFile((await store.localPath('a/large')) ?? ''))).toBe(sha256(first));
          await writeFile(file, second);
          expect(await store.putFile('a/large', file, { create: true })).toBeUndefined();
          expect(await store.putFile('a/large', file, { ifMatch: 'another' })).toBeUndefined();
          expect((await store.digest('a/large'))?.sha256).toBe(sha256(first));
          const next = await store.putFile('a/large', file, { ifMatch: etag });
          expect(next).not.toBe(etag);
          expect((await store.get('a/large'))?.etag).toBe(next);
          expect(sha256(await readFile((await store.localPath('a/large')) ?? ''))).toBe(sha256(second));
          expect(await keys('')).toEqual(['a/large']);
        } finally {
          await rm(folder, { recursive: true });
        }
      });

      it('lets one of several files that are uploaded to one key at once win', async () => {
        const folder = await mkdtemp(join(tmpdir(), 'refit-source-'));
        try {
          const files = await Promise.all(
            Array.from({ length: 4 }, async (_, i) => {
              const path = join(folder, `${i}`);
              await writeFile(path, randomBytes(6_000_000));
              return path;
            }),
          );
          const etags = await Promise.all(files.map((file) => store.putFile('raced', file, { create: true })));
          const winners = files.filter((_, i) => etags[i] !== undefined);
          expect(winners).toHaveLength(1);
          expect((await store.digest('raced'))?.sha256).toBe(sha256(await readFile(winners[0] ?? '')));
        } finally {
          await rm(folder, { recursive: true });
        }
      });

      it('hands out a local file with the bytes of an object', async () => {
        await store.put('some/file', bytes('content'));
        expect(await readFile((await store.localPath('some/file')) ?? '', 'utf8')).toBe('content');
      });

      it('forgets what is deleted, and deleting twice is no error', async () => {
        await store.put('x/y', bytes('1'));
        await store.delete('x/y');
        await store.delete('x/y');
        expect(await store.get('x/y')).toBeUndefined();
        expect(await keys('')).toEqual([]);
        expect(await store.put('x/y', bytes('2'), { create: true })).toBeDefined();
        await store.delete('x/y');
        expect(await store.put('x', bytes('now an object'), { create: true })).toBeDefined();
      });
    });

    describe('conditions', () => {
      it('creates only where nothing is', async () => {
        expect(await store.put('k', bytes('first'), { create: true })).toBeDefined();
        expect(await store.put('k', bytes('second'), { create: true })).toBeUndefined();
        expect(text((await store.get('k'))?.body)).toBe('first');
      });

      it('replaces only the very version that was named', async () => {
        const first = (await store.put('k', bytes('1'))) ?? '';
        const second = (await store.put('k', bytes('2'), { ifMatch: first })) ?? '';
        expect(second).not.toBe(first);
        expect(await store.put('k', bytes('3'), { ifMatch: first })).toBeUndefined();
        expect(text((await store.get('k'))?.body)).toBe('2');
        expect((await store.stat('k'))?.etag).toBe(second);
      });

      it('does not match where nothing is', async () => {
        const etag = (await store.put('k', bytes('1'))) ?? '';
        await store.delete('k');
        expect(await store.put('k', bytes('2'), { ifMatch: etag })).toBeUndefined();
        expect(await store.get('k')).toBeUndefined();
      });

      it('lets one of 32 writers in one process win', async () => {
        const before = (await store.put('k', bytes('before'))) ?? '';
        const names = Array.from({ length: 32 }, (_, i) => `writer ${i}`);
        const etags = await Promise.all(names.map((who) => store.put('k', bytes(who), { ifMatch: before })));
        const winners = names.filter((_, i) => etags[i] !== undefined);
        expect(winners).toEqual([text((await store.get('k'))?.body)]);
      });

      it('loses no update of a counter that many increment at once', async () => {
        await store.put('counter', bytes('0'));
        await Promise.all(
          Array.from({ length: 12 }, async () => {
            for (;;) {
              const now = await store.get('counter');
              const next = bytes(String(Number(text(now?.body)) + 1));
              if ((await store.put('counter', next, { ifMatch: now?.etag ?? '' })) !== undefined) return;
            }
          }),
        );
        expect(text((await store.get('counter'))?.body)).toBe('12');
      });

      it.each(['create', 'ifMatch'])('lets one of 32 writers in four processes win (%s)', async (kind) => {
        const before = kind === 'create' ? undefined : await store.put('raced/key', bytes('before'));
        const condition = before === undefined ? { create: true as const } : { ifMatch: before };
        const winners = await race(adapter, 'raced/key', condition);
        expect(winners).toHaveLength(1);
        expect(text((await store.get('raced/key'))?.body)).toBe(winners[0]);
      });
    });

    describe('damage', () => {
      it.each(['bytes', 'path'] as const)(
        'is noticed when a blob is read (%s), and mended when it is put again',
        async (read) => {
          const blobs = createBlobStore(store);
          const ref = await blobs.putBytes(bytes('what was stored'));
          await adapter.damage(ref.uri);
          await expect(blobs[read](ref)).rejects.toMatchObject({ code: 'REFIT_STORE_CORRUPT' });
          expect(await blobs.verify(ref)).toBe(false);
          expect((await store.digest(ref.uri))?.sha256).not.toBe(ref.sha256);
          expect(await blobs.putBytes(bytes('what was stored'))).toEqual(ref);
          expect(text(await blobs.bytes(ref))).toBe('what was stored');
          expect(await readFile(await blobs.path(ref), 'utf8')).toBe('what was stored');
        },
      );

      it('of a checkpoint leads to the one before', async () => {
        const checkpoints = createCheckpoints(store, 'step', 'key');
        for (const index of [0, 1]) await checkpoints.publish(index, bytes(`state ${index}`));
        await adapter.damage('steps/step/key.checkpoints/0000000001');
        expect(text((await checkpoints.latest())?.body)).toBe('state 0');
        await checkpoints.publish(1, bytes('state 1'));
        expect(text((await checkpoints.latest())?.body)).toBe('state 1');
      });
    });

    describe('keys', () => {
      it('lists more than a thousand', async () => {
        const wanted = Array.from({ length: 1_203 }, (_, i) => `many/${String(i).padStart(5, '0')}`);
        for (let at = 0; at < wanted.length; at += 40) {
          await Promise.all(wanted.slice(at, at + 40).map((key) => store.put(key, bytes(key))));
        }
        expect(await keys('many/')).toEqual(wanted);
        expect(await keys('many/0120')).toEqual(['many/01200', 'many/01201', 'many/01202']);
      });

      it.each(['', '/a', 'a/', 'a//b', '.', '..', 'a/../b', 'a/./b', '.tmp/x', 'a\\b', 'a\nb', 'ä', 'a'.repeat(300)])(
        'refuses %j',
        async (key) => {
          await expect((async () => store.put(key, bytes('x')))()).rejects.toThrow(RefitError);
          await expect((async () => store.get(key))()).rejects.toThrow(RefitError);
        },
      );

      it('refuses a key that is a prefix of another followed by a slash', async () => {
        await store.put('a/b', bytes('1'));
        await expect(store.put('a/b/c', bytes('2'), { create: true })).rejects.toMatchObject({ name: 'RefitError' });
        await expect(store.put('a', bytes('3'), { create: true })).rejects.toMatchObject({ name: 'RefitError' });
        await expect(store.put('a', bytes('3'))).rejects.toMatchObject({ name: 'RefitError' });
        expect(await keys('')).toEqual(['a/b']);
      });

      it('lists keys below a prefix in byte order, and those only', async () => {
        const part = fc.constantFrom('a', 'b', 'a-b', 'a.json', 'a0', 'B', 'date=2013-01', 'a b');
        const some = fc.uniqueArray(fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/')));
        await fc.assert(
          fc.asyncProperty(some, fc.constantFrom('', 'a', 'a/', 'a/b', 'date=', 'zzz'), async (wanted, prefix) => {
            const good = wanted.filter((key) => !wanted.some((other) => key.startsWith(`${other}/`)));
            for (const key of good) await store.put(key, bytes(key));
            const found = await keys(prefix);
            for (const key of good) await store.delete(key);
            expect(found).toEqual(good.filter((key) => key.startsWith(prefix)).sort());
          }),
          { numRuns: 25 },
        );
      });
    });
  });
}

/** 32 writers in four processes, started as nearly together as can be. @returns the names of those who won */
async function race({ elsewhere }: AdapterUnderTest, key: string, condition: PutCondition): Promise<string[]> {
  const script = fileURLToPath(new URL('racing-writer.ts', import.meta.url));
  const children = Array.from({ length: 4 }, (_, process_) => {
    const writers = Array.from({ length: 8 }, (_, writer) => `process ${process_}, writer ${writer}`);
    const plan = JSON.stringify({ key, condition, writers });
    const { module, factory, argument } = elsewhere;
    return spawn(process.execPath, ['--import', 'tsx', script, module, factory, argument, plan]);
  });
  const lines = children.map(linesOf);
  for (const read of lines) expect(await read()).toBe('ready');
  for (const child of children) child.stdin.write('go\n');
  const answers = await Promise.all(lines.map((read) => read()));
  return answers.flatMap((answer) => JSON.parse(answer) as string[]);
}

function linesOf(child: ChildProcessWithoutNullStreams): () => Promise<string> {
  let complaints = '';
  child.stderr.on('data', (chunk: Buffer) => {
    complaints += chunk.toString();
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return async () => {
    const { value, done } = await lines.next();
    if (done) {
      if (child.exitCode === null) await once(child, 'exit');
      throw new Error(`The racing process ended: ${complaints}`);
    }
    return value;
  };
}
