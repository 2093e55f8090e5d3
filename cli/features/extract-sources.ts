import type { Refit } from '../../core/compose/refit.ts';
import { createExtractPartition, extractInput } from '../../core/dataset/extract-partition.ts';
import { createInspectPartition } from '../../core/dataset/inspect-partition.ts';
import { nothingKnown } from '../../core/dataset/publish-snapshot.ts';
import { knownFromEver, type PublishDeps, publishSource } from '../../core/dataset/publish-source.ts';
import { declarationOf, readSightings } from '../../core/dataset/sightings.ts';
import type { SourceFile } from '../../core/spec/activities.ts';
import type { Snapshot } from '../../core/spec/artifacts.ts';
import type { PipelineSpec } from '../../core/spec/pipeline.ts';
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
    for (const found of await sources.list(source, declared)) {
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
 * The sources as of a date, by the steps of a run and with its cache. `fresh`: also refuse data that is too old, as a run does.
 * @throws RefitError of the sources: missing, unreadable, breaking their contract, nothing known yet
 */
export async function extractSources(
  { refit, spec, signal }: Work,
  inspected: SourceFiles[],
  { asOf, fresh }: { asOf: string; fresh: boolean },
): Promise<Record<string, Snapshot>> {
  const { blobs, cache, places, sources } = refit;
  const step = createExtractPartition({ root: places.root, files: sources, piiKey: places.piiKey });
  const line = new LiveLine();
  const snapshots: Record<string, Snapshot> = {};
  for (const { source, files } of inspected) {
    const declared = spec.sources[source] as PipelineSpec['sources'][string];
    const due = files.filter(({ knownFrom }) => knownFrom === null || Date.parse(knownFrom) <= Date.parse(asOf));
    if (due.length === 0)
      throw nothingKnown(source, asOf, files.flatMap(({ knownFrom }) => knownFrom ?? []).sort()[0] ?? null);
    const partitions = [];
    for (const { name, sha256 } of due) {
      line.update(`extracting ${name}`, `extracting ${source} …`);
      const input = extractInput(places, source, declared, { name, sha256 });
      partitions.push((await cache.run(step, input, { signal })).output);
    }
    const declaration = declarationOf(places, source, declared);
    const found = {
      source,
      spec: declared,
      declaration,
      asOf,
      partitions,
      seenAt: isoSeconds(Date.now() - 1_000),
      fresh,
    };
    const deps: PublishDeps = { blobs, step: (one, value) => cache.run(one, value, { signal }) };
    snapshots[source] = (await publishSource(deps, found)).output;
  }
  line.clear();
  return snapshots;
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
