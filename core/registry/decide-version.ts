/**
 * The decision about a version, by rule or by a person: each is decided once (docs/adr/0003); whoever asks again is told what
 * was decided.
 */
import type { GateResult } from '../spec/evaluation.ts';
import type { Verdict } from '../spec/run.ts';
import type { ObjectStore } from '../store/ports.ts';
import { isDecision, readAudit } from './audit.ts';
import { type Decision, pauseOf, promote, RULE, readRouting, reject, settleRouting } from './routing.ts';
import type { AuditEntry } from './schemas.ts';
import { findBar } from './status.ts';
import { readManifest } from './versions.ts';

const APPROVAL = 'approval';
const NOT_OLDER = 'not older than champion';
/** What a rollback adds to the gates of the version that it takes away. */
export const ROLLED_BACK = 'not rolled back';
/** Gates that a decision adds to those that were judged. */
export const RULINGS: readonly string[] = [APPROVAL, NOT_OLDER, ROLLED_BACK];

export interface Decided {
  verdict: Verdict;
  /** As judged; then the rule about older versions and the approval, where they spoke. */
  gates: GateResult[];
  /** The champion afterwards; the version itself where there is none. */
  serving: number;
}

/** Why nothing was decided: the gates were held against a champion that no longer serves, or a person has to speak first. */
export type Due = 'comparison' | 'approval';

export interface Undecided {
  due: Due;
  /** Only a person may speak: the model is paused, and time that runs out promotes nothing. */
  paused?: true;
}

/** What was said about a version that waited for approval; `by` is 'rule' where time ran out. */
export interface Approval {
  action: 'approve' | 'reject';
  by: string;
  reason: string;
}

export interface DecisionRequest {
  model: string;
  version: number;
  gates: GateResult[];
  /** Version of the champion that the gates were held against; null when there was none. */
  comparedWith: number | null;
  /** Whether a version that passed its gates waits for approval. */
  approval: 'none' | 'required';
  approved?: Approval | undefined;
  runId: string;
  workflowId: string;
}

/**
 * Promotes a version whose gates passed, rejects and bars one whose gates did not. 'unchanged' when it, or one with the same
 * bytes, serves already, or when an earlier run promoted it. @throws RefitError REFIT_CONFLICT, REFIT_REGISTRY_DAMAGED
 */
export async function decideVersion(objects: ObjectStore, request: DecisionRequest): Promise<Decided | Undecided> {
  const { model, version } = request;
  const bar = await findBar(objects, model, version);
  // The last word counts: what was promoted may have been rolled back since, and what was barred brought back.
  const entries = await readAudit(objects, model);
  const earlier = entries.findLast((entry) => entry.version === version && isDecision(entry));
  if (earlier) {
    // What this request's gates or its person say comes too late; a promotion that was cut off is finished.
    if (earlier.action !== 'reject') await settleRouting(objects, model);
    return told(objects, request, earlier);
  }
  // A bar without its entry is a rejection that was cut off: it is finished, not judged again.
  if (bar) return told(objects, request, await reject(objects, decisionOf(request, bar)));
  if (await sameBytesServe(objects, model, version)) return unchanged(objects, request);
  const paused = pauseOf(entries) !== undefined;
  const due = await dueBefore(objects, request, paused);
  if (due) return { due, ...(paused ? { paused } : {}) };
  const outcome = await decide(objects, request);
  return 'due' in outcome ? outcome : told(objects, request, outcome);
}

async function told(objects: ObjectStore, request: DecisionRequest, entry: AuditEntry): Promise<Decided> {
  const isOwn = entry.runId === request.runId && entry.workflowId === request.workflowId;
  const promoted = isOwn ? 'promoted' : 'unchanged';
  const verdict = entry.action === 'promote' ? promoted : 'rejected';
  return { verdict, gates: entry.gates, serving: await servingAfter(objects, request) };
}

async function unchanged(objects: ObjectStore, request: DecisionRequest): Promise<Decided> {
  return { verdict: 'unchanged', gates: request.gates, serving: await servingAfter(objects, request) };
}

async function servingAfter(objects: ObjectStore, { model, version }: DecisionRequest): Promise<number> {
  return (await readRouting(objects, model))?.champion.version ?? version;
}

async function sameBytesServe(objects: ObjectStore, model: string, version: number): Promise<boolean> {
  const champion = (await readRouting(objects, model))?.champion;
  return champion !== undefined && champion.sha256 === (await readManifest(objects, model, version)).sha256;
}

/** What has to happen before the version can be decided. */
async function dueBefore(objects: ObjectStore, request: DecisionRequest, paused: boolean): Promise<Due | undefined> {
  const { model, version, gates, comparedWith, approval, approved } = request;
  const champion = (await readRouting(objects, model))?.champion;
  if ((champion?.version ?? null) !== comparedWith) return 'comparison';
  // Nobody is asked about a version that a rule turns down.
  const spoken = approved !== undefined && (!paused || approved.action === 'reject' || approved.by !== RULE);
  if ((approval === 'none' && !paused) || spoken || gates.some(({ passed }) => !passed)) return undefined;
  const { asOf } = await readManifest(objects, model, version);
  return champion && Date.parse(asOf) < Date.parse(champion.asOf) ? undefined : 'approval';
}

/** @returns what is due where the champion moved, or the model was paused, in between. */
async function decide(objects: ObjectStore, request: DecisionRequest): Promise<AuditEntry | Undecided> {
  const { gates, approved, comparedWith } = request;
  const failed = gates.filter(({ passed }) => !passed);
  if (failed.length > 0) {
    const reason = failed.map(({ name, reason: why }) => `${name}: ${why}`).join('; ');
    return reject(objects, decisionOf(request, { by: RULE, reason, gates }));
  }
  const spoken = approved ? [...gates, approvalGate(approved)] : gates;
  if (approved?.action === 'reject') return reject(objects, decisionOf(request, { ...approved, gates: spoken }));
  const grounds = approved ?? { by: RULE, reason: `all ${gates.length} gates passed` };
  const promotion = await promote(objects, decisionOf(request, { ...grounds, gates: spoken }), { from: comparedWith });
  if (promotion.moved) return promotion.entry;
  if (promotion.refused === 'overtaken') {
    await settleRouting(objects, request.model);
    return { due: 'comparison' };
  }
  if (promotion.refused === 'paused') return { due: 'approval', paused: true };
  const { reason } = promotion;
  const older: GateResult = { name: NOT_OLDER, passed: false, value: null, limit: null, reason };
  return reject(objects, decisionOf(request, { by: RULE, reason, gates: [...spoken, older] }));
}

function approvalGate({ action, by, reason }: Approval): GateResult {
  const passed = action === 'approve';
  const said = `${passed ? 'approved' : 'rejected'} by ${by}: ${reason}`;
  return { name: APPROVAL, passed, value: null, limit: null, reason: said };
}

function decisionOf(
  { model, version, runId, workflowId }: DecisionRequest,
  { by, reason, gates }: Pick<Decision, 'by' | 'reason' | 'gates'>,
): Decision {
  return { model, version, decisionId: `decide/${model}/${version}`, by, reason, gates, runId, workflowId };
}
