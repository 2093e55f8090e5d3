import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readAudit, verifyAudit } from '../../core/registry/audit.ts';
import { decidedVersion } from '../../core/registry/decisions.ts';
import { promote, readRouting, reject } from '../../core/registry/routing.ts';
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
import { sha256 } from '../../core/store/digest.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';
import type { BlobStore, ObjectStore } from '../../core/store/ports.ts';
import { decision, failed, failingAt, MODEL, versionDraft } from './registry.fixture.ts';

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

  const draft = (key: string, over: Partial<VersionDraft> = {}) => versionDraft(blobs, key, over);
  const register = async (key: string, over: Partial<VersionDraft> = {}) =>
    registerVersion(blobs, await versionDraft(blobs, key, over));
  const champion = async (): Promise<number | undefined> => (await readRouting(objects, MODEL))?.champion.version;

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
});
