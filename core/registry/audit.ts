/**
 * The audit log of a model: one create-only object a decision, each carrying the hash of the one before. An entry can be
 * neither altered, removed nor moved without `verifyAudit` telling; cutting off the newest ones is seen by what routing says, as
 * far back as the newest promotion: rejections after that one can be cut off unseen. It does not protect against somebody who
 * rewrites the whole log and routing with it.
 */
import type { Static } from 'typebox';
import Value from 'typebox/value';
import { RefitError } from '../spec/errors.ts';
import { getOrDamage } from '../store/damage.ts';
import { digestOf } from '../store/digest.ts';
import type { ObjectStore } from '../store/ports.ts';
import { parseJson, untilSettled, writeJson } from './json-object.ts';
import { AuditEntry, Routing } from './schemas.ts';

const GENESIS = '0'.repeat(64);
const folderOf = (model: string): string => `audit/${model}/`;
const keyOf = (model: string, sequence: number): string =>
  `${folderOf(model)}${String(sequence).padStart(8, '0')}.json`;
const routingKey = (model: string): string => `routing/${model}.json`;

/** An entry before it has its place in the chain. */
export type AuditDraft = Omit<Static<typeof AuditEntry>, 'sequence' | 'previousHash' | 'hash'>;

export interface AuditProblem {
  sequence: number;
  problem: string;
}
export interface AuditVerdict {
  entries: AuditEntry[];
  problems: AuditProblem[];
}

/** Walks the chain from its start and holds it against routing; an intact log has no problems. */
export async function verifyAudit(objects: ObjectStore, model: string): Promise<AuditVerdict> {
  const { entries, problems } = await walk(objects, model);
  const routing = await getOrDamage(objects, routingKey(model));
  if (routing) {
    const head = routing.body && headOf(routing.body);
    const entry = entries.find(({ sequence }) => sequence === head?.sequence);
    if (!head) problems.push({ sequence: 0, problem: 'Routing is damaged: it names no entry.' });
    else if (!entry)
      problems.push({ sequence: head.sequence, problem: 'Routing names this entry, but it is missing.' });
    else if (entry.hash !== head.hash) {
      problems.push({ sequence: head.sequence, problem: 'Routing was decided by another entry than this.' });
    }
  }
  return { entries, problems };
}

/** All entries, oldest first. @throws RefitError REFIT_REGISTRY_DAMAGED when the chain is broken: nothing is built on it. */
export async function readAudit(objects: ObjectStore, model: string): Promise<AuditEntry[]> {
  const { entries, problems } = await walk(objects, model);
  const [first] = problems;
  if (first) {
    throw new RefitError(
      'REFIT_REGISTRY_DAMAGED',
      `The audit log of ${model} is broken at ${first.sequence}: ${first.problem}`,
      {
        model,
        problems,
      },
    );
  }
  return entries;
}

/** Entries that moved routing. */
export const isMove = ({ action }: AuditEntry): boolean => action === 'promote' || action === 'rollback';

/** Entries that say what becomes of their version; a pause and its end say nothing of it. */
export const isDecision = (entry: AuditEntry): boolean => isMove(entry) || entry.action === 'reject';

/**
 * Adds the entry of a decision, once: who tries again is told the entry that stands there. `judge` sees the entries that it will
 * follow, and answers with it, or with why there is none to add; it is asked again when others were faster.
 * @throws RefitError REFIT_CONFLICT, REFIT_REGISTRY_DAMAGED, and what `judge` throws
 */
export function decideOnce<Instead extends { moved: false }>(
  objects: ObjectStore,
  { model, decisionId }: Pick<AuditEntry, 'model' | 'decisionId'>,
  judge: (entries: AuditEntry[]) => Promise<AuditDraft | Instead>,
): Promise<{ moved: true; entry: AuditEntry } | Instead> {
  return untilSettled(`audit/${model}`, async () => {
    const entries = await readAudit(objects, model);
    const known = entries.find((entry) => entry.decisionId === decisionId);
    if (known) return { moved: true, entry: known };
    const judged = await judge(entries);
    if ('moved' in judged) return judged;
    const entry = await appendAfter(objects, entries, judged);
    return entry && { moved: true, entry };
  });
}

/** Adds an entry after those that were read. @returns undefined when somebody else added one meanwhile: read again. */
export async function appendAfter(
  objects: ObjectStore,
  entries: AuditEntry[],
  draft: AuditDraft,
): Promise<AuditEntry | undefined> {
  const last = entries.at(-1);
  const chained = { ...draft, sequence: (last?.sequence ?? 0) + 1, previousHash: last?.hash ?? GENESIS };
  const entry = { ...chained, hash: digestOf(chained) };
  return (await writeJson(objects, keyOf(entry.model, entry.sequence), entry, { create: true })) ? entry : undefined;
}

async function walk(objects: ObjectStore, model: string): Promise<AuditVerdict> {
  const entries: AuditEntry[] = [];
  const problems: AuditProblem[] = [];
  let expected = 1;
  let previousHash = GENESIS;
  for await (const key of objects.list(folderOf(model))) {
    const sequence = Number(/(\d{8})\.json$/.exec(key)?.[1] ?? Number.NaN);
    if (keyOf(model, sequence) !== key) {
      problems.push({ sequence: expected, problem: `${key} does not belong into the log.` });
      continue;
    }
    for (; expected < sequence; expected++) problems.push({ sequence: expected, problem: 'The entry is missing.' });
    const entry = await parseEntry(objects, key);
    const problem = entry ? flawOf(entry, { model, sequence, previousHash }) : 'The entry cannot be read.';
    if (problem) problems.push({ sequence, problem });
    if (entry) entries.push(entry);
    previousHash = entry?.hash ?? GENESIS;
    expected = sequence + 1;
  }
  return { entries, problems };
}

function flawOf(
  entry: AuditEntry,
  place: { model: string; sequence: number; previousHash: string },
): string | undefined {
  const { hash, ...rest } = entry;
  if (digestOf(rest) !== hash) return 'The entry was altered.';
  if (entry.sequence !== place.sequence || entry.model !== place.model) return 'The entry belongs to another place.';
  if (entry.previousHash !== place.previousHash) return 'The entry does not follow from the one before it.';
  return undefined;
}

async function parseEntry(objects: ObjectStore, key: string): Promise<AuditEntry | undefined> {
  const found = await getOrDamage(objects, key);
  const value = found?.body && parseJson(found.body);
  return Value.Check(AuditEntry, value) ? value : undefined;
}

function headOf(body: Uint8Array): Routing['audit'] | undefined {
  const value = parseJson(body);
  return Value.Check(Routing, value) ? value.audit : undefined;
}
