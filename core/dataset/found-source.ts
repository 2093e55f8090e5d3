import type { Partition } from '../spec/artifacts.ts';
import type { PipelineSpec, SourceSpec } from '../spec/pipeline.ts';
import { declarationOf } from './sightings.ts';
import type { SourceOrigin } from './source-files.ts';

/** A source as a run finds it. */
export interface FoundPartitions {
  source: string;
  spec: SourceSpec;
  /** See `declarationOf`. */
  declaration: string;
  /** The partitions as they are now. */
  partitions: Partition[];
}

/** What a run found of a source, to be published as of its date. */
export interface FoundSource extends FoundPartitions {
  pipeline: string;
  /** ISO UTC. */
  asOf: string;
  /** When the run saw the partitions, ISO UTC. */
  seenAt: string;
  /** The sources that the contract refers to: as they are now, too. */
  references?: FoundPartitions[];
}

interface Extracted {
  asOf: string;
  seenAt: string;
  /** By source; of those that `refers` names, too. */
  partitions: Readonly<Record<string, Partition[]>>;
  /** Sources that the contract refers to. */
  refers: readonly string[] | undefined;
}

/** A source of a pipeline with all that publishing it takes. @throws RefitError REFIT_PII_KEY_MISSING, REFIT_CONTRACT_INVALID */
export function foundSource(
  place: Pick<SourceOrigin, 'piiKey'>,
  { name: pipeline, sources }: Pick<PipelineSpec, 'name' | 'sources'>,
  source: string,
  { asOf, seenAt, partitions, refers }: Extracted,
): FoundSource {
  const found = (name: string): FoundPartitions => {
    const spec = sources[name] as SourceSpec;
    return { source: name, spec, declaration: declarationOf(place, name, spec), partitions: partitions[name] ?? [] };
  };
  const own = { ...found(source), pipeline, asOf, seenAt };
  return refers === undefined ? own : { ...own, references: refers.map(found) };
}
