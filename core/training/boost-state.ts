/**
 * Where a training stands between two chunks, and its form on disk: a checkpoint holds the trees *and* the scores they have
 * come to, so that a resumed run starts from the very numbers that the interrupted one would have gone on with.
 */
import { RefitError } from '../spec/errors.ts';

export interface BoostState {
  /** Chunks finished. */
  chunks: number;
  /** All trees so far, as LightGBM's text. */
  model: string;
  /** Validation log loss after each round. */
  losses: number[];
  /** Rounds with the lowest loss (the first such), which early stopping keeps. */
  bestRounds: number;
  /** No more rounds to come. */
  finished: boolean;
  /** Raw score of each row. */
  trainScores: Float64Array;
  validateScores: Float64Array;
}

/** Before the first round. LightGBM finds the scores to begin with by itself. */
export function initialState(trainRows: number, validateRows: number): BoostState {
  return {
    ...{ chunks: 0, model: '', losses: [], bestRounds: 0, finished: false },
    trainScores: new Float64Array(trainRows),
    validateScores: new Float64Array(validateRows),
  };
}

/** uint32 LE length of the JSON · JSON · scores of the training rows · scores of the validation rows (float64 LE). */
export function encodeState({ trainScores, validateScores, ...rest }: BoostState): Buffer {
  const json = Buffer.from(JSON.stringify(rest));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  return Buffer.concat([length, json, bytesOf(trainScores), bytesOf(validateScores)]);
}

/** @throws RefitError REFIT_STORE_CORRUPT when the checkpoint is not of this training */
export function decodeState(body: Uint8Array, trainRows: number, validateRows: number): BoostState {
  const buffer = Buffer.from(body);
  const from = buffer.length < 4 ? Number.NaN : 4 + buffer.readUInt32LE(0);
  if (buffer.length !== from + 8 * (trainRows + validateRows)) {
    throw new RefitError('REFIT_STORE_CORRUPT', 'A training checkpoint does not fit its training set.', {
      bytes: buffer.length,
    });
  }
  const rest = JSON.parse(buffer.toString('utf8', 4, from)) as Omit<BoostState, 'trainScores' | 'validateScores'>;
  // Copied, because float64 values must begin at a multiple of eight bytes.
  const scores = new Float64Array(new Uint8Array(buffer.subarray(from)).buffer);
  return { ...rest, trainScores: scores.slice(0, trainRows), validateScores: scores.slice(trainRows) };
}

function bytesOf(scores: Float64Array): Uint8Array {
  return new Uint8Array(scores.buffer, scores.byteOffset, scores.byteLength);
}
