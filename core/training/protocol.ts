/** What the parent and the training process say to each other. Big things go through files in the job's scratch folder. */
import type { Split, TrainingSet } from '../spec/artifacts.ts';
import type { ErrorCode } from '../spec/errors.ts';
import type { SelectSpec } from '../spec/transforms.ts';
import type { ModelSlice, TrainerProgress, TrainerResult } from './trainer.ts';

/** One training, as JSON. */
export interface TrainingJob {
  /** Local path of the training set's Parquet. */
  data: string;
  trainingSet: TrainingSet;
  /** Local path of the columns that transforms made, where there are any. */
  columns?: string;
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

/** One selection of columns, as JSON; it reads train and validate. */
export type SelectionJob = Omit<TrainingJob, 'splits' | 'rowShare'> & { select: SelectSpec };

/** Where a finished training lies, and its figures. `native`: JSON; `predictions`: little-endian float64. */
export type TrainingOutcome = Omit<TrainerResult, 'native' | 'predictions'> & { native: string; predictions: string };

/** `selection`: path of the JSON of what was found (`SelectedColumns`). */
export interface SelectionOutcome {
  selection: string;
}

export type Job = TrainingJob | SelectionJob;
export type OutcomeOf<J extends Job> = J extends SelectionJob ? SelectionOutcome : TrainingOutcome;

/** To the child. It may be one checkpoint ahead: the next one waits for `stored`. It ends when the parent disconnects. */
export type ToChild = { type: 'start'; job: Job } | { type: 'stored'; index: number };

export type FromChild =
  | { type: 'progress'; progress: TrainerProgress }
  /** A whole file, complete and renamed into place. */
  | { type: 'checkpoint'; index: number; path: string }
  | { type: 'done'; outcome: TrainingOutcome | SelectionOutcome }
  /** `code` is absent for an error that is not of the catalogue. */
  | { type: 'error'; code?: ErrorCode; message: string; details: Record<string, unknown> };
