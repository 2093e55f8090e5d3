import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readAudit } from '../../core/registry/audit.ts';
import { type DecisionRequest, decideVersion } from '../../core/registry/decide-version.ts';
import { decidedVersion } from '../../core/registry/decisions.ts';
import { promote, readRouting } from '../../core/registry/routing.ts';
import { claimKey, recordUnderKey } from '../../core/registry/run-keys.ts';
import { findBar } from '../../core/registry/status.ts';
import { registerVersion } from '../../core/registry/versions.ts';
import type { RunInput } from '../../core/spec/run.ts';
import { createBlobStore } from '../../core/store/blobs.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';
import type { ObjectStore } from '../../core/store/ports.ts';
import { failed, MODEL, passed, runResult, versionDraft } from './registry.fixture.ts';

type Asked = Omit<DecisionRequest, 'runId' | 'workflowId'>;

describe('deciding on a version', () => {
  let root: string;
  let objects: ObjectStore;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'refit-decide-'));
    objects = createFolderStore(root);
  });
  afterEach(() => rm(root, { recursive: true }));

  const register = async (key: string, asOf = '2013-12-01T00:00:00Z') => {
    const blobs = createBlobStore(objects);
    return (await registerVersion(blobs, await versionDraft(blobs, key, { asOf }))).version;
  };
  const ask = (version: number, over: Partial<DecisionRequest> = {}) =>
    decideVersion(objects, {
      ...{ model: MODEL, version, gates: [passed], comparedWith: null, approval: 'none' },
      ...{ runId: `run ${version}`, workflowId: `w ${version}` },
      ...over,
    });
  const champion = async () => (await readRouting(objects, MODEL))?.champion.version;

  it('is not made on gates that were held against a champion of yesterday', async () => {
    const [first, second, third] = [await register('a'), await register('b'), await register('c')];
    await ask(first);
    // Both were compared with the first; the second is quicker.
    expect(await ask(second, { comparedWith: first })).toMatchObject({ verdict: 'promoted' });
    expect(await ask(third, { comparedWith: first })).toEqual({ due: 'comparison' });
    expect(await champion()).toBe(second);
    expect(await ask(third, { comparedWith: second })).toMatchObject({ verdict: 'promoted', serving: third });
  });

  it('sees a champion that moves while it is being made', async () => {
    const [first, second, third] = [await register('a'), await register('b'), await register('c')];
    await ask(first);
    let moved = false;
    const racing: ObjectStore = {
      ...objects,
      async put(key, body, condition) {
        if (!moved && key.startsWith('audit/')) {
          moved = true;
          await ask(second, { comparedWith: first });
        }
        return objects.put(key, body, condition);
      },
    };
    const request: Asked = { model: MODEL, version: third, gates: [passed], comparedWith: first, approval: 'none' };
    expect(await decideVersion(racing, { ...request, runId: 'r', workflowId: 'w' })).toEqual({ due: 'comparison' });
    expect(await champion()).toBe(second);
  });

  it('waits for a person where approval is required, and carries the name', async () => {
    const version = await register('a');
    expect(await ask(version, { approval: 'required' })).toEqual({ due: 'approval' });
    expect(await champion()).toBeUndefined();
    expect(await readAudit(objects, MODEL)).toEqual([]);
    const approved = { action: 'approve', by: 'Grace', reason: 'looked at the slices' } as const;
    expect(await ask(version, { approval: 'required', approved })).toMatchObject({ verdict: 'promoted' });
    const [entry] = await readAudit(objects, MODEL);
    expect(entry).toMatchObject({ action: 'promote', by: 'Grace', reason: 'looked at the slices' });
    expect(entry?.gates.at(-1)).toMatchObject({ name: 'approval', passed: true });
  });

  it('bars what a person rejects', async () => {
    const version = await register('a');
    const approved = { action: 'reject', by: 'Ada', reason: 'the holidays are missing' } as const;
    const decided = await ask(version, { approval: 'required', approved });
    expect(decided).toMatchObject({ verdict: 'rejected' });
    expect(await findBar(objects, MODEL, version)).toMatchObject({ by: 'Ada', reason: 'the holidays are missing' });
    expect(await ask(version, { approval: 'required' })).toMatchObject({ verdict: 'rejected' });
  });

  it('asks nobody about a version that a rule turns down', async () => {
    const [newer, older, bad] = [await register('a'), await register('b', '2013-10-01T00:00:00Z'), await register('c')];
    await ask(newer);
    const required = { approval: 'required', comparedWith: newer } as const;
    expect(await ask(bad, { ...required, gates: [failed] })).toMatchObject({ verdict: 'rejected' });
    const late = await ask(older, required);
    expect(late).toMatchObject({ verdict: 'rejected', serving: newer });
    expect('gates' in late && late.gates.at(-1)?.name).toBe('not older than champion');
  });

  it('keeps the gates of a version once it is decided, and only then', async () => {
    const version = await register('a');
    expect(await decidedVersion(objects, MODEL, 'a')).toBeUndefined();
    await ask(version);
    expect(await decidedVersion(objects, MODEL, 'a')).toMatchObject({ version, gates: [passed] });
  });

  it('keeps the gates that it was decided on where the champion moved after it was registered', async () => {
    const [first, second] = [await register('a'), await register('b')];
    await ask(first);
    // Its manifest has gates that passed; against the new champion they do not.
    await ask(second, { comparedWith: first, gates: [failed] });
    expect(await decidedVersion(objects, MODEL, 'b')).toMatchObject({ version: second, gates: [failed] });
  });

  it.each([
    ['gates that fail by now', { gates: [failed] }],
    ['a person who says no', { approved: { action: 'reject', by: 'Ada', reason: 'too late' } }],
  ] as const)('does not bar a champion by %s', async (_, late) => {
    const version = await register('a');
    await ask(version);
    const again = await ask(version, { ...late, gates: [...('gates' in late ? late.gates : [passed])], runId: 'late' });
    expect(again).toMatchObject({ verdict: 'unchanged', serving: version, gates: [passed] });
    expect(await findBar(objects, MODEL, version)).toBeUndefined();
    expect(await readAudit(objects, MODEL)).toHaveLength(1);
  });

  it('of two at once that say yes and no to one version, one holds and leaves nothing of the other', async () => {
    const version = await register('a');
    let raced = false;
    const racing: ObjectStore = {
      ...objects,
      async put(key, body, condition) {
        // The mark is set, the entry is about to be: the other one is quicker, having looked for the mark before.
        if (!raced && key.startsWith('audit/')) {
          raced = true;
          const blind = {
            ...objects,
            get: async (at: string) => (at.endsWith('barred.json') ? undefined : objects.get(at)),
          };
          const yes = { model: MODEL, version, gates: [passed], comparedWith: null, approval: 'none' } as const;
          await decideVersion(blind, { ...yes, gates: [...yes.gates], runId: 'yes', workflowId: 'w' });
        }
        return objects.put(key, body, condition);
      },
    };
    const no: Asked = { model: MODEL, version, gates: [failed], comparedWith: null, approval: 'none' };
    const answer = await decideVersion(racing, { ...no, runId: 'no', workflowId: 'w' });
    expect(answer).toMatchObject({ verdict: 'unchanged', serving: version });
    expect(await findBar(objects, MODEL, version)).toBeUndefined();
  });

  it('ends a promotion that crashed between the audit log and the routing, whatever the champion was', async () => {
    const [first, second] = [await register('a'), await register('b')];
    await ask(first);
    const crashing: ObjectStore = {
      ...objects,
      put: (key, ...rest) =>
        key.startsWith('routing/') ? Promise.reject(new Error('crash')) : objects.put(key, ...rest),
    };
    const request: Asked = { model: MODEL, version: second, gates: [passed], comparedWith: first, approval: 'none' };
    const own = { ...request, runId: 'run 2', workflowId: 'w 2' };
    await expect(decideVersion(crashing, own)).rejects.toThrow('crash');
    expect(await champion()).toBe(first);
    expect(await decideVersion(objects, own)).toMatchObject({ verdict: 'promoted', serving: second });
    expect(await readAudit(objects, MODEL)).toHaveLength(2);
  });

  it('refuses a promotion whose ground was taken away', async () => {
    const [first, second] = [await register('a'), await register('b')];
    await ask(first);
    const decision = { model: MODEL, version: second, decisionId: 'd', by: 'rule', reason: 'x', gates: [passed] };
    const own = { ...decision, runId: 'r', workflowId: 'w' };
    expect(await promote(objects, own, { from: null })).toMatchObject({ moved: false, refused: 'overtaken' });
    expect(await promote(objects, own, { from: first })).toMatchObject({ moved: true });
  });

  describe('idempotency keys', () => {
    const input: RunInput = { pipeline: MODEL, asOf: '2014-01-01', key: 'k/1' };
    it('give the first result for good', async () => {
      expect(await claimKey(objects, 'k', input)).toBeUndefined();
      const first = runResult({ runId: 'one' });
      expect(await recordUnderKey(objects, MODEL, 'k', first)).toEqual(first);
      expect(await recordUnderKey(objects, MODEL, 'k', runResult({ runId: 'two' }))).toEqual(first);
      expect(await claimKey(objects, 'k', { ...input, reason: 'another reason is no other run' })).toEqual(first);
    });
    it('may be tried again after a failure, by several at once', async () => {
      const claims = await Promise.all(Array.from({ length: 8 }, () => claimKey(objects, 'k', input)));
      expect(claims).toEqual(Array.from({ length: 8 }, () => undefined));
    });
    it('belong to what was asked for first', async () => {
      await claimKey(objects, 'k', input);
      const other = claimKey(objects, 'k', { ...input, set: { 'model.rounds': 10 } });
      await expect(other).rejects.toMatchObject({ code: 'REFIT_KEY_REUSED' });
      const typed = { pipeline: MODEL, asOf: '2014-01-01T00:00:00Z', set: {}, force: false };
      expect(await claimKey(objects, 'k', typed)).toBeUndefined();
      expect(await claimKey(objects, 'another', { ...input, set: { 'model.rounds': 10 } })).toBeUndefined();
    });
  });
});
