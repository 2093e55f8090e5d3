import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verifyAudit } from '../../core/registry/audit.ts';
import { decideVersion } from '../../core/registry/decide-version.ts';
import { promote, readRouting } from '../../core/registry/routing.ts';
import { listVersions, registerVersion, type VersionDraft } from '../../core/registry/versions.ts';
import { createBlobStore } from '../../core/store/blobs.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';
import type { BlobStore, ObjectStore } from '../../core/store/ports.ts';
import { decision, failed, failingAt, MODEL, passed, versionDraft } from './registry.fixture.ts';

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
});
