import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { blobKey, blobsIn, createBlobStore } from '../../core/store/blobs.ts';
import { createCheckpoints } from '../../core/store/checkpoints.ts';
import { canonicalJson, digestOf, sha256 } from '../../core/store/digest.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';
import type { BlobStore, ObjectStore } from '../../core/store/ports.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('canonical JSON', () => {
  it('writes the example of RFC 8785, section 3.2.3', () => {
    const value = {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      '1': 'One',
      '\u{1f600}': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      '\u00f6': 'Latin Small Letter O With Diaeresis',
    };
    expect(Object.values(JSON.parse(canonicalJson(value)) as object)[0]).toBe('One');
    const order = [...canonicalJson(value).matchAll(/:"([^"]+)"/g)].map(([, name]) => name);
    expect(order).toEqual([
      'Carriage Return',
      'One',
      'Control',
      'Latin Small Letter O With Diaeresis',
      'Euro Sign',
      'Emoji: Grinning Face',
      'Hebrew Letter Dalet With Dagesh',
    ]);
  });

  it('keeps every JSON value and gives one text whatever the order of keys', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value);
        expect(text).toBe(canonicalJson(reversed(value)));
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('leaves out undefined properties, as they do not survive the way through JSON', () => {
    expect(digestOf({ a: 1, b: undefined })).toBe(digestOf({ a: 1 }));
    expect(digestOf({ a: 1 })).not.toBe(digestOf({ a: 1, b: null }));
  });

  it.each([
    ['NaN', { a: [{ b: Number.NaN }] }, '$.a[0].b'],
    ['Infinity', Number.POSITIVE_INFINITY, '$'],
    ['function', { f: () => 1 }, '$.f'],
    ['object', { at: new Date(0) }, '$.at'],
    ['object', { at: new Map() }, '$.at'],
    ['bigint', { n: 1n }, '$.n'],
    ['undefined', [undefined], '$[0]'],
  ])('refuses %s and says where it stands', (what, value, path) => {
    expect(() => canonicalJson(value)).toThrow(`A value that JSON cannot hold (${what}) stands at ${path}.`);
  });
});

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, inner]) => [name, reversed(inner)]),
  );
}

describe('in a folder store', () => {
  let root: string;
  let objects: ObjectStore;
  let blobs: BlobStore;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'refit-blobs-'));
    objects = createFolderStore(join(root, 'store'));
    blobs = createBlobStore(objects);
  });
  afterEach(async () => {
    await rm(root, { recursive: true });
  });
  const damage = async (key: string, text: string): Promise<void> =>
    writeFile((await objects.localPath(key)) ?? '', text);

  describe('blobs', () => {
    it('are named by their content', async () => {
      const hex = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
      const ref = { uri: `blobs/sha256/ba/${hex}`, sha256: hex, bytes: 3 };
      await writeFile(join(root, 'abc'), 'abc');
      expect(await blobs.putBytes(bytes('abc'))).toEqual(ref);
      expect(await blobs.putFile(join(root, 'abc'))).toEqual(ref);
      expect(await blobs.bytes(ref)).toEqual(bytes('abc'));
    });

    it('hold JSON, equal values under one name', async () => {
      const ref = await blobs.putJson({ b: 1, a: [true, null] });
      expect(await blobs.putJson({ a: [true, null], b: 1 })).toEqual(ref);
      expect(await blobs.json(ref)).toEqual({ a: [true, null], b: 1 });
    });

    it.each([
      ['of another length', 'longer than it was'],
      ['of the same length', 'abd'],
    ])('notice damage %s, and are mended when put again', async (_, text) => {
      const ref = await blobs.putBytes(bytes('abc'));
      expect(await blobs.verify(ref)).toBe(true);
      await damage(ref.uri, text);
      expect(await blobs.verify(ref)).toBe(false);
      await expect(blobs.bytes(ref)).rejects.toMatchObject({ code: 'REFIT_STORE_CORRUPT' });
      await expect(blobs.path(ref)).rejects.toMatchObject({ code: 'REFIT_STORE_CORRUPT' });
      await blobs.putBytes(bytes('abc'));
      expect(await blobs.verify(ref)).toBe(true);
      expect(await blobs.bytes(ref)).toEqual(bytes('abc'));
    });

    it('notice damage after the digest of the untouched file was remembered', async () => {
      const ref = await blobs.putBytes(bytes('abc'));
      await sleep(80);
      expect(await blobs.verify(ref)).toBe(true);
      const path = await blobs.path(ref);
      await damage(ref.uri, 'abd');
      // Even with the old time put back: the inode's change time cannot be.
      await utimes(path, new Date(0), new Date(0));
      expect(await blobs.verify(ref)).toBe(false);
    });

    it('are missed when they are gone', async () => {
      const ref = await blobs.putBytes(bytes('abc'));
      await objects.delete(ref.uri);
      expect(await blobs.verify(ref)).toBe(false);
      await expect(blobs.bytes(ref)).rejects.toMatchObject({ code: 'REFIT_STORE_CORRUPT' });
    });

    it('are found in a JSON value at any depth, each once', async () => {
      const a = await blobs.putBytes(bytes('a'));
      const b = await blobs.putBytes(bytes('b'));
      expect(blobsIn({ x: [{ y: a }, b], z: a, no: { sha256: a.sha256 } })).toEqual([a, b]);
      expect(blobKey(a.sha256)).toBe(a.uri);
    });
  });

  describe('checkpoints', () => {
    it('give back the newest one', async () => {
      const checkpoints = createCheckpoints(objects, 'train', 'k1');
      expect(await checkpoints.latest()).toBeUndefined();
      for (const index of [0, 1, 9, 10]) await checkpoints.publish(index, bytes(`chunk ${index}`));
      expect(await checkpoints.latest()).toEqual({ index: 10, body: bytes('chunk 10') });
    });

    it('keep two, and none after clear', async () => {
      const checkpoints = createCheckpoints(objects, 'train', 'k1');
      const other = createCheckpoints(objects, 'train', 'k2');
      await other.publish(0, bytes('other'));
      for (const index of [0, 1, 2]) await checkpoints.publish(index, bytes('x'));
      const keys: string[] = [];
      for await (const key of objects.list('steps/train/k1.checkpoints/')) keys.push(key.slice(-2));
      expect(keys).toEqual(['01', '02']);
      await checkpoints.clear();
      expect(await checkpoints.latest()).toBeUndefined();
      expect((await other.latest())?.index).toBe(0);
    });

    it.each([
      ['cut short', (body: Uint8Array) => body.slice(0, -1)],
      ['cut to nothing', () => new Uint8Array()],
      ['altered', (body: Uint8Array) => body.map((byte, i) => (i === body.length - 1 ? byte ^ 1 : byte))],
    ])('pass over one that was %s for the one before, and let it be made again', async (_, change) => {
      const checkpoints = createCheckpoints(objects, 'train', 'k1');
      await checkpoints.publish(3, bytes('three'));
      await checkpoints.publish(4, bytes('four'));
      const key = 'steps/train/k1.checkpoints/0000000004';
      await objects.put(key, change((await objects.get(key))?.body ?? new Uint8Array()));
      expect(await checkpoints.latest()).toEqual({ index: 3, body: bytes('three') });
      await checkpoints.publish(4, bytes('four'));
      expect(await checkpoints.latest()).toEqual({ index: 4, body: bytes('four') });
    });

    it('refuse a checkpoint that was made for another step key or another place', async () => {
      const checkpoints = createCheckpoints(objects, 'train', 'k1');
      await checkpoints.publish(3, bytes('three'));
      const stolen = (await objects.get('steps/train/k1.checkpoints/0000000003'))?.body ?? new Uint8Array();
      await objects.put('steps/train/k1.checkpoints/0000000007', stolen);
      await objects.put('steps/train/k2.checkpoints/0000000003', stolen);
      expect((await checkpoints.latest())?.index).toBe(3);
      expect(await createCheckpoints(objects, 'train', 'k2').latest()).toBeUndefined();
    });
  });
});

it('hashes text as UTF-8', () => {
  expect(sha256('')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  expect(sha256('ä')).toBe(sha256(Uint8Array.of(0xc3, 0xa4)));
});
