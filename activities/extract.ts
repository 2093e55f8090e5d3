import type { Refit } from '../core/compose/refit.ts';
import { createExtractPartition, extractSlice } from '../core/dataset/extract-partition.ts';
import { createInspectPartition } from '../core/dataset/inspect-partition.ts';
import { fingerprintFile, listPartitions } from '../core/dataset/partitions.ts';
import { publishSnapshot } from '../core/dataset/publish-snapshot.ts';
import type { Done, SourceFile } from '../core/spec/activities.ts';
import type { BlobRef, Partition, Snapshot } from '../core/spec/artifacts.ts';
import type { PipelineSpec, SourceSpec } from '../core/spec/pipeline.ts';
import { runStep } from './run-step.ts';
import { sourceOf } from './spec-of.ts';

export type ExtractActivities = ReturnType<typeof createExtractActivities>;

interface OfSource {
  spec: BlobRef;
  source: string;
  force?: string;
}

export function createExtractActivities({ blobs, cache, places }: Refit) {
  const extractStep = createExtractPartition({ root: places.root });
  const inspectStep = createInspectPartition({ root: places.root });
  const specOf = async ({ spec, source }: OfSource): Promise<SourceSpec> =>
    sourceOf(await blobs.json<PipelineSpec>(spec), source);

  return {
    /** The files of a source and the times they cover. */
    async inspectSource(input: OfSource): Promise<SourceFile[]> {
      const spec = await specOf(input);
      const files: SourceFile[] = [];
      for (const { name, path } of await listPartitions(places.root, input.source, spec)) {
        const file = { name, sha256: await fingerprintFile(path) };
        const { output } = await runStep(
          cache,
          inspectStep,
          { source: input.source, spec: extractSlice(spec), file },
          input,
        );
        files.push({ ...file, ...output });
      }
      return files;
    },

    /** One file: contract checked, times derived, rejected rows marked. */
    async extractPartition(input: OfSource & { file: SourceFile }): Promise<Done<Partition>> {
      const spec = await specOf(input);
      const { name, sha256 } = input.file;
      const step = { source: input.source, spec: extractSlice(spec), file: { name, sha256 } };
      return runStep(cache, extractStep, step, input);
    },

    /** All partitions of a source, judged as of the run's date. */
    async publishSnapshot(input: OfSource & { asOf: string; partitions: Partition[] }): Promise<Done<Snapshot>> {
      const { maxBadShare, freshness, contract } = await specOf(input);
      const { source, asOf, partitions } = input;
      const step = {
        source,
        asOf,
        partitions,
        maxBadShare,
        contract,
        ...(freshness === undefined ? {} : { freshness }),
      };
      return runStep(cache, publishSnapshot, step, input);
    },
  };
}
