import type { Partition, Snapshot } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { BlobStore } from '../store/ports.ts';
import { checkCorrection } from './check-correction.ts';
import { compileContract } from './contract.ts';
import { withoutTableRules } from './contract-table.ts';
import { foldChanges } from './fold-changes.ts';
import { foldVersions, type PartitionVersion } from './fold-versions.ts';
import type { FoundPartitions, FoundSource } from './found-source.ts';
import { lastRejection } from './last-rejection.ts';
import { type PublishDeps, publishChecked, type SourceOfRun, withoutJudgement } from './publish-checked.ts';
import { nothingKnown, publishSnapshot } from './publish-snapshot.ts';
import { afterLast, appendSightings, readSightings, type Seen, type Sightings } from './sightings.ts';
import { byName } from './snapshot-columns.ts';

export type { PublishDeps } from './publish-checked.ts';

const ATTEMPTS = 8;

/** A source as it was known by a date. */
type Dated = FoundPartitions & Pick<FoundSource, 'asOf' | 'seenAt'>;

/**
 * Publishes a source as of a date: each partition as it was known by then, corrections included that had been seen. What this run
 * saw is recorded when, and only when, its snapshot is published; of runs at once, the first one's record stands. `fresh`: judge the
 * table as a whole, and not only its rows: freshness, the contract's other rules, the columns since the last snapshot.
 * @throws RefitError of publishSnapshot, REFIT_CONFLICT, REFIT_STORE_CORRUPT
 */
export async function publishSource(
  deps: PublishDeps,
  found: FoundSource,
  { fresh }: { fresh: boolean },
): Promise<{ output: Snapshot; cached: boolean }> {
  const { source } = found;
  for (let left = ATTEMPTS; left > 0; left--) {
    const log = await sightingsOf(deps, found);
    if (log) await refuseBroken(deps, found, log);
    const partitions = await knownPartitions(deps, found, log);
    const snapshot = fresh
      ? await publishChecked(deps, await asKnown(deps, found, partitions))
      : await publishUnjudged(deps, found, partitions);
    if (!log || (await record(deps.blobs, found, log))) return snapshot;
  }
  throw new RefitError('REFIT_CONFLICT', `Source "${source}" is being published by others all the time.`, { source });
}

/** The source as a run would publish it, without recording anything. @throws RefitError REFIT_WINDOW_EMPTY (of a source that it refers to) */
export async function sourceAsOf(deps: PublishDeps, found: FoundSource): Promise<SourceOfRun> {
  return asKnown(deps, found, await knownPartitions(deps, found, await sightingsOf(deps, found)));
}

/**
 * What the contract refers to is looked up in what was known of it by the same date. A source that declares no time at all says that its
 * rows were always so: it is taken as it is, and a list that lacked a key can be mended.
 */
async function asKnown(deps: PublishDeps, found: FoundSource, partitions: Partition[]): Promise<SourceOfRun> {
  const { pipeline, source, spec, asOf, seenAt } = found;
  const own = { pipeline, source, spec, asOf, partitions };
  if (found.references === undefined) return own;
  const references: Record<string, Partition[]> = {};
  for (const other of found.references) {
    if (other.partitions.length === 0) throw nothingKnown(other.source, asOf, null);
    const { eventTime, knownAt, recordedAt, changes } = other.spec;
    const dated = { ...other, asOf, seenAt };
    references[other.source] =
      (eventTime ?? knownAt ?? recordedAt ?? changes)
        ? await knownPartitions(deps, dated, await sightingsOf(deps, dated))
        : other.partitions;
  }
  return { ...own, references };
}

/** What no run has published yet must keep the contract even where this run does not see it. */
async function refuseBroken(deps: PublishDeps, found: FoundSource, log: Sightings): Promise<void> {
  const { source, spec, asOf } = found;
  const corrected = found.partitions.filter(({ name, data }) => {
    const last = log.versions.get(name)?.at(-1);
    return last !== undefined && last.data !== data.sha256;
  });
  if (corrected.length === 0) return;
  const { maxBadShare } = spec;
  const contract = withoutTableRules(spec.contract);
  await deps.step(checkCorrection, { source, asOf, partitions: byName(corrected), contract, maxBadShare });
}

async function sightingsOf({ blobs }: PublishDeps, { source, spec, declaration }: FoundPartitions) {
  return spec.corrections === 'replace' ? undefined : readSightings(blobs.objects, source, declaration);
}

/** The partitions as they were known by the run's date; the changes of all of them folded, where rows are changes. */
async function knownPartitions(deps: PublishDeps, found: Dated, log: Sightings | undefined): Promise<Partition[]> {
  const { source, spec } = found;
  const partitions: Partition[] = [];
  for (const partition of found.partitions) {
    partitions.push(log ? await asOfDate(deps, found, log, partition) : partition);
  }
  if (!spec.changes || partitions.length === 0) return partitions;
  const rejectedBy = await rejectedUpTo(deps, partitions, found.asOf);
  const input = { source, partitions, changes: spec.changes, ...(rejectedBy === null ? {} : { rejectedBy }) };
  return [(await deps.step(foldChanges, input)).output];
}

/** A fold serves every date until another row is found to break its contract. */
async function rejectedUpTo({ step }: PublishDeps, partitions: Partition[], asOf: string): Promise<string | null> {
  const data = partitions.flatMap((partition) => (partition.badRows > 0 ? [partition.data] : []));
  return data.length === 0 ? null : (await step(lastRejection, { data, asOf })).output.at;
}

function publishUnjudged(
  deps: PublishDeps,
  { source, spec, asOf }: FoundSource,
  partitions: Partition[],
): Promise<{ output: Snapshot; cached: boolean }> {
  const { contract, maxBadShare } = withoutJudgement(spec);
  return deps.step(publishSnapshot, { source, asOf, partitions, maxBadShare, contract });
}

/** The versions of a partition, this run's last, each with the end of the one before. */
async function versionsOf(
  blobs: BlobStore,
  log: Sightings,
  { seenAt }: Dated,
  partition: Partition,
): Promise<(PartitionVersion & { isNew?: true })[]> {
  const seen = log.versions.get(partition.name) ?? [];
  const versions: (PartitionVersion & { isNew?: true })[] = [];
  for (const [index, one] of seen.entries()) {
    const since = index === 0 ? one.seenAt : endOf(seen[index - 1] as Seen);
    versions.push({ partition: await seenPartition(blobs, one, partition), seenAt: one.seenAt, since });
  }
  const last = seen.at(-1);
  if (last?.data === partition.data.sha256) return versions;
  const at = afterLast(seen, seenAt);
  return [...versions, { partition, seenAt: at, since: last ? endOf(last) : at, isNew: true }];
}

/** What was seen; where its record is damaged and the very same data was extracted just now, that, and the record is mended. */
async function seenPartition(blobs: BlobStore, seen: Seen, now: Partition): Promise<Partition> {
  if (seen.data !== now.data.sha256 || (await blobs.verify(seen.partition))) {
    return blobs.json<Partition>(seen.partition);
  }
  await blobs.putJson(now);
  return now;
}

/** How far a version reached: its newest event; when it was seen, where that was earlier or it has none. */
function endOf({ newestEvent, seenAt }: Seen): string {
  return newestEvent !== null && Date.parse(newestEvent) < Date.parse(seenAt) ? newestEvent : seenAt;
}

/** The partition as a run as of that date may know it. */
async function asOfDate(deps: PublishDeps, found: Dated, log: Sightings, partition: Partition): Promise<Partition> {
  const { source, spec, asOf } = found;
  const versions = await versionsOf(deps.blobs, log, found, partition);
  const { recordedAt, changes } = spec;
  // Nothing of a correction is known before the end of what it corrects, unless its rows say so themselves.
  const due = versions.findLastIndex(
    ({ since }, index) => index === 0 || recordedAt !== undefined || Date.parse(since) < Date.parse(asOf),
  );
  const [first] = versions as [PartitionVersion];
  if (due === 0) return first.partition;
  const input = {
    source,
    versions: versions.slice(0, due + 1).map(({ partition: of, seenAt, since }) => ({ partition: of, seenAt, since })),
    unique: compileContract(spec.contract).unique,
    ...(recordedAt === undefined ? {} : { recordedAt }),
    ...(changes?.time === undefined ? {} : { madeAt: changes.time }),
  };
  return (await deps.step(foldVersions, input)).output;
}

/** @returns false when another run recorded something meanwhile */
async function record(blobs: BlobStore, found: FoundSource, log: Sightings): Promise<boolean> {
  const { source, spec, seenAt } = found;
  const fresh = found.partitions.filter(({ name, data }) => log.versions.get(name)?.at(-1)?.data !== data.sha256);
  if (fresh.length === 0) return true;
  const partitions = fresh.map((partition) => ({ partition }));
  return appendSightings(blobs, log, { source, path: spec.path, seenAt, partitions });
}

/** Earliest time at which anything of a partition was known in any of its versions; null = always. `now`: of the file as it is. */
export function knownFromEver(log: Sightings, name: string, now: string | null): string | null {
  let first = now;
  for (const { knownFrom } of log.versions.get(name) ?? []) {
    if (knownFrom === null || first === null) return null;
    if (knownFrom < first) first = knownFrom;
  }
  return first;
}
