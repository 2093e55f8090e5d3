import { addressIn, type Refit } from '../core/compose/refit.ts';
import { compareWithChampion } from '../core/evaluation/compare-champion.ts';
import { evaluateCandidate } from '../core/evaluation/evaluate-candidate.ts';
import { judge } from '../core/evaluation/gates.ts';
import { publishReport } from '../core/evaluation/publish-report.ts';
import { sampleOnlineParity } from '../core/features/online-parity.ts';
import { decidedVersion, versionKey } from '../core/registry/decisions.ts';
import { readRouting } from '../core/registry/routing.ts';
import type { Champion } from '../core/registry/schemas.ts';
import { readManifest } from '../core/registry/versions.ts';
import type { Done } from '../core/spec/activities.ts';
import type { BlobRef, FittedModel, TrainedModel, TrainingSet, Trial } from '../core/spec/artifacts.ts';
import type { Comparison, Evaluation, GateResult, Metrics } from '../core/spec/evaluation.ts';
import type { PipelineSpec } from '../core/spec/pipeline.ts';
import type { RunResult } from '../core/spec/run.ts';
import type { OfData } from './features.ts';
import { runStep } from './run-step.ts';
import { sliceColumns } from './spec-of.ts';

export type EvaluateActivities = ReturnType<typeof createEvaluateActivities>;

export interface OfCandidate extends OfData {
  trainingSet: TrainingSet;
  model: TrainedModel;
  baseline: FittedModel;
  trials: Trial[];
}

/** What evaluation leads to. */
export interface Judgement {
  metrics: RunResult['metrics'];
  gates: GateResult[];
  evaluation: Evaluation;
  comparison: Comparison | null;
  /** Version of the champion that the gates were held against; null when there was none. */
  champion: number | null;
  /** The evaluation page, and its store key. */
  report: BlobRef;
  page: string;
  /** The same for people: a path, or an `s3://` address. */
  reportAddress: string;
}

/** Entities whose online and offline features are held against each other. */
const PARITY_SAMPLE = 200;

export function createEvaluateActivities({ blobs, cache, objects, places }: Refit) {
  return {
    /** Metrics, slices and parity of the candidate; does not depend on any other model. */
    async evaluateCandidate(input: OfCandidate): Promise<Done<Evaluation>> {
      const { spine, features: views, gates } = await blobs.json<PipelineSpec>(input.spec);
      const { asOf, snapshots, trainingSet, model, baseline, force } = input;
      const sampling = { spine, views, snapshots, asOf, sample: PARITY_SAMPLE };
      const online = await runStep(cache, sampleOnlineParity, sampling, { force });
      const subject = { trainingSet, model, baseline, slices: sliceColumns(gates), online: online.output };
      const evaluated = await runStep(cache, evaluateCandidate, subject, { force });
      return { ...evaluated, cached: evaluated.cached && online.cached };
    },

    /** Champion against challenger, the gates, and the page. A version that was decided before keeps its gates. */
    async judgeCandidate(input: OfCandidate & { evaluation: Evaluation }): Promise<Done<Judgement>> {
      const spec = await blobs.json<PipelineSpec>(input.spec);
      const { asOf, trainingSet, model, baseline, trials, evaluation, snapshots, force } = input;
      const decided = await decidedVersion(objects, spec.name, versionKey({ model, trainingSet, gates: spec.gates }));
      const champion = (await readRouting(objects, spec.name))?.champion;
      const compared = decided ? undefined : await compare(spec.name, champion, input);
      const comparison = decided ? decided.comparison : (compared?.output ?? null);
      const gates = decided ? decided.gates : judge(spec.gates, { evaluation, comparison });
      const report = { pipeline: spec.name, question: spec.question, asOf, trainingSet, model, baseline, trials };
      const page = await runStep(
        cache,
        publishReport,
        {
          ...report,
          evaluation,
          comparison,
          gates,
          snapshots: Object.values(snapshots),
          specDigest: input.spec.sha256,
        },
        { force },
      );
      const { test, validate } = evaluation.metrics;
      const metrics = { validate: quality(validate), test: quality(test), baseline: quality(evaluation.baseline.test) };
      const key = page.output.page;
      const reportAddress = addressIn(places, key);
      const judged = { metrics, gates, evaluation, comparison, champion: champion?.version ?? null };
      const output = { ...judged, report: page.output.report, page: key, reportAddress };
      return { output, cached: page.cached && (compared?.cached ?? true), seconds: page.seconds };
    },
  };

  async function compare(
    name: string,
    champion: Champion | undefined,
    { trainingSet, model, force }: OfCandidate,
  ): Promise<Done<Comparison> | undefined> {
    // Nothing to hold it against: there is no champion, or it is the champion.
    if (!champion || champion.sha256 === model.onnx.sha256) return undefined;
    const { trainedModel } = await readManifest(objects, name, champion.version);
    const { onnx, features, seenUntil } = trainedModel;
    const { version, sha256, asOf } = champion;
    const candidate = { onnx: model.onnx, features: model.features, seenUntil: model.seenUntil };
    const theirs = { version, sha256, asOf, onnx, features, seenUntil };
    return runStep(cache, compareWithChampion, { trainingSet, candidate, champion: theirs }, { force });
  }
}

function quality({ auc, logLoss, brier }: Metrics): RunResult['metrics']['test'] {
  return { auc, logLoss, brier };
}
