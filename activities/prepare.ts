import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Refit } from '../core/compose/refit.ts';
import { loadPipeline } from '../core/pipeline/load.ts';
import type { ResolvedRun } from '../core/spec/activities.ts';
import { RefitError } from '../core/spec/errors.ts';
import { nearest } from '../core/spec/nearest.ts';
import { RunInput } from '../core/spec/run.ts';
import { canonicalAsOf } from '../core/spec/time.ts';

export type PrepareActivities = ReturnType<typeof createPrepareActivities>;

const isRunInput = new Ajv2020({ strict: false }).compile<RunInput>(RunInput);

/** What a run does before its first stage: pins the pipeline it was started with. */
export function createPrepareActivities({ blobs, places }: Refit) {
  return {
    /** Checks the argument, evaluates the pipeline, stores the spec. `startedAt` stands in for the clock. */
    async resolveRun({ input, startedAt }: { input: RunInput; startedAt: string }): Promise<ResolvedRun> {
      const { pipeline, asOf, set = {} } = requireRunInput(input);
      const spec = await loadPipeline(places.pipelines, pipeline, set);
      const declared = spec.asOf === 'now' ? canonicalAsOf(`${startedAt.slice(0, 19)}Z`) : null;
      return {
        pipeline: spec.name,
        asOf: asOf === undefined ? declared : canonicalAsOf(asOf),
        spec: await blobs.putJson(spec),
        question: spec.question,
        sources: Object.keys(spec.sources),
        spineSource: spec.spine.source,
        search: spec.search,
        seed: spec.model.seed,
        resources: spec.model.resources,
      };
    },
  };
}

/** A person may have typed it: says what is allowed. */
function requireRunInput(input: unknown): RunInput {
  if (isRunInput(input)) return input;
  const allowed = Object.keys(RunInput.properties);
  const shape = `The argument is one JSON object with ${allowed.join(', ')}, e.g. {"pipeline":"flight-delays"}`;
  const unknown = Object.keys((input ?? {}) as object).find((key) => !allowed.includes(key));
  const reason = unknown ? `"${unknown}" is unknown${nearest(unknown, allowed)}` : isRunInput.errors?.[0]?.message;
  throw new RefitError('REFIT_USAGE', `${shape}; ${reason ?? 'this is none'}.`);
}
