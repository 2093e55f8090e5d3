/**
 * Boosting in chunks that can be resumed to the byte.
 *
 * LightGBM's own continuation does not give the same trees: its sampling state is not in the model. So training always goes
 * in chunks of S rounds, killed or not. Each chunk is a booster of its own that starts from the scores of the earlier chunks
 * and draws from seeds made of (seed, chunk). Two details make the resumed run equal to the undisturbed one to the last bit:
 *  - both go on from the model *text* (text → booster → text is stable; memory → text → memory is not asked to be);
 *  - both go on from LightGBM's own float64 scores, which a checkpoint holds beside the trees. Adding up the predictions of
 *    earlier chunks instead would do as well, but half as much time again is spent on it.
 * Without sampling the trees are those of one long training; with it, S is part of the model's identity. GOSS, DART and
 * random forests cannot be trained this way.
 */
import { createHash } from 'node:crypto';
import { RefitError } from '../spec/errors.ts';
import { type BoostState, decodeState, encodeState, initialState } from './boost-state.ts';
import type { Booster, Dataset, LightGbm, Matrix } from './lightgbm.ts';
import { logLoss } from './log-loss.ts';
import { withoutParameters } from './model-text.ts';
import type { TrainerSurroundings } from './trainer.ts';

export interface BoostData {
  train: Matrix;
  trainLabels: Float32Array;
  validate: Matrix;
  validateLabels: Float32Array;
  /** By column. */
  names: string[];
  /** Columns that hold codes. */
  categories: number[];
}

export interface BoostPlan {
  /** Most rounds. */
  rounds: number;
  /** S, rounds in a chunk. */
  chunk: number;
  /** Rounds without a better validation loss after which to stop; 0 = never. */
  patience: number;
  seed: number;
  threads: number;
  /** LightGBM's own words for the rest: `num_leaves=31 …`. */
  parameters: string;
}

/** What stays the same through all chunks. */
interface Ground {
  lightGbm: LightGbm;
  data: BoostData;
  plan: BoostPlan;
  train: Dataset;
  validate: Dataset;
  parameters: string;
}

/** Trains to the end, from the start or from a checkpoint. @throws RefitError REFIT_TRAINING_FAILED, REFIT_STORE_CORRUPT */
export async function boost(
  lightGbm: LightGbm,
  data: BoostData,
  plan: BoostPlan,
  surroundings: TrainerSurroundings,
): Promise<BoostState> {
  const rows = [data.train.rows, data.validate.rows] as const;
  let state = surroundings.resume ? decodeState(surroundings.resume, ...rows) : initialState(...rows);
  const ground = prepare(lightGbm, data, plan);
  try {
    while (!state.finished) {
      state = await trainChunk(ground, state, surroundings);
      if (!state.finished) await surroundings.checkpoint(state.chunks - 1, encodeState(state));
    }
    return state;
  } finally {
    ground.validate.free();
    ground.train.free();
  }
}

function prepare(lightGbm: LightGbm, data: BoostData, plan: BoostPlan): Ground {
  const parameters = [
    'objective=binary metric=none boosting=gbdt deterministic=true force_row_wise=true verbosity=-1',
    `num_threads=${plan.threads} data_random_seed=${seedOf(plan.seed, 'data')}`,
    `categorical_feature=${data.categories.join(',')}`,
    plan.parameters,
  ].join(' ');
  const train = lightGbm.createDataset(data.train, data.names, parameters);
  train.setLabel(data.trainLabels);
  const validate = lightGbm.createDataset(data.validate, data.names, parameters, train);
  validate.setLabel(data.validateLabels);
  return { lightGbm, data, plan, train, validate, parameters };
}

async function trainChunk(ground: Ground, state: BoostState, surroundings: TrainerSurroundings): Promise<BoostState> {
  const { plan, data } = ground;
  const booster = startChunk(ground, state);
  const losses = [...state.losses];
  let { bestRounds, finished } = state;
  const probabilities = new Float64Array(data.validate.rows);
  try {
    const end = Math.min(plan.rounds, losses.length + plan.chunk);
    while (losses.length < end && !finished) {
      // No leaf can be split any more; only in the very first round is there a tree nevertheless, a single leaf.
      finished = booster.update();
      if (booster.trees() === losses.length) break;
      booster.validationProbabilities(probabilities);
      const loss = logLoss(probabilities, data.validateLabels);
      losses.push(loss);
      if (bestRounds === 0 || loss < (losses[bestRounds - 1] as number)) bestRounds = losses.length;
      await surroundings.progress({ round: losses.length, rounds: plan.rounds, loss });
      finished ||= losses.length >= plan.rounds || (plan.patience > 0 && losses.length - bestRounds >= plan.patience);
    }
    const model = withoutParameters(booster.text());
    const scores = initialState(data.train.rows, data.validate.rows);
    if (!finished) takeScores(booster, scores, probabilities);
    return { ...scores, chunks: state.chunks + 1, model, losses, bestRounds, finished };
  } finally {
    booster.free();
  }
}

/** A booster that holds the trees so far and starts from their scores, with the seeds of its chunk. */
function startChunk(ground: Ground, { chunks, model, trainScores, validateScores }: BoostState): Booster {
  const { lightGbm, train, validate, plan } = ground;
  if (chunks > 0) {
    train.setInitScore(trainScores);
    validate.setInitScore(validateScores);
  }
  const seeds = ['bagging', 'feature_fraction', 'extra', 'objective', 'drop'];
  const seeded = seeds.map((name) => `${name}_seed=${seedOf(plan.seed, String(chunks), name)}`).join(' ');
  const booster = lightGbm.createBooster(train, `${ground.parameters} ${seeded}`);
  booster.addValidation(validate);
  if (chunks > 0) {
    const before = lightGbm.loadBooster(model);
    booster.prepend(before);
    before.free();
  }
  return booster;
}

/** Reads the scores, and makes sure that scores is what they are: another library may answer otherwise. */
function takeScores(booster: Booster, { trainScores, validateScores }: BoostState, probabilities: Float64Array): void {
  booster.finalScores(trainScores, validateScores);
  const isScore = (score: number, row: number): boolean =>
    Math.abs(1 / (1 + Math.exp(-score)) - (probabilities[row] as number)) < 1e-9;
  if (!validateScores.every(isScore)) {
    throw new RefitError(
      'REFIT_TRAINING_FAILED',
      'This LightGBM library does not tell raw scores; use the one that setup installs.',
    );
  }
}

/** First 31 bits of a digest: LightGBM's seeds are non-negative int32. */
function seedOf(seed: number, ...names: string[]): number {
  return (
    createHash('sha256')
      .update([seed, ...names].join('/'))
      .digest()
      .readUInt32BE(0) >>> 1
  );
}
