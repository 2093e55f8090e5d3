import { Context } from '@temporalio/activity';
import type { Refit } from '../core/compose/refit.ts';
import { createExtractPartition, extractInput } from '../core/dataset/extract-partition.ts';
import { foundSource } from '../core/dataset/found-source.ts';
import { createInspectPartition } from '../core/dataset/inspect-partition.ts';
import type { PartitionFile } from '../core/dataset/partitions.ts';
import { nothingKnown } from '../core/dataset/publish-snapshot.ts';
import { knownFromEver, type PublishDeps, publishSource } from '../core/dataset/publish-source.ts';
import { declarationOf, readSightings } from '../core/dataset/sightings.ts';
import type { Done, SourceFile } from '../core/spec/activities.ts';
import type { BlobRef, Partition, Snapshot } from '../core/spec/artifacts.ts';
import { RefitError } from '../core/spec/errors.ts';
import type { PipelineSpec, SourceSpec } from '../core/spec/pipeline.ts';
import { heartbeating, runStep } from './run-step.ts';
import { sourceOf } from './spec-of.ts';

export type ExtractActivities = ReturnType<typeof createExtractActivities>;

interface OfSource {
  spec: BlobRef;
  source: string;
  force?: string;
}

export function createExtractActivities({ blobs, cache, places, sources }: Refit) {
  const origin = { root: places.root, files: sources, piiKey: places.piiKey };
  const extractStep = createExtractPartition(origin);
  const inspectStep = createInspectPartition(origin);
  const specOf = async ({ spec, source }: OfSource): Promise<SourceSpec> =>
    sourceOf(await blobs.json<PipelineSpec>(spec), source);

  /** The files of a source and the times they cover. One that changes while it is looked at gets a second look. */
  async function inspectSource(input: OfSource): Promise<SourceFile[]> {
    const spec = await specOf(input);
    const log = await readSightings(blobs.objects, input.source, declarationOf(places, input.source, spec));
    const files: SourceFile[] = [];
    for (const file of await sources.list(input.source, spec, Context.current().cancellationSignal)) {
      const look = () => inspectFile(file, spec, input);
      const seen = await look().catch((error: unknown) => (isChanged(error) ? look() : Promise.reject(error)));
      // What was known of it before it was corrected may be known earlier.
      files.push({ ...seen, knownFrom: knownFromEver(log, seen.name, seen.knownFrom) });
    }
    return files;
  }

  async function inspectFile(found: PartitionFile, spec: SourceSpec, input: OfSource): Promise<SourceFile> {
    const file = { name: found.name, sha256: await sources.fingerprint(found) };
    const step = extractInput(places, input.source, spec, file);
    const { output } = await runStep(cache, inspectStep, step, input);
    // The copy of a table lies on this machine only, and the table may be another when it is asked again.
    const extracted = spec.table !== undefined && !(await runStep(cache, extractStep, step, input)).cached;
    return { ...file, ...output, ...(extracted ? { extracted } : {}) };
  }

  return {
    /** Heartbeats on its own: to look for files and to take the digest of a large one is no step. */
    async inspectSource(input: OfSource): Promise<SourceFile[]> {
      const work = async () => ({ output: await inspectSource(input), cached: false });
      return (await heartbeating('inspect-source', work)).output;
    },

    /** One file: contract checked, times derived, rejected rows marked. */
    async extractPartition(input: OfSource & { file: SourceFile }): Promise<Done<Partition>> {
      const spec = await specOf(input);
      return runStep(cache, extractStep, extractInput(places, input.source, spec, input.file), input);
    },

    /** All partitions of a source as they were known by the run's date, judged as of it. `seenAt`: when the run was due. */
    async publishSnapshot(input: OfSource & Extracted): Promise<Done<Snapshot>> {
      const declared = await blobs.json<PipelineSpec>(input.spec);
      const { source, asOf, partitions, references, seenAt = nowInSeconds() } = input;
      if (partitions.length === 0) {
        const starts = (await inspectSource(input)).flatMap(({ knownFrom }) => knownFrom ?? []);
        throw nothingKnown(source, asOf, starts.sort()[0] ?? null);
      }
      const step: PublishDeps['step'] = (one, value) => runStep(cache, one, value, input);
      const refers = references && Object.keys(references);
      const extracted = { asOf, seenAt, partitions: { ...references, [source]: partitions }, refers };
      const found = foundSource(places, declared, source, extracted);
      const work = () => publishSource({ blobs, step }, found, { fresh: true });
      return heartbeating('publish-source', work);
    },
  };
}

interface Extracted {
  asOf: string;
  partitions: Partition[];
  seenAt?: string;
  /** Partitions of the sources that the contract of this one refers to, as they are now. */
  references?: Record<string, Partition[]>;
}

function isChanged(error: unknown): boolean {
  return error instanceof RefitError && error.code === 'REFIT_SOURCE_CHANGED';
}

const nowInSeconds = (): string => `${new Date().toISOString().slice(0, 19)}Z`;
