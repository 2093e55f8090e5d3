import { RefitError } from '../../core/spec/errors.ts';
import { nearest } from '../../core/spec/nearest.ts';
import type { PipelineSpec } from '../../core/spec/pipeline.ts';

/** The one that was asked for, or all of a pipeline. @throws RefitError REFIT_USAGE when it has none of that name */
export function chosenSources({ name, sources }: PipelineSpec, asked: string | undefined): string[] {
  const names = Object.keys(sources);
  if (asked === undefined) return names;
  if (names.includes(asked)) return [asked];
  throw new RefitError('REFIT_USAGE', `Pipeline "${name}" has no source "${asked}"${nearest(asked, names)}.`);
}
