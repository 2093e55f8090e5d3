import type { Refit } from '../../core/compose/refit.ts';
import { createExtractPartition, extractInput } from '../../core/dataset/extract-partition.ts';
import { foundSource } from '../../core/dataset/found-source.ts';
import { createInspectPartition } from '../../core/dataset/inspect-partition.ts';
import { nothingKnown } from '../../core/dataset/publish-snapshot.ts';
import { knownFromEver, type PublishDeps, publishSource } from '../../core/dataset/publish-source.ts';
import { requireContracts } from '../../core/dataset/require-contracts.ts';
import { declarationOf, readSightings } from '../../core/dataset/sightings.ts';
import type { SourceFile } from '../../core/spec/activities.ts';
import type { Partition, Snapshot } from '../../core/spec/artifacts.ts';
import type { PipelineSpec } from '../../core/spec/pipeline.ts';
import { dataOf } from '../../core/spec/snapshot-data.ts';
import { LiveLine } from '../terminal.ts';

export interface SourceFiles {
  source: string;
  files: SourceFile[];
}

interface Work {
  refit: Refit;
  spec: PipelineSpec;
  signal: AbortSignal;
}

/** Looks at every file of every source, as a run does; what a run found is not looked at again. @throws RefitError of the sources */
export async function inspectSources({ refit, spec, signal }: Work): Promise<SourceFiles[]> {
  const { objects, cache, places, sources } = refit;
  const step = createInspectPartition({ root: places.root, files: sources, piiKey: places.piiKey });
  const line = new LiveLine();
  const looked: SourceFiles[] = [];
  for (const [source, declared] of Object.entries(spec.sources)) {
    const log = await readSightings(objects, source, declarationOf(places, source, declared));
    const files: SourceFile[] = [];
    for (const found of await sources.list(source, declared, signal)) {
      line.update(`looking at ${found.name}`, `looking at ${source} …`);
      const file = { name: found.name, sha256: await sources.fingerprint(found) };
      const { output } = await cache.run(step, extractInput(places, source, declared, file), { signal });
      files.push({ ...file, ...output, knownFrom: knownFromEver(log, file.name, output.knownFrom) });
    }
    looked.push({ source, files });
  }
  line.clear();
  return looked;
}

/**
 * The sources as of a date, by the steps of a run and with its cache. `fresh`: judge them as a run does, and not only their rows:
 * too old, or changed in their columns since the last snapshot, they are refused.
 * @throws RefitError of the sources: missing, unreadable, breaking their contract, nothing known yet
 */
export async function extractSources(
  work: Work,
  inspected: SourceFiles[],
  { asOf, fresh }: { asOf: string; fresh: boolean },
): Promise<Record<string, Snapshot>> {
  const references = requireContracts(work.spec.sources, work.refit.places);
  const partitions = await extractPartitions(work, inspected, asOf);
  const seenAt = seenNow();
  const snapshots: Record<string, Snapshot> = {};
  for (const source of Object.keys(partitions)) {
    const refers = references[source];
    const found = foundSource(work.refit.places, work.spec, source, { asOf, seenAt, partitions, refers });
    snapshots[source] = dataOf((await publishSource(depsOf(work), found, { fresh })).output);
  }
  return snapshots;
}

/** When a command that looks at sources now saw them. */
export const seenNow = (): string => isoSeconds(Date.now() - 1_000);

export function depsOf({ refit, signal }: Work): PublishDeps {
  return { blobs: refit.blobs, step: (one, value) => refit.cache.run(one, value, { signal }) };
}

/** The files that were known by asOf, by source. @throws RefitError of the sources, REFIT_WINDOW_EMPTY */
export async function extractPartitions(
  { refit, spec, signal }: Work,
  inspected: SourceFiles[],
  asOf: string,
): Promise<Record<string, Partition[]>> {
  const { cache, places, sources } = refit;
  const step = createExtractPartition({ root: places.root, files: sources, piiKey: places.piiKey });
  const line = new LiveLine();
  const extracted: Record<string, Partition[]> = {};
  for (const { source, files } of inspected) {
    const declared = spec.sources[source] as PipelineSpec['sources'][string];
    const due = files.filter(({ knownFrom }) => knownFrom === null || Date.parse(knownFrom) <= Date.parse(asOf));
    if (due.length === 0)
      throw nothingKnown(source, asOf, files.flatMap(({ knownFrom }) => knownFrom ?? []).sort()[0] ?? null);
    const partitions: Partition[] = [];
    for (const { name, sha256 } of due) {
      line.update(`extracting ${name}`, `extracting ${source} …`);
      const input = extractInput(places, source, declared, { name, sha256 });
      partitions.push((await cache.run(step, input, { signal })).output);
    }
    extracted[source] = partitions;
  }
  line.clear();
  return extracted;
}

/** The newest event of some sources, ISO UTC in whole seconds so that a look as of it sees it; undefined where there is none. */
export function newestEventOf(inspected: SourceFiles[], sources: string[]): string | undefined {
  const own = inspected.filter(({ source }) => sources.includes(source));
  const times = own.flatMap(({ files }) =>
    files.flatMap(({ newestEvent }) => (newestEvent ? [Date.parse(newestEvent)] : [])),
  );
  if (times.length === 0) return undefined;
  return isoSeconds(times.reduce((a, b) => Math.max(a, b)));
}

/** Milliseconds as ISO UTC, rounded up to whole seconds. */
export function isoSeconds(ms: number): string {
  return `${new Date(Math.ceil(ms / 1000) * 1000).toISOString().slice(0, 19)}Z`;
}
