/** What the evaluation page is made from. */
import type { FittedModel, Snapshot, TrainedModel, TrainingSet, Trial } from '../../spec/artifacts.ts';
import type { Comparison, Evaluation, GateResult } from '../../spec/evaluation.ts';
import type { FittedTransforms, SelectionReport } from '../../spec/transforms.ts';
import type { ComparisonCurves, Curves } from '../curves.ts';

/** What the page tells of; all of it is data, nothing is computed anew. */
export interface ReportFacts {
  pipeline: string;
  question: string;
  /** ISO UTC. */
  asOf: string;
  trainingSet: TrainingSet;
  model: TrainedModel;
  baseline: FittedModel;
  evaluation: Evaluation;
  /** Null where no other model is champion yet. */
  comparison: Comparison | null;
  gates: GateResult[];
  /** Empty where nothing was searched. */
  trials: Trial[];
  snapshots: Snapshot[];
  /** SHA-256 of the pipeline's declaration. */
  specDigest: string;
}

export interface ReportInput extends ReportFacts {
  /** What `evaluation.curves` holds. */
  curves: Curves;
  /** What `comparison.curves` holds. */
  comparisonCurves: ComparisonCurves | null;
  /** What `trainingSet.prepared` names; absent where the model takes the features as they are. */
  transforms?: FittedTransforms | undefined;
  selection?: SelectionReport | undefined;
}
