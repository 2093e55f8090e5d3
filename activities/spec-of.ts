import { RefitError } from '../core/spec/errors.ts';
import type { GateSpec, PipelineSpec, SourceSpec } from '../core/spec/pipeline.ts';

/** The declaration of one source. @throws RefitError REFIT_INTERNAL: the workflow asks only for names it was given. */
export function sourceOf(spec: PipelineSpec, source: string): SourceSpec {
  const found = spec.sources[source];
  if (!found) throw new RefitError('REFIT_INTERNAL', `The pipeline has no source "${source}".`);
  return found;
}

/** Columns by which gates judge slices; the training set carries them even where they are no features. */
export function sliceColumns(gates: readonly GateSpec[]): string[] {
  return [...new Set(gates.flatMap((gate) => (gate.gate === 'slices' ? gate.columns : [])))];
}
