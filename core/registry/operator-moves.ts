/**
 * What a person does to routing by hand: takes the champion away, or brings a version back. Decided like everything else by an
 * entry in the audit log, which routing follows (routing.ts).
 */
import { RefitError } from '../spec/errors.ts';
import type { ObjectStore } from '../store/ports.ts';
import { decideOnce, isMove } from './audit.ts';
import { ROLLED_BACK } from './decide-version.ts';
import { championOf, newestMove, pauseOf, settleRouting } from './routing.ts';
import type { AuditEntry, Champion } from './schemas.ts';
import { barVersion, findBar, liftBar } from './status.ts';
import { findManifest, listVersions, readManifest } from './versions.ts';

/** Who moves routing, and why. `decisionId` is the same in every attempt at one decision, and in no other. */
export interface ByHand {
  model: string;
  decisionId: string;
  by: string;
  reason: string;
}

export interface Moved {
  /** False where it was so before. */
  moved: boolean;
  entry: AuditEntry;
}
type Unmoved = Moved & { moved: false };

/** Rolls back: the champion is barred and the version that served before it serves again; `version` says which one is meant.
 * A version that was rolled back already stays so. @throws RefitError REFIT_NOT_SERVING, REFIT_CONFLICT, REFIT_REGISTRY_DAMAGED */
export async function rollBack(objects: ObjectStore, of: ByHand & { version?: number | undefined }): Promise<Moved> {
  const { model } = of;
  const outcome = await decideOnce<Unmoved>(objects, of, async (entries) => {
    const from = championOf(entries);
    const done = entries.findLast((entry) => entry.version === of.version && isMove(entry));
    if (done?.action === 'rollback') return { moved: false, entry: done };
    if (!from || (of.version !== undefined && of.version !== from.version)) throw notServing(of, from);
    const to = await formerChampion(objects, model, entries);
    if (!to) {
      const message = `${model}@${from.version} cannot be rolled back: no version that served before it may serve again.`;
      throw new RefitError('REFIT_NOT_SERVING', message, { model, version: from.version });
    }
    return {
      ...of,
      ...{ action: 'rollback' as const, version: from.version, intent: { from, to }, at: new Date().toISOString() },
      ...{ gates: await gatesOf(objects, of, from.version), runId: '', workflowId: '' },
    };
  });
  // After the entry, which decides by itself; whoever is stopped here is finished by the next attempt.
  const { version, by, reason, gates, at } = outcome.entry;
  await barVersion(objects, { model, version, by, reason, gates, at });
  await settleRouting(objects, model);
  return outcome;
}

/** Brings a version to serve by a person's word, whatever its date. A bar is lifted only where that is asked for.
 * @throws RefitError REFIT_VERSION_BARRED, REFIT_CONFLICT, REFIT_REGISTRY_DAMAGED */
export async function rollOut(
  objects: ObjectStore,
  of: ByHand & { version: number; liftBar?: boolean | undefined },
): Promise<Moved> {
  const { liftBar: lift, ...hand } = of;
  const { model, version } = of;
  const { sha256, asOf, seenUntil, key, gates } = await readManifest(objects, model, version);
  const to: Champion = { version, sha256, asOf, seenUntil, key };
  const outcome = await decideOnce<Unmoved>(objects, of, async (entries) => {
    const newest = newestMove(entries);
    if (newest?.intent.to?.version === version) return { moved: false, entry: newest };
    const bar = await findBar(objects, model, version);
    if (bar && !lift) {
      const message = `${model}@${version} is barred by ${bar.by}: ${bar.reason}.`;
      throw new RefitError('REFIT_VERSION_BARRED', message, { model, version, by: bar.by, reason: bar.reason });
    }
    const from = championOf(entries);
    return {
      ...hand,
      ...{ action: 'promote' as const, intent: { from, to }, at: new Date().toISOString() },
      ...{ gates, runId: '', workflowId: '' },
    };
  });
  await liftBar(objects, model, version);
  await settleRouting(objects, model);
  return outcome;
}

/** Pauses a model: until it is resumed, a version that passes its gates waits for a person, and time that runs out rejects it.
 * @throws RefitError REFIT_CONFLICT, REFIT_REGISTRY_DAMAGED */
export const pauseModel = (objects: ObjectStore, of: ByHand): Promise<Moved> => mark(objects, of, 'pause');

/** Lets rules promote again; what waits for a person goes on waiting. @throws as `pauseModel` */
export const resumeModel = (objects: ObjectStore, of: ByHand): Promise<Moved> => mark(objects, of, 'resume');

function mark(objects: ObjectStore, of: ByHand, action: 'pause' | 'resume'): Promise<Moved> {
  const { model } = of;
  return decideOnce<Unmoved>(objects, of, async (entries) => {
    const paused = pauseOf(entries);
    if (action === 'pause' && paused) return { moved: false, entry: paused };
    if (action === 'resume' && !paused) {
      throw new RefitError('REFIT_NOT_PAUSED', `${model} is not paused.`, { model });
    }
    const champion = championOf(entries);
    const version = champion?.version ?? (await listVersions(objects, model)).at(-1) ?? 1;
    const intent = { from: champion, to: champion };
    const at = new Date().toISOString();
    return { ...of, action, version, intent, gates: [], at, runId: '', workflowId: '' };
  });
}

/** The newest version that served before the champion and is neither barred nor damaged. */
async function formerChampion(
  objects: ObjectStore,
  model: string,
  entries: AuditEntry[],
): Promise<Champion | undefined> {
  const champion = championOf(entries);
  const passedOver = new Set([champion?.version]);
  for (const { intent } of entries.toReversed()) {
    const { to } = intent;
    if (!to || passedOver.has(to.version)) continue;
    passedOver.add(to.version);
    if (await findBar(objects, model, to.version)) continue;
    if (await findManifest(objects, model, to.version)) return to;
  }
  return undefined;
}

async function gatesOf(objects: ObjectStore, { model, by, reason }: ByHand, version: number) {
  const judged = (await findManifest(objects, model, version))?.gates ?? [];
  const said = `rolled back by ${by}: ${reason}`;
  return [...judged, { name: ROLLED_BACK, passed: false, value: null, limit: null, reason: said }];
}

function notServing({ model, version }: { model: string; version?: number | undefined }, from: Champion | null) {
  const serves = from ? `version ${from.version} serves` : 'no version serves yet';
  const message = version === undefined ? `${model}: ${serves}.` : `${model}@${version} does not serve: ${serves}.`;
  return new RefitError('REFIT_NOT_SERVING', message, { model, version, champion: from?.version ?? null });
}
