import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import Value from 'typebox/value';
import type { Run } from '../client/index.ts';
import { summaryOf } from '../client/list.ts';
import { compose, type Refit } from '../core/compose/refit.ts';
import { findManifest } from '../core/registry/versions.ts';
import { ResolvedRun } from '../core/spec/activities.ts';
import type { BlobRef } from '../core/spec/artifacts.ts';
import type { RunComparison } from '../core/spec/cli.ts';
import { RefitError } from '../core/spec/errors.ts';
import type { PipelineSpec } from '../core/spec/pipeline.ts';
import type { RunInput, RunResult } from '../core/spec/run.ts';
import { differences } from './differences.ts';
import { findRun } from './find-run.ts';
import type { Desk } from './with-stack.ts';

/** A run that came to a result, with what it was told and pinned to. */
interface Ended {
  run: Run;
  startedAt: Date;
  result: RunResult;
  input: Partial<RunInput>;
  specDigest: string | null;
  spec: PipelineSpec | undefined;
  params: Record<string, unknown>;
}

/** @throws RefitError REFIT_RUN_UNKNOWN; REFIT_USAGE when one of them has come to no result */
export async function compareRuns(desk: Desk, nameA: string, nameB: string): Promise<RunComparison> {
  const refit = compose(desk.places);
  try {
    const [a, b] = [await lookAt(desk, refit, nameA), await lookAt(desk, refit, nameB)];
    return {
      a: side(a),
      b: side(b),
      input: differences({ ...a.input, asOf: a.result.asOf }, { ...b.input, asOf: b.result.asOf }),
      spec: a.spec && b.spec ? differences(a.spec, b.spec) : [],
      metrics: metrics(a.result, b.result),
      gates: paired(a.result.gates, b.result.gates),
      stages: paired(a.result.stages, b.result.stages),
      params: differences(a.params, b.params),
    };
  } finally {
    await refit.close();
  }
}

async function lookAt({ client, stack }: Desk, refit: Refit, name: string): Promise<Ended> {
  const run = await findRun(client, name);
  const { status, startedAt } = summaryOf(await run.handle.describe());
  if (status !== 'completed') {
    throw new RefitError(
      'REFIT_USAGE',
      `The run ${run.workflowId} is ${status}: only runs with a result can be compared.`,
      {
        workflowId: run.workflowId,
        runId: run.runId,
      },
    );
  }
  const result = await run.result();
  const { input, resolved } = await beginning(stack.client, run);
  const manifest = await findManifest(refit.objects, result.model.name, result.model.version);
  // A run that was given the result of another one was pinned to the same declaration.
  const spec = resolved?.spec ?? manifest?.lineage.pipeline.spec;
  return {
    ...{ run, startedAt, result, input, specDigest: spec?.sha256 ?? null },
    spec: spec && (await readSpec(refit, spec)),
    params: manifest ? { ...manifest.trainedModel.params, rounds: manifest.trainedModel.rounds } : {},
  };
}

/** Undefined where the blob has been cleaned away: the rest can still be compared. */
async function readSpec({ blobs }: Refit, ref: BlobRef): Promise<PipelineSpec | undefined> {
  return blobs.json<PipelineSpec>(ref).catch(() => undefined);
}

/** From the first events of the run's history: its argument, and what it was pinned to. */
async function beginning(
  temporal: Desk['stack']['client'],
  run: Run,
): Promise<{ input: Partial<RunInput>; resolved: ResolvedRun | undefined }> {
  const execution = { workflowId: run.workflowId, runId: run.runId };
  const { history } = await temporal.workflowService.getWorkflowExecutionHistory({
    namespace: temporal.options.namespace,
    execution,
    maximumPageSize: 50,
  });
  const events = history?.events ?? [];
  const decode = async (payloads: Payload[] | null | undefined): Promise<unknown> => {
    const codecs = temporal.options.loadedDataConverter.payloadCodecs;
    const decoded = await codecs.reduceRight(
      async (before, codec) => codec.decode(await before),
      Promise.resolve([...(payloads ?? [])].slice(0, 1)),
    );
    return decoded[0] ? defaultPayloadConverter.fromPayload(decoded[0]) : undefined;
  };
  let input: unknown;
  for (const event of events) {
    const started = event.workflowExecutionStartedEventAttributes;
    if (started) input = await decode(started.input?.payloads);
    const answer = await decode(event.activityTaskCompletedEventAttributes?.result?.payloads);
    if (Value.Check(ResolvedRun, answer)) return { input: input as Partial<RunInput>, resolved: answer };
  }
  return { input: (input ?? {}) as Partial<RunInput>, resolved: undefined };
}

function side({ run, startedAt, result, specDigest }: Ended): RunComparison['a'] {
  const { name, version, sha256 } = result.model;
  return {
    ...{ workflowId: run.workflowId, runId: run.runId, pipeline: result.pipeline, asOf: result.asOf },
    ...{ startedAt: startedAt.toISOString(), seconds: result.seconds, verdict: result.verdict, spec: specDigest },
    model: { name, version, sha256 },
  };
}

function metrics(a: RunResult, b: RunResult): RunComparison['metrics'] {
  return (['validate', 'test', 'baseline'] as const).flatMap((split) =>
    (['auc', 'logLoss', 'brier'] as const).map((metric) => {
      const [left, right] = [a.metrics[split][metric], b.metrics[split][metric]];
      return { split, metric, a: left, b: right, difference: left === null || right === null ? null : right - left };
    }),
  );
}

/** By name, in the order of the first, then what only the second has. */
function paired<T extends { name: string }>(a: T[], b: T[]): { name: string; a: T | null; b: T | null }[] {
  const names = [...new Set([...a, ...b].map(({ name }) => name))];
  const of = (list: T[], name: string) => list.find((one) => one.name === name) ?? null;
  return names.map((name) => ({ name, a: of(a, name), b: of(b, name) }));
}
