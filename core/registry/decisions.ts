import type { Comparison, GateResult } from '../spec/evaluation.ts';
import type { Verdict } from '../spec/run.ts';
import type { ObjectStore } from '../store/ports.ts';
import { promote, readRouting, reject } from './routing.ts';
import type { AuditEntry } from './schemas.ts';
import { findBar } from './status.ts';
import { findManifest, findVersion, readManifest } from './versions.ts';

/** What was found about a version when it was registered: it is judged once, on these gates. */
export interface DecidedVersion {
  version: number;
  gates: GateResult[];
  comparison: Comparison | null;
  /** It was rejected, and may not be promoted. */
  barred: boolean;
}

/** The version of a key if it was registered before. @throws RefitError REFIT_STORE_CORRUPT */
export async function decidedVersion(
  objects: ObjectStore,
  model: string,
  key: string,
): Promise<DecidedVersion | undefined> {
  const version = await findVersion(objects, model, key);
  const manifest = version === undefined ? undefined : await findManifest(objects, model, version);
  if (!manifest) return undefined;
  const { gates, comparison } = manifest;
  const bar = await findBar(objects, model, manifest.version);
  return { version: manifest.version, gates, comparison, barred: bar !== undefined };
}

/** Who asks for a version to be decided. */
export interface DecisionRequest {
  model: string;
  version: number;
  /** 'rule', or the person. */
  by: string;
  workflowId: string;
  runId: string;
}

export interface DecisionOutcome {
  verdict: Verdict;
  /** The gates that the version is judged by: those of its registration. */
  gates: GateResult[];
  /** Why, in a sentence. */
  reason: string;
  /** The champion afterwards; the version itself where there is none. */
  serving: number;
}

/**
 * Promotes a version that passed its gates and bars one that did not, once a version: a retry of the run that decided answers
 * as the first time, and to any later run the version is `unchanged` (or rejected). A version that was overtaken does not come
 * back by asking again. @throws RefitError REFIT_CONFLICT, REFIT_STORE_CORRUPT
 */
export async function decideVersion(
  objects: ObjectStore,
  request: DecisionRequest,
  now: () => Date = () => new Date(),
): Promise<DecisionOutcome> {
  const { model, version } = request;
  const { gates } = await readManifest(objects, model, version);
  const failed = gates.filter(({ passed }) => !passed).map(({ name }) => name);
  const decision = { ...request, gates, decisionId: `${request.by}/${version}` };
  const ended =
    failed.length > 0
      ? await rejected(objects, { ...decision, reason: `Failed: ${failed.join(', ')}.` }, now)
      : await promoted(objects, { ...decision, reason: `All ${gates.length} gates passed.` }, now);
  const serving = (await readRouting(objects, model))?.champion.version ?? version;
  return { ...ended, gates, serving };
}

type Ended = Pick<DecisionOutcome, 'verdict' | 'reason'>;

async function rejected(objects: ObjectStore, decision: Parameters<typeof reject>[1], now: () => Date): Promise<Ended> {
  const { reason } = await reject(objects, decision, now);
  return { verdict: 'rejected', reason };
}

async function promoted(
  objects: ObjectStore,
  decision: Parameters<typeof promote>[1],
  now: () => Date,
): Promise<Ended> {
  const promotion = await promote(objects, decision, now);
  if (!promotion.moved) {
    return { verdict: promotion.refused === 'barred' ? 'rejected' : 'unchanged', reason: promotion.reason };
  }
  if (isOf(promotion.entry, decision)) return { verdict: 'promoted', reason: decision.reason };
  return { verdict: 'unchanged', reason: `Version ${decision.version} was promoted on ${promotion.entry.at} already.` };
}

function isOf(entry: AuditEntry, { workflowId, runId }: { workflowId: string; runId: string }): boolean {
  return entry.workflowId === workflowId && entry.runId === runId;
}
