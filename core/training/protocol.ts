/** What the parent and the training process say to each other. Big things go through files in the job's scratch folder. */
import type { Split, TrainingSet } from '../spec/artifacts.ts';
import type { ErrorCode } from '../spec/errors.ts';
import type { ModelSlice, TrainerProgress, TrainerResult } from './trainer.ts';

/** One training, as JSON. */
export interface TrainingJob {
  /** Local path of the training set's Parquet. */
  data: string;
  trainingSet: TrainingSet;
  /** Local path of the columns that transforms made, where there are any. */
  columns?: string;
  /** Columns to train on; all unless given. */
  only?: string[];
  /** Splits that it may read. */
  splits: Split[];
  model: ModelSlice;
  rowShare: number;
  threads: number;
  /** Path of `lib_lightgbm.so`. */
  library: string;
  /** Folder for the files of this job. */
  scratch: string;
  /** File with the checkpoint to go on from. */
  resume?: string;
}

/** Where a finished training lies, and its figures. `native`: JSON; `predictions`: little-endian float64. */
export type TrainingOutcome = Omit<TrainerResult, 'native' | 'predictions'> & { native: string; predictions: string };

/** To the child. It may be one checkpoint ahead: the next one waits for `stored`. It ends when the parent disconnects. */
export type ToChild = { type: 'start'; job: TrainingJob } | { type: 'stored'; index: number };

export type FromChild =
  | { type: 'progress'; progress: TrainerProgress }
  /** A whole file, complete and renamed into place. */
  | { type: 'checkpoint'; index: number; path: string }
  | { type: 'done'; outcome: TrainingOutcome }
  /** `code` is absent for an error that is not of the catalogue. */
  | { type: 'error'; code?: ErrorCode; message: string; details: Record<string, unknown> };
