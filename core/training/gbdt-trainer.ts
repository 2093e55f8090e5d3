/** Gradient-boosted trees by LightGBM. */
import { boost } from './boost.ts';
import { type LightGbm, loadLightGbm, type Matrix } from './lightgbm.ts';
import { formatParameters } from './lightgbm-parameters.ts';
import { logLoss } from './log-loss.ts';
import { labelsOf, rowsOf, type TrainingTable, toMatrix, trainingLabelsOf, vocabularies } from './matrix.ts';
import { withFloat32Thresholds, withoutParameters } from './model-text.ts';
import { type ModelSlice, shares, type Trainer, type TrainerInput, type TrainerResult } from './trainer.ts';

/** @param library path of `lib_lightgbm.so` */
export function createGbdtTrainer(library: string): Trainer {
  return {
    async fit(input, surroundings) {
      const lightGbm = loadLightGbm(library);
      const { table, model, threads } = input;
      const parameters = formatParameters(model.params, lightGbm.parameters());
      const rows = { train: rowsOf(table, 'train', input.rowShare), validate: rowsOf(table, 'validate') };
      const categories = vocabularies(table, rows.train);
      const data = {
        train: toMatrix(table, rows.train, categories),
        trainLabels: trainingLabelsOf(table, rows.train),
        validate: toMatrix(table, rows.validate, categories),
        validateLabels: labelsOf(table, rows.validate),
        names: table.features.map(({ name }) => name),
        categories: [...table.features.keys()].filter((column) => table.features[column]?.kind === 'category'),
      };
      const { rounds, chunk, earlyStopping: patience, seed } = model;
      const state = await boost(lightGbm, data, { rounds, chunk, patience, seed, threads, parameters }, surroundings);
      const kept = keptRounds(model, state.bestRounds, state.losses.length);
      const text = finalText(lightGbm, state.model, kept);
      const test = toMatrix(table, rowsOf(table, 'test'), categories);
      const outcome = judge(lightGbm, text, [data.validate, test], input);
      return {
        ...outcome,
        native: { format: 'lightgbm', model: text, categories, features: table.features },
        rounds: kept,
        roundsTrained: state.losses.length,
        logLoss: logLoss(outcome.predictions.subarray(0, rows.validate.length), data.validateLabels),
      };
    },
  };
}

/** Without early stopping every round is kept. */
function keptRounds({ earlyStopping }: ModelSlice, best: number, trained: number): number {
  return earlyStopping > 0 ? best : trained;
}

/** The text that is published: the rounds kept, in normal form. */
function finalText(lightGbm: LightGbm, trained: string, rounds: number): string {
  const model = lightGbm.loadBooster(trained);
  try {
    return withFloat32Thresholds(withoutParameters(model.text(rounds)));
  } finally {
    model.free();
  }
}

/** Predictions and importance of the text itself, so that they are those of the model that is kept. */
function judge(
  lightGbm: LightGbm,
  text: string,
  matrices: Matrix[],
  { table, threads }: { table: TrainingTable } & Pick<TrainerInput, 'threads'>,
): Pick<TrainerResult, 'predictions' | 'importance'> {
  const model = lightGbm.loadBooster(text);
  try {
    const predictions = new Float64Array(matrices.reduce((sum, { rows }) => sum + rows, 0));
    let from = 0;
    for (const matrix of matrices) {
      model.predict(matrix, threads, predictions.subarray(from, from + matrix.rows));
      from += matrix.rows;
    }
    return { predictions, importance: shares(table.features, model.gain(table.features.length)) };
  } finally {
    model.free();
  }
}
