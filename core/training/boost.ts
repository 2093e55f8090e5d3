/**
 * Boosting in chunks that can be resumed to the byte.
 *
 * LightGBM's own continuation does not give the same trees: its sampling state is not in the model. So training always goes
 * in chunks of S rounds, killed or not. Each chunk is a booster of its own that starts from the scores of the earlier chunks,
 * with seeds from (seed, chunk). Two details make the resumed run equal to the undisturbed one to the last bit:
 *  - both go on from the model *text* (text → booster → text is stable, memory → text → memory is not asked to be);
 *  - the score of a row is the sum of its chunks' predictions, added in float64 chunk by chunk in that order; the
 *    undisturbed run keeps the running sum in memory and adds the newest chunk, the resumed one adds them all again.
 * It follows that S is part of the model's identity. GOSS, DART and random forests cannot be trained this way.
 */
import { createHash } from 'node:crypto';
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

/** Where a training stands after some chunks; a checkpoint is this as JSON. */
export interface BoostState {
  /** Chunks finished. */
  chunks: number;
  /** All trees so far. */
  model: string;
  /** Validation log loss after each round. */
  losses: number[];
  /** Rounds with the lowest loss (the first such), which early stopping keeps. */
  bestRounds: number;
  /** No more rounds to come. */
  finished: boolean;
}

const START: BoostState = { chunks: 0, model: '', losses: [], bestRounds: 0, finished: false };

/** What stays the same through all chunks. `scores`: raw score of each row from the chunks before. */
interface Ground {
  lightGbm: LightGbm;
  data: BoostData;
  plan: BoostPlan;
  train: Dataset;
  validate: Dataset;
  trainScores: Float64Array;
  validateScores: Float64Array;
  parameters: string;
}

/** Trains to the end, from the start or from a checkpoint's state. @throws RefitError REFIT_TRAINING_FAILED */
export async function boost(
  lightGbm: LightGbm,
  data: BoostData,
  plan: BoostPlan,
  surroundings: TrainerSurroundings,
): Promise<BoostState> {
  const ground = prepare(lightGbm, data, plan);
  let state = parseState(surroundings.resume) ?? START;
  try {
    let added = 0;
    while (!state.finished) {
      for (; added < state.chunks; added++) addScores(ground, state, added);
      state = await trainChunk(ground, state, surroundings);
      if (!state.finished) await surroundings.checkpoint(state.chunks - 1, Buffer.from(JSON.stringify(state)));
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
  const scores = {
    trainScores: new Float64Array(data.train.rows),
    validateScores: new Float64Array(data.validate.rows),
  };
  return { lightGbm, data, plan, train, validate, parameters, ...scores };
}

/** Adds what the trees of one chunk say to the running scores. */
function addScores(ground: Ground, state: BoostState, chunk: number): void {
  const { chunk: size, threads } = ground.plan;
  const model = ground.lightGbm.loadBooster(state.model);
  try {
    for (const [matrix, scores] of [
      [ground.data.train, ground.trainScores],
      [ground.data.validate, ground.validateScores],
    ] as const) {
      const block = new Float64Array(matrix.rows);
      model.predict(matrix, { raw: true, from: chunk * size, count: size, threads }, block);
      for (let i = 0; i < scores.length; i++) scores[i] = (scores[i] as number) + (block[i] as number);
    }
  } finally {
    model.free();
  }
}

async function trainChunk(ground: Ground, state: BoostState, surroundings: TrainerSurroundings): Promise<BoostState> {
  const { plan } = ground;
  const booster = startChunk(ground, state);
  const losses = [...state.losses];
  let { bestRounds, finished } = state;
  const probabilities = new Float64Array(ground.data.validate.rows);
  try {
    const end = Math.min(plan.rounds, losses.length + plan.chunk);
    while (losses.length < end && !finished) {
      // No leaf can be split any more; only in the very first round is there a tree nevertheless, a single leaf.
      finished = booster.update();
      if (booster.trees() === losses.length) break;
      booster.validationProbabilities(probabilities);
      losses.push(logLoss(probabilities, ground.data.validateLabels));
      if (bestRounds === 0 || last(losses) < (losses[bestRounds - 1] as number)) bestRounds = losses.length;
      await surroundings.progress({ round: losses.length, rounds: plan.rounds, loss: last(losses) });
      finished ||= losses.length >= plan.rounds || (plan.patience > 0 && losses.length - bestRounds >= plan.patience);
    }
    return { chunks: state.chunks + 1, model: withoutParameters(booster.text()), losses, bestRounds, finished };
  } finally {
    booster.free();
  }
}

/** A booster that holds the trees so far and starts from their scores, with the seeds of its chunk. */
function startChunk(ground: Ground, { chunks, model }: BoostState): Booster {
  const { lightGbm, train, validate, plan } = ground;
  if (chunks > 0) {
    train.setInitScore(ground.trainScores);
    validate.setInitScore(ground.validateScores);
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

/** First 31 bits of a digest: LightGBM's seeds are non-negative int32. */
function seedOf(seed: number, ...names: string[]): number {
  return (
    createHash('sha256')
      .update([seed, ...names].join('/'))
      .digest()
      .readUInt32BE(0) >>> 1
  );
}

function last(values: readonly number[]): number {
  return values[values.length - 1] as number;
}

/** The store has checked a checkpoint's bytes; one of another form is as good as none. */
function parseState(body: Uint8Array | undefined): BoostState | undefined {
  if (!body) return undefined;
  const state = JSON.parse(Buffer.from(body).toString('utf8')) as BoostState;
  return typeof state.model === 'string' && Array.isArray(state.losses) && state.chunks > 0 ? state : undefined;
}
