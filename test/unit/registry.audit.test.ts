import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readAudit, verifyAudit } from '../../core/registry/audit.ts';
import { promote, readRouting, reject } from '../../core/registry/routing.ts';
import { registerVersion, type VersionDraft } from '../../core/registry/versions.ts';
import { createBlobStore } from '../../core/store/blobs.ts';
import { digestOf } from '../../core/store/digest.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';
import type { BlobStore, ObjectStore } from '../../core/store/ports.ts';
import { decision, failed, MODEL, versionDraft } from './registry.fixture.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('registry', () => {
  let root: string;
  let objects: ObjectStore;
  let blobs: BlobStore;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'refit-registry-'));
    objects = createFolderStore(root);
    blobs = createBlobStore(objects);
  });
  afterEach(async () => {
    await rm(root, { recursive: true });
  });

  const register = async (key: string, over: Partial<VersionDraft> = {}) =>
    registerVersion(blobs, await versionDraft(blobs, key, over));
  const champion = async (): Promise<number | undefined> => (await readRouting(objects, MODEL))?.champion.version;
  const entryKey = (sequence: number): string => `audit/${MODEL}/${String(sequence).padStart(8, '0')}.json`;

  describe('audit log', () => {
    beforeEach(async () => {
      for (const key of ['a', 'b', 'c']) await register(key);
      await promote(objects, decision(1));
      await reject(objects, decision(2, { gates: [failed] }));
      await promote(objects, decision(3, { by: 'somebody', reason: 'looked at the report' }));
    });
    const problems = async (): Promise<string[]> =>
      (await verifyAudit(objects, MODEL)).problems.map(({ sequence, problem }) => `${sequence}: ${problem}`);
    const swap = async (one: string, two: string): Promise<void> => {
      const [first, second] = await Promise.all([objects.get(one), objects.get(two)]);
      await objects.put(one, second?.body ?? bytes(''));
      await objects.put(two, first?.body ?? bytes(''));
    };

    it('is intact when nobody touched it', async () => {
      expect(await problems()).toEqual([]);
      expect((await verifyAudit(objects, 'unknown-model')).entries).toEqual([]);
    });

    it('holds a decision once, however often it is tried', async () => {
      await promote(objects, decision(3));
      await reject(objects, decision(2));
      expect(await readAudit(objects, MODEL)).toHaveLength(3);
    });

    it('tells of an altered entry, and nothing is decided on top of it', async () => {
      const text = new TextDecoder().decode((await objects.get(entryKey(2)))?.body);
      await objects.put(entryKey(2), bytes(text.replace('rule', 'nobody')));
      expect(await problems()).toEqual(['2: The entry was altered.']);
      await register('d');
      await expect(promote(objects, decision(4))).rejects.toMatchObject({ code: 'REFIT_REGISTRY_DAMAGED' });
      expect(await champion()).toBe(3);
    });

    it('tells of any byte that is altered', async () => {
      const whole = (await objects.get(entryKey(2)))?.body ?? bytes('');
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 0, max: whole.length - 2 }),
          fc.integer({ min: 1, max: 127 }),
          async (at, flip) => {
            const changed = whole.map((byte, i) => (i === at ? byte ^ flip : byte));
            await objects.put(entryKey(2), changed);
            if (!isSameJson(whole, changed)) expect(await problems()).not.toEqual([]);
          },
        ),
        { numRuns: 40 },
      );
    });

    it('tells of an entry that was altered and hashed anew', async () => {
      const text = new TextDecoder().decode((await objects.get(entryKey(1)))?.body);
      const { hash: _, ...entry } = JSON.parse(text) as Record<string, unknown>;
      const forged = { ...entry, reason: 'forged' };
      await objects.put(entryKey(1), bytes(JSON.stringify({ ...forged, hash: digestOf(forged) })));
      expect(await problems()).toEqual(['2: The entry does not follow from the one before it.']);
    });

    it('tells of a gap, of a wrong order and of a file that is none of its own', async () => {
      await swap(entryKey(1), entryKey(2));
      expect(await problems()).toContain('1: The entry belongs to another place.');
      await swap(entryKey(1), entryKey(2));
      await objects.put(`audit/${MODEL}/note.txt`, bytes('hello'));
      expect(await problems()).toEqual([`4: audit/${MODEL}/note.txt does not belong into the log.`]);
      await objects.delete(`audit/${MODEL}/note.txt`);
      await objects.delete(entryKey(2));
      expect(await problems()).toContain('2: The entry is missing.');
    });

    it('tells when its newest entry was cut off, by what routing says', async () => {
      await objects.delete(entryKey(3));
      expect(await problems()).toEqual(['3: Routing names this entry, but it is missing.']);
    });
  });
});

function isSameJson(one: Uint8Array, other: Uint8Array): boolean {
  const [a, b] = [one, other].map((body) => new TextDecoder().decode(body));
  try {
    return JSON.stringify(JSON.parse(a ?? '')) === JSON.stringify(JSON.parse(b ?? ''));
  } catch {
    return false;
  }
}
