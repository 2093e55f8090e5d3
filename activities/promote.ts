import { Context } from '@temporalio/activity';
import { addressIn, type Refit } from '../core/compose/refit.ts';
import { materializeOnline } from '../core/features/materialize.ts';
import { onlineNamespace } from '../core/features/online-layout.ts';
import { dataOf, findBrought } from '../core/features/online-progress.ts';
import { type Approval, type Due, decideVersion } from '../core/registry/decide-version.ts';
import { versionKey } from '../core/registry/decisions.ts';
import type { Lineage } from '../core/registry/schemas.ts';
import { findManifest, findVersion, readManifest, registerVersion, versionFolder } from '../core/registry/versions.ts';
import type { Done } from '../core/spec/activities.ts';
import type { BlobRef, FittedModel, Snapshot, TrainedModel, TrainingSet, Trial } from '../core/spec/artifacts.ts';
import type { GateResult } from '../core/spec/evaluation.ts';
import type { Materialization } from '../core/spec/materialization.ts';
import type { PipelineSpec } from '../core/spec/pipeline.ts';
import type { RunResult, Verdict } from '../core/spec/run.ts';
import { shift } from '../core/spec/time.ts';
import type { Judgement } from './evaluate.ts';
import type { OfData } from './features.ts';
import { heartbeating } from './run-step.ts';

export type PromoteActivities = ReturnType<typeof createPromoteActivities>;

interface OfVersion extends OfData {
  trainingSet: TrainingSet;
  candidate: { model: TrainedModel; baseline: FittedModel; trials: Trial[] };
  judged: Judgement;
}

/** What became of the candidate, and which version serves now. */
export interface Decision {
  verdict: Verdict;
  gates: GateResult[];
  model: RunResult['model'];
  /** The champion after the decision; the candidate itself where there is none. */
  serving: number;
}

/** What has to happen before the candidate can be decided; an approval is waited for until then. */
export interface Undecided {
  due: Due;
  until: string;
  onTimeout: 'reject' | 'promote';
}

/** What was written into the online store; nothing where that was done before. */
type Materialized = Pick<Materialization, 'entities' | 'rows' | 'written' | 'incremental' | 'resumed' | 'store'>;

interface OfDecision extends OfData {
  version: number;
  judged: Judgement;
  approved?: Approval;
}

/** Inputs and outputs of the ONNX graph, for whoever calls it. */
function signatureOf({ features }: TrainedModel): object {
  const inputs = features.map(({ name, kind }) => ({
    name,
    dtype: kind === 'number' ? 'float32' : 'string',
    shape: [-1, 1],
  }));
  return { inputs, outputs: [{ name: 'probability', dtype: 'float32', shape: [-1, 1] }] };
}

function lineageOf(spec: BlobRef, trainingSet: TrainingSet, snapshots: Record<string, Snapshot>): Lineage {
  const sources = Object.entries(snapshots).map(([name, { id, partitions }]) => [
    name,
    {
      snapshot: id,
      partitions: partitions.map((partition) => ({ name: partition.name, sha256: partition.data.sha256 })),
    },
  ]);
  return {
    pipeline: { digest: spec.sha256, spec },
    trainingSet: trainingSet.digest,
    sources: Object.fromEntries(sources),
  };
}

export function createPromoteActivities({ blobs, objects, places, online }: Refit) {
  return {
    /** Claims a version number for the candidate and publishes what belongs to it; the same candidate gets the same number. */
    async registerVersion(input: OfVersion): Promise<Done<{ version: number }>> {
      const spec = await blobs.json<PipelineSpec>(input.spec);
      const { asOf, trainingSet, candidate, judged, snapshots } = input;
      const { model } = candidate;
      const { evaluation, metrics, comparison, gates, report, page } = judged;
      return heartbeating('register-version', async () => {
        const key = versionKey({ model, trainingSet, gates: spec.gates });
        const claimed = await findVersion(objects, spec.name, key);
        const existed = claimed !== undefined && (await findManifest(objects, spec.name, claimed)) !== undefined;
        const { version } = await registerVersion(blobs, {
          ...{ model: spec.name, key, asOf, trainedModel: model, signature: signatureOf(model) },
          ...{ metrics, gates, comparison, report, page, profile: evaluation.profile },
          lineage: lineageOf(input.spec, trainingSet, snapshots),
        });
        return { output: { version }, cached: existed };
      });
    },

    /**
     * Brings the online features to asOf, before anything is promoted: what changed since the last time, from where an attempt
     * that was interrupted came to. Nothing newer is overwritten. Found done when these very snapshots, or newer ones, are served.
     */
    async materializeOnline({ spec, asOf, snapshots, force }: OfData): Promise<Done<Materialized>> {
      const { name, spine, features: views } = await blobs.json<PipelineSpec>(spec);
      const input = { pipeline: name, spine, views, snapshots, asOf };
      const store = online();
      const namespace = onlineNamespace(name, spine, views);
      return heartbeating('materialize-online', async (context, progress, scratch) => {
        const served = force ? undefined : await findBrought(store, namespace, dataOf(asOf, snapshots), spine);
        const kept = { rows: 0, written: 0, incremental: true, resumed: 0, store: store.address };
        if (served) return { output: { entities: served.entity.rows, ...kept }, cached: true };
        const signal = context.cancellationSignal;
        const { entities, rows, written, incremental, resumed } = await materializeOnline({ ...input, force }, store, {
          ...{ blobs, scratch: await scratch(places), signal, progress },
        });
        return { output: { ...kept, entities, rows, written, incremental, resumed }, cached: false };
      });
    },

    /**
     * Promotes or rejects, once for each version: audit first, then routing. Answers what is due before where the champion
     * moved since the gates were judged, or where a person has to speak.
     */
    async decide({ spec, version, judged, approved }: OfDecision): Promise<Decision | Undecided> {
      const { name, promote } = await blobs.json<PipelineSpec>(spec);
      const { workflowId = '', runId = '' } = Context.current().info.workflowExecution ?? {};
      const decided = await decideVersion(objects, {
        ...{ model: name, version, gates: judged.gates, approved, workflowId, runId },
        comparedWith: judged.champion,
        approval: promote.approval,
      });
      if ('due' in decided) {
        const until = shift(new Date(), promote.timeout, 1).toISOString();
        const { due, paused } = decided;
        return { due, until, onTimeout: paused ? 'reject' : promote.onTimeout };
      }
      const { sha256 } = await readManifest(objects, name, version);
      const folder = addressIn(places, versionFolder(name, version));
      return { ...decided, model: { name, version, sha256, path: folder } };
    },
  };
}
