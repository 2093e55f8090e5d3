/** Logistic regression: the baseline, and a model in its own right. */
import { RefitError } from '../spec/errors.ts';
import { nearest } from '../spec/nearest.ts';
import { logLoss } from './log-loss.ts';
import { type Design, designOf } from './logistic-design.ts';
import { labelsOf, rowsOf, type TrainingTable, trainingLabelsOf } from './matrix.ts';
import type { LogisticNative } from './native-model.ts';
import { fitNewton, MOST_ITERATIONS, type NewtonFit } from './newton.ts';
import { type ModelSlice, shares, type Trainer, type TrainerResult } from './trainer.ts';

/** Penalty on the sum of squared weights of standardised numbers, as scikit-learn's C = 1. */
const DEFAULT_L2 = 1;

/** Parameter: `l2`. It is too short a job for checkpoints. */
export function createLogisticTrainer(): Trainer {
  return {
    async fit({ table, model, rowShare }, surroundings) {
      const l2 = penaltyOf(model);
      const train = rowsOf(table, 'train', rowShare);
      const validate = rowsOf(table, 'validate');
      const validateLabels = labelsOf(table, validate);
      const design = designOf(table, train);
      const lossOf = (weights: Float64Array): number => logLoss(predict(design, validate, weights), validateLabels);
      const fit = await fitNewton(design, train, trainingLabelsOf(table, train), {
        l2,
        onIteration: (round, weights) =>
          surroundings.progress({ round, rounds: MOST_ITERATIONS, loss: lossOf(weights) }),
      });
      const judged = Uint32Array.from([...validate, ...rowsOf(table, 'test')]);
      const predictions = predict(design, judged, fit.weights);
      return {
        native: nativeOf(design, fit.weights, table),
        predictions,
        importance: importanceOf(design, fit, table),
        rounds: fit.iterations,
        roundsTrained: fit.iterations,
        logLoss: logLoss(predictions.subarray(0, validate.length), validateLabels),
      };
    },
  };
}

/** @throws RefitError REFIT_MODEL_UNSUPPORTED for any other parameter, or a penalty that is not above zero */
function penaltyOf({ params }: ModelSlice): number {
  for (const [name, value] of Object.entries(params)) {
    const refuse = (why: string) => new RefitError('REFIT_MODEL_UNSUPPORTED', why, { parameter: name });
    if (name !== 'l2') throw refuse(`The logistic regression has no parameter "${name}"${nearest(name, ['l2'])}.`);
    if (!(typeof value === 'number' && value > 0)) throw refuse('The parameter "l2" must be a number above 0.');
  }
  return Number(params.l2 ?? DEFAULT_L2);
}

function predict(design: Design, rows: Uint32Array, weights: Float64Array): Float64Array {
  const columns = new Int32Array(design.widest);
  const values = new Float64Array(design.widest);
  return Float64Array.from(rows, (row) => {
    const count = design.fill(row, columns, values);
    let z = 0;
    for (let a = 0; a < count; a++) z += (values[a] as number) * (weights[columns[a] as number] as number);
    return 1 / (1 + Math.exp(-z));
  });
}

function nativeOf(design: Design, weights: Float64Array, table: TrainingTable): LogisticNative {
  const weightOf = (column: number | undefined): number => (column === undefined ? 0 : (weights[column] ?? 0));
  return {
    format: 'logistic',
    intercept: weightOf(0),
    numbers: design.numbers.map(({ feature, mean, scale, indicator }, i) => ({
      ...{ feature, mean, scale, impute: mean },
      ...{ weight: weightOf(1 + i), missingWeight: weightOf(indicator) },
    })),
    categories: design.categories.map(({ feature, levels, first }) => ({
      ...{ feature, levels },
      ...{ weights: levels.map((_, i) => weightOf(first + i)), otherWeight: weightOf(first + levels.length) },
    })),
    features: table.features,
  };
}

/** A feature's share: the sum over its columns of |weight| × standard deviation, its pull on the score. */
function importanceOf(
  design: Design,
  { weights, deviations }: NewtonFit,
  table: TrainingTable,
): TrainerResult['importance'] {
  const pull = new Map<string, number>();
  for (const [column, feature] of design.features.entries()) {
    const own = Math.abs(weights[column] ?? 0) * (deviations[column] ?? 0);
    pull.set(feature, (pull.get(feature) ?? 0) + own);
  }
  const figures = table.features.map(({ name }) => pull.get(name) ?? 0);
  return shares(table.features, figures);
}
