/**
 * Who serves. The audit log leads and routing follows: a promotion or a rollback is decided when its entry stands in the log,
 * and routing is then moved to what the newest of them says. Whoever crashes in between is finished by its retry or by the next
 * move. An entry is only added after exactly the entries it was checked against, so every move in the log is valid.
 */
import type { GateResult } from '../spec/evaluation.ts';
import type { ObjectStore } from '../store/ports.ts';
import { decideOnce, isMove, readAudit } from './audit.ts';
import { readJson, untilSettled, writeJson } from './json-object.ts';
import { type AuditEntry, type Champion, Routing } from './schemas.ts';
import { barVersion, findBar, liftBar } from './status.ts';
import { readManifest } from './versions.ts';

const routingKey = (model: string): string => `routing/${model}.json`;

/** Who decided where no person did. */
export const RULE = 'rule';

/** A decision about a version. `decisionId` must be the same in every attempt at the same decision. */
export interface Decision {
  model: string;
  version: number;
  decisionId: string;
  /** 'rule', or the person. */
  by: string;
  reason: string;
  gates: GateResult[];
  runId: string;
  workflowId: string;
}

/**
 * Why routing did not move. 'unchanged': the version serves already; 'older': the champion's asOf is newer; 'overtaken':
 * another version is champion than the one the decision was made against; 'paused': a person has to speak.
 */
type Refused = 'barred' | 'older' | 'unchanged' | 'overtaken' | 'paused';

interface Refusal {
  moved: false;
  refused: Refused;
  reason: string;
}

export type Promotion = { moved: true; entry: AuditEntry } | Refusal;

/** Routing of a model; undefined before its first promotion. @throws RefitError REFIT_REGISTRY_DAMAGED */
export async function readRouting(objects: ObjectStore, model: string): Promise<Routing | undefined> {
  return (await readJson(objects, routingKey(model), Routing))?.value;
}

/**
 * Makes a version the champion: intent into the audit log first, then routing by compare-and-set. A retry of a decision that
 * is in the log already finishes it and answers the same. A decision that was overtaken by a later one stays overtaken.
 * `against.from`: the champion (null: none) that the decision takes for granted.
 * @throws RefitError REFIT_CONFLICT; REFIT_REGISTRY_DAMAGED when manifest, routing or audit log are damaged
 */
export async function promote(
  objects: ObjectStore,
  decision: Decision,
  against: { from?: number | null } = {},
  now: () => Date = () => new Date(),
): Promise<Promotion> {
  const { model, version } = decision;
  const { sha256, asOf, seenUntil, key } = await readManifest(objects, model, version);
  const to: Champion = { version, sha256, asOf, seenUntil, key };
  const promotion = await decideOnce<Refusal>(objects, decision, async (entries) => {
    const from = championOf(entries);
    if (against.from !== undefined && against.from !== (from?.version ?? null)) return refuse('overtaken', to, from);
    if (decision.by === RULE && pauseOf(entries)) return refuse('paused', to, from);
    const refused = (await findBar(objects, model, version)) ? refuse('barred', to, from) : refusal(to, from);
    return refused ?? { ...decision, action: 'promote', intent: { from, to }, at: now().toISOString() };
  });
  await settleRouting(objects, model, now);
  return promotion;
}

/** Marks the version as barred and writes the rejection into the audit log, once a decision. @throws as `promote` */
export async function reject(
  objects: ObjectStore,
  decision: Decision,
  now: () => Date = () => new Date(),
): Promise<AuditEntry> {
  const { model, version, by, reason, gates } = decision;
  // The mark first: should we crash here, the version is barred already.
  await barVersion(objects, { model, version, by, reason, gates, at: now().toISOString() });
  const { entry } = await decideOnce<never>(objects, decision, async (entries) => {
    const champion = championOf(entries);
    const intent = { from: champion, to: champion };
    return { ...decision, action: 'reject', intent, at: now().toISOString() };
  });
  // It was promoted while we barred it: what the log says holds.
  if (entry.action === 'promote') await liftBar(objects, model, version);
  return entry;
}

/** The newest entry that moved routing. */
export function newestMove(entries: AuditEntry[]): AuditEntry | undefined {
  return entries.findLast(isMove);
}

/** Who serves by the log; null before the first promotion. */
export function championOf(entries: AuditEntry[]): Champion | null {
  return newestMove(entries)?.intent.to ?? null;
}

/** The entry that paused a model; undefined where rules may promote. */
export function pauseOf(entries: AuditEntry[]): AuditEntry | undefined {
  const last = entries.findLast(({ action }) => action === 'pause' || action === 'resume');
  return last?.action === 'pause' ? last : undefined;
}

function refusal(to: Champion, from: Champion | null): Refusal | undefined {
  if (from?.version === to.version) return refuse('unchanged', to, from);
  return from && Date.parse(to.asOf) < Date.parse(from.asOf) ? refuse('older', to, from) : undefined;
}

function refuse(refused: Refused, to: Champion, from: Champion | null): Refusal {
  const reason = {
    barred: `Version ${to.version} was rejected and is barred.`,
    older: `Version ${to.version} is as of ${to.asOf}, the champion (version ${from?.version}) as of ${from?.asOf}.`,
    unchanged: `Version ${to.version} is the champion already.`,
    paused: 'The model is paused.',
    overtaken: `Version ${from?.version} became champion meanwhile.`,
  };
  return { moved: false, refused, reason: reason[refused] };
}

/** Moves routing to what the newest move of the log says, unless it is there. @throws as `promote` */
export async function settleRouting(
  objects: ObjectStore,
  model: string,
  now: () => Date = () => new Date(),
): Promise<void> {
  await untilSettled(routingKey(model), async () => {
    const newest = newestMove(await readAudit(objects, model));
    const routing = await readJson(objects, routingKey(model), Routing);
    if (!newest?.intent.to || (routing && routing.value.audit.sequence >= newest.sequence)) return {};
    const { sequence, hash } = newest;
    const next = { model, champion: newest.intent.to, audit: { sequence, hash }, updatedAt: now().toISOString() };
    const condition = routing ? { ifMatch: routing.etag } : ({ create: true } as const);
    return (await writeJson(objects, routingKey(model), next, condition)) ? {} : undefined;
  });
}
