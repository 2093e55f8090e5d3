import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readAudit, verifyAudit } from '../../core/registry/audit.ts';
import { decideVersion } from '../../core/registry/decide-version.ts';
import { describeModel } from '../../core/registry/describe.ts';
import { pauseModel, resumeModel, rollBack, rollOut } from '../../core/registry/operator-moves.ts';
import { readRouting } from '../../core/registry/routing.ts';
import { findBar } from '../../core/registry/status.ts';
import { verifyVersion } from '../../core/registry/verify-version.ts';
import { registerVersion } from '../../core/registry/versions.ts';
import { createBlobStore } from '../../core/store/blobs.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';
import type { ObjectStore } from '../../core/store/ports.ts';
import { failed, failingAt, MODEL, passed, versionDraft } from './registry.fixture.ts';

let root: string;
let objects: ObjectStore;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'refit-moves-'));
  objects = createFolderStore(root);
});
afterEach(() => rm(root, { recursive: true }));

let decisions = 0;
const byHand = (reason = 'it is wrong') => {
  decisions += 1;
  return { model: MODEL, decisionId: `by-hand/${decisions}`, by: 'ada', reason };
};
const champion = async () => (await readRouting(objects, MODEL))?.champion.version;
const ask = async (version: number, gates = [passed]) =>
  decideVersion(objects, {
    ...{ model: MODEL, version, gates, comparedWith: (await champion()) ?? null, approval: 'none' },
    ...{ runId: `run ${version}`, workflowId: `w ${version}` },
  });
/** Registers and promotes one version after the other. */
async function champions(count: number): Promise<void> {
  const blobs = createBlobStore(objects);
  for (let day = 1; day <= count; day++) {
    const draft = await versionDraft(blobs, `key ${day}`, { asOf: `2013-12-0${day}T00:00:00Z` });
    await ask((await registerVersion(blobs, draft)).version);
  }
}

describe('rolling back', () => {
  it('brings the version before the champion back, and step by step the ones before', async () => {
    await champions(3);
    await rollBack(objects, byHand());
    expect(await champion()).toBe(2);
    await rollBack(objects, byHand());
    expect(await champion()).toBe(1);
    await expect(rollBack(objects, byHand())).rejects.toMatchObject({ code: 'REFIT_NOT_SERVING' });
    expect(await champion()).toBe(1);
    expect((await verifyAudit(objects, MODEL)).problems).toEqual([]);
  });

  it('of a named version can be repeated: it goes once', async () => {
    await champions(3);
    expect(await rollBack(objects, { ...byHand(), version: 3 })).toMatchObject({ moved: true });
    expect(await rollBack(objects, { ...byHand(), version: 3 })).toMatchObject({ moved: false });
    expect(await champion()).toBe(2);
    await expect(rollBack(objects, { ...byHand(), version: 1 })).rejects.toThrow(/version 2 serves/);
  });

  it('bars the version: its run, repeated, does not promote it again', async () => {
    await champions(2);
    await rollBack(objects, byHand('trained on the wrong month'));
    expect(await findBar(objects, MODEL, 2)).toMatchObject({ by: 'ada', reason: 'trained on the wrong month' });
    const decided = await ask(2);
    expect(decided).toMatchObject({ verdict: 'rejected', serving: 1 });
    expect(decided).toHaveProperty('gates', [passed, expect.objectContaining({ passed: false })]);
    expect(await champion()).toBe(1);
  });

  it('by two people at once takes one version away', async () => {
    await champions(3);
    const both = [1, 2].map(() => rollBack(objects, { ...byHand(), version: 3 }));
    expect((await Promise.all(both)).filter(({ moved }) => moved)).toHaveLength(1);
    expect(await champion()).toBe(2);
  });

  it('that crashed at any write is finished by trying again', async () => {
    for (const when of ['before', 'after'] as const) {
      for (let n = 1; n <= 3; n++) {
        await rm(root, { recursive: true });
        objects = createFolderStore(root);
        await champions(2);
        const decision = { ...byHand(), version: 2 };
        await expect(rollBack(failingAt(objects, n, when).store, decision)).rejects.toThrow('crash');
        await rollBack(objects, decision);
        expect([await champion(), (await readAudit(objects, MODEL)).length], `${when} write ${n}`).toEqual([1, 3]);
        expect(await findBar(objects, MODEL, 2)).toBeDefined();
      }
    }
  });
});

describe('rolling out by hand', () => {
  it('lets an earlier champion serve, whatever its date; the next run is held against that one', async () => {
    await champions(2);
    expect(await rollOut(objects, { ...byHand(), version: 1 })).toMatchObject({ moved: true });
    expect(await champion()).toBe(1);
    expect(await rollOut(objects, { ...byHand(), version: 1 })).toMatchObject({ moved: false });
    await champions(3);
    expect(await champion()).toBe(3);
  });

  it('of a barred version needs an explicit word, which lifts the bar', async () => {
    await champions(1);
    const blobs = createBlobStore(objects);
    const { version } = await registerVersion(blobs, await versionDraft(blobs, 'weak', { gates: [failed] }));
    await ask(version, [failed]);
    await expect(rollOut(objects, { ...byHand(), version })).rejects.toMatchObject({ code: 'REFIT_VERSION_BARRED' });
    await rollOut(objects, { ...byHand(), version, liftBar: true });
    expect([await champion(), await findBar(objects, MODEL, version)]).toEqual([version, undefined]);
    expect(await ask(version, [failed])).toMatchObject({ verdict: 'unchanged', serving: version });
    expect(await verifyVersion(blobs, MODEL, version)).toHaveProperty(
      'checks',
      expect.arrayContaining([{ name: 'routing', passed: true, found: 'it serves, as the log decided' }]),
    );
  });
});

describe('a paused model', () => {
  const speak = (version: number, by: string) => ({
    ...{ model: MODEL, version, gates: [passed], comparedWith: 1, approval: 'none' as const },
    ...{ runId: `run ${version}`, workflowId: `w ${version}` },
    approved: { action: 'approve' as const, by, reason: 'as it is' },
  });

  it('is promoted by a person only, and not by time that runs out; resumed, by its rules', async () => {
    await champions(1);
    await pauseModel(objects, byHand('the feed is being repaired'));
    expect(await pauseModel(objects, byHand())).toMatchObject({ moved: false, entry: { by: 'ada' } });
    const blobs = createBlobStore(objects);
    const { version } = await registerVersion(blobs, await versionDraft(blobs, 'next'));
    expect(await ask(version)).toEqual({ due: 'approval', paused: true });
    expect(await decideVersion(objects, speak(version, 'rule'))).toEqual({ due: 'approval', paused: true });
    expect(await champion()).toBe(1);
    expect(await decideVersion(objects, speak(version, 'grace'))).toMatchObject({ verdict: 'promoted' });
    await resumeModel(objects, byHand());
    await expect(resumeModel(objects, byHand())).rejects.toMatchObject({ code: 'REFIT_NOT_PAUSED' });
    await champions(2);
    expect((await describeModel(objects, { model: MODEL, version: undefined })).paused).toBeNull();
    expect((await verifyAudit(objects, MODEL)).problems).toEqual([]);
  });

  it('can be rolled back; a pause is no decision about the version that serves', async () => {
    await champions(2);
    await pauseModel(objects, byHand());
    expect(await ask(2)).toMatchObject({ serving: 2 });
    await rollBack(objects, byHand());
    expect(await champion()).toBe(1);
  });

  it('is verified as before: a pause, and its end, are no decision about the version that serves', async () => {
    await champions(1);
    await pauseModel(objects, byHand());
    const routing = { name: 'routing', passed: true, found: 'it serves, as the log decided' };
    const checks = async () => (await verifyVersion(createBlobStore(objects), MODEL, 1)).checks;
    expect(await checks()).toContainEqual(routing);
    await resumeModel(objects, byHand());
    expect(await checks()).toContainEqual(routing);
  });

  it('that is paused in the very moment of a promotion stays as it is', async () => {
    await champions(1);
    const blobs = createBlobStore(objects);
    const { version } = await registerVersion(blobs, await versionDraft(blobs, 'next'));
    let paused = false;
    const racing: ObjectStore = {
      ...objects,
      async put(key, body, condition) {
        if (!paused && key.startsWith('audit/')) {
          paused = true;
          await pauseModel(objects, byHand());
        }
        return objects.put(key, body, condition);
      },
    };
    const { approved: _, ...request } = speak(version, '');
    expect(await decideVersion(racing, request)).toEqual({ due: 'approval', paused: true });
    expect(await champion()).toBe(1);
  });
});
