import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { Refit } from '../core/compose/refit.ts';
import { servedSpec } from '../core/compose/served-spec.ts';
import { requireContracts } from '../core/dataset/require-contracts.ts';
import { loadPipeline } from '../core/pipeline/load.ts';
import { claimKey, recordUnderKey } from '../core/registry/run-keys.ts';
import type { ResolvedRun } from '../core/spec/activities.ts';
import { RefitError } from '../core/spec/errors.ts';
import { MaterializeInput } from '../core/spec/materialization.ts';
import { nearest } from '../core/spec/nearest.ts';
import type { PipelineSpec } from '../core/spec/pipeline.ts';
import { RunInput, type RunResult } from '../core/spec/run.ts';
import { canonicalAsOf } from '../core/spec/time.ts';
import { digestOf } from '../core/store/digest.ts';
import { heartbeating } from './run-step.ts';

export type PrepareActivities = ReturnType<typeof createPrepareActivities>;

const ajv = new Ajv2020({ strict: false });
const isRunInput = ajv.compile<RunInput>(RunInput);
const isMaterializeInput = ajv.compile<MaterializeInput>(MaterializeInput);

/** What a run does before its first stage: pins the pipeline it was started with. */
export function createPrepareActivities({ blobs, objects, places, webhook, openLineage }: Refit) {
  /** Stores the spec, and takes from it what the workflow has to know. */
  async function pin(spec: PipelineSpec, { asOf, startedAt, scheduledAt }: Times & { asOf: string | undefined }) {
    // Before anything is read or published: nothing of it could be, without the key.
    const references = requireContracts(spec.sources, places);
    const started = canonicalAsOf(`${(scheduledAt ?? startedAt).slice(0, 19)}Z`);
    const declared = spec.asOf === 'now' ? started : null;
    return {
      pipeline: spec.name,
      asOf: asOf === undefined ? declared : canonicalAsOf(asOf),
      spec: await blobs.putJson(spec),
      question: spec.question,
      sources: Object.keys(spec.sources),
      spineSource: spec.spine.source,
      ...(Object.keys(references).length > 0 ? { references } : {}),
      search: spec.search,
      seed: spec.model.seed,
      params: spec.model.params,
      resources: spec.model.resources,
      seenAt: dueAt(startedAt, scheduledAt),
      ...(scheduledAt === undefined ? {} : { notAfter: started }),
    };
  }

  return {
    /** Checks the argument, evaluates the pipeline, stores the spec. `startedAt` stands in for the clock. */
    async resolveRun({ input, startedAt, scheduledAt }: Start<RunInput>): Promise<ResolvedRun> {
      const { pipeline, asOf, set = {}, force, from, key } = requireInput(isRunInput, RunInput, input);
      // Bundles and evaluates a changed file in a process of its own, which takes its time on a busy machine.
      const load = async () => ({ output: await loadPipeline(places.pipelines, pipeline, set), cached: false });
      const { output: spec } = await heartbeating('resolve-run', load);
      const pinned = await pin(spec, { asOf, startedAt, scheduledAt });
      // Last, when all is known to be right: a key belongs for good to what it was first used for.
      const earlier = key === undefined ? undefined : await claimKey(objects, key, input);
      return {
        ...pinned,
        digest: digestOf({ spec: pinned.spec.sha256, force: force ?? false, from: from ?? null }).slice(0, 16),
        announces: webhook !== undefined,
        ...(openLineage === undefined ? {} : { lineage: true }),
        ...(earlier ? { earlier } : {}),
      };
    },

    /** As `resolveRun`, for what is served: the champion's declaration, so that its features are the ones that are refreshed. */
    async resolveServed({ input, startedAt, scheduledAt }: Start<MaterializeInput>): Promise<ResolvedRun> {
      const { pipeline, asOf } = requireInput(isMaterializeInput, MaterializeInput, input);
      const load = async () => ({ output: await servedSpec({ blobs, objects, places }, pipeline), cached: false });
      const { output: spec } = await heartbeating('resolve-served', load);
      return pin(spec, { asOf, startedAt, scheduledAt });
    },

    /** Keeps the result of a run that was started with an idempotency key, for whoever comes with it again. */
    async recordResult({ input, result }: { input: RunInput; result: RunResult }): Promise<RunResult> {
      return input.key === undefined ? result : recordUnderKey(objects, input.pipeline, input.key, result);
    },
  };
}

interface Times {
  startedAt: string;
  /** What the schedule says, where one started the run. */
  scheduledAt?: string | undefined;
}

interface Start<Input> extends Times {
  input: Input;
}

/** A person may have typed it: says what is allowed. */
function requireInput<Input>(
  check: ValidateFunction<Input>,
  { properties }: { properties: object },
  input: unknown,
): Input {
  if (check(input)) return input;
  const allowed = Object.keys(properties);
  const shape = `The argument is one JSON object with ${allowed.join(', ')}, e.g. {"pipeline":"flight-delays"}`;
  const unknown = Object.keys((input ?? {}) as object).find((key) => !allowed.includes(key));
  const reason = unknown ? `"${unknown}" is unknown${nearest(unknown, allowed)}` : check.errors?.[0]?.message;
  throw new RefitError('REFIT_USAGE', `${shape}; ${reason ?? 'this is none'}.`);
}

const LATE_MS = 3_600_000;

/** The time that the run was scheduled for, unless it started much later (caught up after an outage): then that. */
function dueAt(startedAt: string, scheduledAt: string | undefined): string {
  const late = scheduledAt === undefined || Date.parse(startedAt) - Date.parse(scheduledAt) > LATE_MS;
  return canonicalAsOf(`${(late ? startedAt : scheduledAt).slice(0, 19)}Z`);
}
