/**
 * The rule's decision about a version: each is decided once (docs/adr/0003); whoever asks again is told what was decided.
 */
import type { GateResult } from '../spec/evaluation.ts';
import type { Verdict } from '../spec/run.ts';
import type { ObjectStore } from '../store/ports.ts';
import { readAudit } from './audit.ts';
import { type Decision, promote, readRouting, reject } from './routing.ts';
import type { AuditEntry } from './schemas.ts';
import { findBar } from './status.ts';
import { readManifest } from './versions.ts';

export interface Decided {
  verdict: Verdict;
  /** As judged, and the rule that an older asOf never displaces a newer champion, where it spoke. */
  gates: GateResult[];
  /** The champion afterwards; the version itself where there is none. */
  serving: number;
}

/**
 * Promotes a version whose gates passed, rejects and bars one whose gates did not. 'unchanged' when it, or one with the same
 * bytes, serves already, or when an earlier run promoted it. @throws RefitError REFIT_CONFLICT, REFIT_STORE_CORRUPT
 */
export async function decideVersion(
  objects: ObjectStore,
  request: Omit<Decision, 'decisionId' | 'reason'>,
): Promise<Decided> {
  const { model, version, gates } = request;
  const serving = async () => (await readRouting(objects, model))?.champion.version ?? version;
  const bar = await findBar(objects, model, version);
  const earlier = (await readAudit(objects, model)).find((entry) => entry.version === version);
  if (!earlier && !bar && (await sameBytesServe(objects, model, version))) {
    return { verdict: 'unchanged', gates, serving: await serving() };
  }
  // A bar without its entry is a rejection that was cut off: it is finished, not judged again.
  const judged = bar && !earlier ? bar.gates : gates;
  const entry = earlier?.action === 'reject' ? earlier : await decide(objects, { ...request, gates: judged });
  const isOwn = entry.runId === request.runId && entry.workflowId === request.workflowId;
  const promoted = isOwn ? 'promoted' : 'unchanged';
  return { verdict: entry.action === 'promote' ? promoted : 'rejected', gates: entry.gates, serving: await serving() };
}

async function sameBytesServe(objects: ObjectStore, model: string, version: number): Promise<boolean> {
  const champion = (await readRouting(objects, model))?.champion;
  return champion !== undefined && champion.sha256 === (await readManifest(objects, model, version)).sha256;
}

async function decide(objects: ObjectStore, request: Omit<Decision, 'decisionId' | 'reason'>): Promise<AuditEntry> {
  const decision = { ...request, decisionId: `rule/${request.model}/${request.version}` };
  const failed = request.gates.filter(({ passed }) => !passed);
  if (failed.length > 0) {
    return reject(objects, { ...decision, reason: failed.map(({ name, reason }) => `${name}: ${reason}`).join('; ') });
  }
  const promotion = await promote(objects, { ...decision, reason: `all ${request.gates.length} gates passed` });
  if (promotion.moved) return promotion.entry;
  const older: GateResult = {
    name: 'not older than champion',
    passed: false,
    value: null,
    limit: null,
    reason: promotion.reason,
  };
  return reject(objects, { ...decision, gates: [...request.gates, older], reason: promotion.reason });
}
