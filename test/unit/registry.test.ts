import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readAudit, verifyAudit } from '../../core/registry/audit.ts';
import { decideVersion } from '../../core/registry/decide-version.ts';
import { decidedVersion } from '../../core/registry/decisions.ts';
import { type Decision, promote, readRouting, reject } from '../../core/registry/routing.ts';
import { findBar } from '../../core/registry/status.ts';
import {
  claimVersion,
  findManifest,
  listVersions,
  readManifest,
  registerVersion,
  type VersionDraft,
} from '../../core/registry/versions.ts';
import { createBlobStore } from '../../core/store/blobs.ts';
import { digestOf, sha256 } from '../../core/store/digest.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';
import type { BlobStore, ObjectStore } from '../../core/store/ports.ts';
import { failed, MODEL, passed, versionDraft } from './registry.fixture.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A store that fails at its n-th write: before anything is written, or after, when only the answer is lost. */
function failingAt(
  objects: ObjectStore,
  n: number,
  when: 'before' | 'after',
): { store: ObjectStore; writes(): number } {
  let writes = 0;
  async function write<T>(work: () => Promise<T>): Promise<T> {
    writes += 1;
    if (writes >= n && when === 'before') throw new Error('crash');
    const done = await work();
    if (writes >= n) throw new Error('crash');
    return done;
  }
  const store: ObjectStore = {
    ...objects,
    put: (...args) => write(() => objects.put(...args)),
    putFile: (...args) => write(() => objects.putFile(...args)),
    delete: (...args) => write(() => objects.delete(...args)),
  };
  return { store, writes: () => writes };
}

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

  const draft = (key: string, over: Partial<VersionDraft> = {}) => versionDraft(blobs, key, over);
  const register = async (key: string, over: Partial<VersionDraft> = {}) =>
    registerVersion(blobs, await draft(key, over));
  const decision = (version: number, over: Partial<Decision> = {}): Decision => ({
    ...{ model: MODEL, version, decisionId: `d${version}`, by: 'rule', reason: 'all gates passed', gates: [passed] },
    ...{ runId: `run-${version}`, workflowId: 'train/flight-delays' },
    ...over,
  });
  const champion = async (): Promise<number | undefined> => (await readRouting(objects, MODEL))?.champion.version;
  const entryKey = (sequence: number): string => `audit/${MODEL}/${String(sequence).padStart(8, '0')}.json`;

  describe('versions', () => {
    it('count from 1, one a key, however many ask at once', async () => {
      const wanted = Array.from({ length: 24 }, (_, i) => `key-${i % 8}`);
      const given = await Promise.all(wanted.map((key) => claimVersion(objects, MODEL, key)));
      const byKey = new Map(wanted.map((key, i) => [key, given[i]]));
      expect(given).toEqual(wanted.map((key) => byKey.get(key)));
      expect(await listVersions(objects, MODEL)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    });

    it('hold everything that belongs to them', async () => {
      const manifest = await register('k');
      expect(manifest).toMatchObject({ model: MODEL, version: 1, key: 'k', seenUntil: '2013-11-01T00:00:00Z' });
      const files: Record<string, string> = {};
      for await (const key of objects.list(`models/${MODEL}/1/`)) {
        files[key.replace(`models/${MODEL}/1/`, '')] = new TextDecoder().decode((await objects.get(key))?.body);
      }
      expect(Object.keys(files)).toEqual([
        'lineage.json',
        'manifest.json',
        'metrics.json',
        'model.onnx',
        'profile.json',
        'signature.json',
      ]);
      expect(sha256(files['model.onnx'] ?? '')).toBe(manifest.sha256);
      expect(JSON.parse(files['lineage.json'] ?? '')).toEqual(manifest.lineage);
      expect(files['profile.json']).toBe('"profile of k"');
    });

    it('do not change when they are registered again, with other gates or not', async () => {
      const first = await register('k');
      const again = await register('k', { gates: [failed], asOf: '2014-01-01T00:00:00Z' });
      expect(again).toEqual(first);
      expect(await decidedVersion(objects, MODEL, 'k')).toBeUndefined();
    });

    it('agree when two register the same key at the same time', async () => {
      const [one, two] = await Promise.all([register('k'), register('k', { asOf: '2014-01-01T00:00:00Z' })]);
      expect(one).toEqual(two);
      expect(await listVersions(objects, MODEL)).toEqual([1]);
    });

    it.each(['model.onnx', 'signature.json', 'profile.json', 'lineage.json', 'manifest.json'])(
      'are mended when %s was damaged and they are registered again',
      async (file) => {
        const key = `models/${MODEL}/1/${file}`;
        const manifest = await register('k');
        const whole = await objects.get(key);
        await objects.put(key, bytes('{"asOf":"2099-01-01T00:00:00Z"}'));
        if (file === 'manifest.json') {
          await expect(readManifest(objects, MODEL, 1)).rejects.toMatchObject({ code: 'REFIT_REGISTRY_DAMAGED' });
          expect(await findManifest(objects, MODEL, 1)).toBeUndefined();
        }
        await registerVersion(blobs, await draft('k'), () => new Date(manifest.createdAt));
        expect(await objects.get(key)).toEqual(whole);
      },
    );

    it('are not believed when one figure of the manifest was altered', async () => {
      await register('k');
      const key = `models/${MODEL}/1/manifest.json`;
      const text = new TextDecoder().decode((await objects.get(key))?.body);
      await objects.put(key, bytes(text.replace('"auc":0.73', '"auc":0.93')));
      await expect(readManifest(objects, MODEL, 1)).rejects.toMatchObject({ code: 'REFIT_REGISTRY_DAMAGED' });
    });
  });

  describe('promotion', () => {
    it('makes a version the champion and says so in the audit log', async () => {
      const { sha256: digest } = await register('k');
      expect(await promote(objects, decision(1))).toMatchObject({ moved: true });
      expect(await readRouting(objects, MODEL)).toMatchObject({
        champion: { version: 1, sha256: digest, key: 'k', asOf: '2013-12-01T00:00:00Z' },
        audit: { sequence: 1 },
      });
      expect(await readAudit(objects, MODEL)).toMatchObject([
        { sequence: 1, action: 'promote', by: 'rule', runId: 'run-1', intent: { from: null, to: { version: 1 } } },
      ]);
    });

    it('is refused for a version that was rejected, whoever asks', async () => {
      await register('k');
      await reject(objects, decision(1, { decisionId: 'no', gates: [failed] }));
      expect(await findBar(objects, MODEL, 1)).toMatchObject({ version: 1, gates: [failed] });
      expect(await promote(objects, decision(1, { by: 'somebody' }))).toMatchObject({
        moved: false,
        refused: 'barred',
      });
      expect(await champion()).toBeUndefined();
    });

    it('never puts an older asOf in the place of a newer one', async () => {
      await register('new', { asOf: '2014-01-01T00:00:00Z' });
      await register('old', { asOf: '2013-06-01T00:00:00Z' });
      await promote(objects, decision(1));
      expect(await promote(objects, decision(2))).toMatchObject({ moved: false, refused: 'older' });
      expect(await champion()).toBe(1);
      expect(await readAudit(objects, MODEL)).toHaveLength(1);
    });

    it('of the champion itself changes nothing', async () => {
      await register('k');
      await promote(objects, decision(1));
      expect(await promote(objects, decision(1, { decisionId: 'other' }))).toMatchObject({ refused: 'unchanged' });
      expect(await readAudit(objects, MODEL)).toHaveLength(1);
    });

    it('that was overtaken does not come back with a late retry', async () => {
      await register('a');
      await register('b');
      await promote(objects, decision(1));
      await promote(objects, decision(2));
      expect(await promote(objects, decision(1))).toMatchObject({ moved: true, entry: { sequence: 1 } });
      expect(await champion()).toBe(2);
    });

    it('whose intent was written and then forgotten is finished by the next one', async () => {
      await register('a');
      await register('b');
      const crashing = failingAt(objects, 2, 'before');
      await expect(promote(crashing.store, decision(1))).rejects.toThrow('crash');
      expect(await champion()).toBeUndefined();
      await promote(objects, decision(2));
      expect(await champion()).toBe(2);
      expect((await readAudit(objects, MODEL))[1]?.intent.from?.version).toBe(1);
    });

    it('keeps log and routing together when many decide at once', async () => {
      const days = ['03', '01', '06', '02', '05', '04'];
      for (const day of days) await register(day, { asOf: `2014-01-${day}T00:00:00Z` });
      await Promise.all(days.map((_, i) => promote(objects, decision(i + 1))));
      expect(await champion()).toBe(days.indexOf('06') + 1);
      const { entries, problems } = await verifyAudit(objects, MODEL);
      expect(problems).toEqual([]);
      const served = entries.map(({ intent }) => intent.to?.asOf ?? '');
      expect(served).toEqual([...served].sort());
      expect((await readRouting(objects, MODEL))?.audit.sequence).toBe(entries.length);
    });
  });

  describe('crashes', () => {
    /** Registers and decides, as a run does: the second version comes on top of a champion. */
    const run = async (store: ObjectStore, version: VersionDraft) => {
      const manifest = await registerVersion(createBlobStore(store), version, () => new Date(0));
      const request = { model: MODEL, version: manifest.version, gates: manifest.gates, comparedWith: 1 };
      const decided = await decideVersion(store, { ...request, approval: 'none', runId: 'run', workflowId: 'w' });
      if ('due' in decided) throw new Error(`due: ${decided.due}`);
      return decided;
    };

    it.each([
      ['promotes', 'before', passed],
      ['promotes', 'after', passed],
      ['rejects', 'before', failed],
      ['rejects', 'after', failed],
    ] as const)('a run that %s ends right, whichever write it crashes %s', async (_, when, gate) => {
      const total = await writesOf(gate);
      expect(total).toBeGreaterThanOrEqual(8);
      for (let n = 1; n <= total; n++) {
        await startOver();
        const version = await draft('candidate', { gates: [gate] });
        await expect(run(failingAt(objects, n, when).store, version)).rejects.toThrow('crash');
        const decided = await run(objects, version);
        expect(decided.verdict).toBe(gate.passed ? 'promoted' : 'rejected');
        expect(decided.serving).toBe(gate.passed ? 2 : 1);
        expect(await listVersions(objects, MODEL)).toEqual([1, 2]);
        expect(await champion()).toBe(gate.passed ? 2 : 1);
        const { entries, problems } = await verifyAudit(objects, MODEL);
        expect(problems).toEqual([]);
        expect(entries.map(({ version, action }) => [version, action])).toEqual([
          [1, 'promote'],
          [2, gate.passed ? 'promote' : 'reject'],
        ]);
      }
    });

    it('a run that crashes again and again ends right as well', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.integer({ min: 1, max: 12 }), fc.constantFrom('before', 'after')), { maxLength: 6 }),
          async (crashes) => {
            await startOver();
            const version = await draft('candidate');
            for (const [n, when] of crashes)
              await run(failingAt(objects, n, when).store, version).catch(() => undefined);
            await run(objects, version);
            expect(await listVersions(objects, MODEL)).toEqual([1, 2]);
            expect(await champion()).toBe(2);
            expect((await verifyAudit(objects, MODEL)).entries).toHaveLength(2);
          },
        ),
        { numRuns: 12 },
      );
    });

    async function startOver(): Promise<void> {
      await rm(root, { recursive: true });
      await register('champion', { asOf: '2013-10-01T00:00:00Z' });
      await promote(objects, decision(1));
    }
    async function writesOf(gate: typeof passed): Promise<number> {
      await startOver();
      const counting = failingAt(objects, Number.POSITIVE_INFINITY, 'before');
      await run(counting.store, await draft('candidate', { gates: [gate] }));
      return counting.writes();
    }
  });

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
