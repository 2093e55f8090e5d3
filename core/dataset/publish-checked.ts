import type { Partition, SchemaChange, Snapshot, SnapshotProfile } from '../spec/artifacts.ts';
import type { SourceSpec } from '../spec/pipeline.ts';
import type { BlobStore } from '../store/ports.ts';
import type { Step } from '../store/step.ts';
import { compareProfiles } from './compare-profiles.ts';
import { compileContract } from './contract.ts';
import { withoutTableRules } from './contract-table.ts';
import { profileSnapshot } from './profile-snapshot.ts';
import { nothingKnown, publishSnapshot } from './publish-snapshot.ts';
import { compareSchemas, incompatible, type SchemaColumn, schemaOf } from './schema-change.ts';
import { byName, unionColumns } from './snapshot-columns.ts';
import { historyKey, lastUpTo, readHistory, recordHistory, type SourceHistory, sameColumns } from './source-history.ts';

/** The extracted partitions of a source as of a date become its snapshot: compared with the last one, judged, profiled, recorded. */

export interface SourceOfRun {
  pipeline: string;
  source: string;
  spec: SourceSpec;
  /** ISO UTC. */
  asOf: string;
  partitions: Partition[];
  /** Partitions of the sources that the contract refers to. */
  references?: Record<string, Partition[]>;
}

export interface PublishDeps {
  blobs: BlobStore;
  /** Finds the step's result or makes it. */
  step<Input, Output>(step: Step<Input, Output>, input: Input): Promise<{ output: Output; cached: boolean }>;
}

/** How the columns of a source changed since the last snapshot up to the date. */
export interface SchemaNews {
  columns: SchemaColumn[];
  version: number;
  changes: SchemaChange[];
  /** Date of the snapshot that it was compared with. */
  since: string | null;
  /** The contract's x-version was raised: whatever changed, was meant. */
  accepted: boolean;
}

/** @throws RefitError REFIT_CONTRACT_TYPE, REFIT_CONTRACT_INVALID */
export function schemaNews({ source, spec, asOf, partitions }: SourceOfRun, history: SourceHistory): SchemaNews {
  const contract = compileContract(spec.contract);
  const columns = schemaOf(contract, unionColumns(source, byName(partitions)), Object.keys(spec.derive));
  const { version } = contract;
  const last = lastUpTo(history.schemas, asOf);
  if (!last) return { columns, version, changes: [], since: null, accepted: false };
  const news = { columns, version, since: last.asOf, accepted: version > last.version };
  // The same date again: what was found out the first time.
  if (sameColumns(last.columns, columns)) return { ...news, changes: last.asOf === asOf ? last.changes : [] };
  return { ...news, changes: compareSchemas(last.columns, columns) };
}

/** @throws RefitError REFIT_SCHEMA_CHANGED, and those of publishSnapshot */
export async function publishChecked(
  { blobs, step }: PublishDeps,
  of: SourceOfRun,
): Promise<{ output: Snapshot; cached: boolean }> {
  const { pipeline, source, spec, asOf, partitions, references } = of;
  if (partitions.length === 0) throw nothingKnown(source, asOf, null);
  const history = await readHistory(blobs.objects, pipeline, source);
  const news = schemaNews(of, history);
  const refusal = news.since === null ? undefined : incompatible({ source, asOf, since: news.since }, news.changes);
  if (refusal && !news.accepted && !wasAccepted(history, news, asOf)) throw refusal;
  const published = await step(publishSnapshot, {
    ...{ source, asOf, partitions, contract: spec.contract, maxBadShare: spec.maxBadShare },
    ...(spec.freshness === undefined ? {} : { freshness: spec.freshness }),
    ...(references === undefined ? {} : { references }),
    ...(news.changes.length > 0 ? { changes: news.changes } : {}),
  });
  const snapshot = published.output;
  const personal = compileContract(spec.contract).pii.map(({ column }) => column);
  const profiled = await step(profileSnapshot, {
    ...{ source, snapshot: snapshot.id, partitions: snapshot.partitions, columns: snapshot.columns },
    personal: personal.sort(),
    ...(snapshot.ends ? { ends: true } : {}),
  });
  const { profile } = profiled.output;
  const notable = await compareWithLast(blobs, history, { asOf, snapshot: snapshot.id, profile });
  const { columns, version, changes } = news;
  await recordHistory(blobs.objects, historyKey(pipeline, source), {
    schema: { asOf, version, columns, changes },
    snapshot: { asOf, snapshot: snapshot.id, profile },
  });
  return {
    output: { ...snapshot, profile, ...(notable.length > 0 ? { notable } : {}) },
    cached: published.cached && profiled.cached,
  };
}

/** The very entry that a run for this date accepted before. */
function wasAccepted({ schemas }: SourceHistory, { columns, version }: SchemaNews, asOf: string): boolean {
  const last = lastUpTo(schemas, asOf);
  return last !== undefined && last.asOf === asOf && last.version === version && sameColumns(last.columns, columns);
}

type Profiled = SourceHistory['snapshots'][number];

async function compareWithLast(
  blobs: BlobStore,
  { snapshots }: SourceHistory,
  { asOf, snapshot, profile }: Profiled,
): Promise<string[]> {
  const others = snapshots.filter((one) => one.snapshot !== snapshot);
  const last = lastUpTo(others, asOf);
  if (!last || !(await blobs.verify(last.profile))) return [];
  const [before, after] = await Promise.all([
    blobs.json<SnapshotProfile>(last.profile),
    blobs.json<SnapshotProfile>(profile),
  ]);
  return compareProfiles(before, after);
}

/** A declaration for those who only look at the data: nothing of the table as a whole is asked, nor that it is fresh. */
export function withoutJudgement({ freshness: _, ...spec }: SourceSpec): SourceSpec {
  return { ...spec, contract: withoutTableRules(spec.contract) };
}
