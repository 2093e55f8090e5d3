/** What the steps of this folder share: a training with checkpoints in the store. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FittedModel, Split, TrainingSet } from '../spec/artifacts.ts';
import { createCheckpoints } from '../store/checkpoints.ts';
import type { BlobStore } from '../store/ports.ts';
import type { Step, StepContext } from '../store/step.ts';
import type { TrainingOutcome } from './protocol.ts';
import type { ModelSlice } from './trainer.ts';
import { runTrainerProcess } from './trainer-process.ts';

/** Where and how trainings run; shapes no result. */
export interface TrainingPlace {
  /** Path of `lib_lightgbm.so`. */
  library: string;
  threads: number;
}

export interface TrainingTask {
  trainingSet: TrainingSet;
  model: ModelSlice;
  /** Share of the training rows, the newest. */
  rowShare: number;
  /** Splits that the training may read: a trial does not see the test period. */
  splits: Split[];
}

/** The `run` of a step that trains: its input as a task, the training, and what is kept of it. */
export function trainingRun<Input, Output>(
  step: string,
  place: TrainingPlace,
  taskOf: (input: Input) => TrainingTask,
  result: (outcome: TrainingOutcome, input: Input, context: StepContext) => Output | Promise<Output>,
): Step<Input, Output>['run'] {
  return async (input, context) => result(await train(step, place, taskOf(input), context), input, context);
}

/** Trains, from the newest checkpoint of this step key if there is one; the step cache clears them when the result is kept. */
async function train(
  step: string,
  place: TrainingPlace,
  { trainingSet, model, rowShare, splits }: TrainingTask,
  context: StepContext,
): Promise<TrainingOutcome> {
  const { blobs, scratch, signal, key } = context;
  const checkpoints = createCheckpoints(blobs.objects, step, key);
  const newest = await checkpoints.latest();
  const resume = join(scratch, 'resume');
  if (newest) await writeFile(resume, newest.body);
  const files = await trainingFiles(blobs, trainingSet);
  const job = { ...files, trainingSet, splits, model, rowShare, ...place, scratch };
  return runTrainerProcess(newest ? { ...job, resume } : job, {
    signal,
    onProgress: ({ round, rounds }) => context.progress({ round, rounds }),
    publish: (index, body) => checkpoints.publish(index, body),
  });
}

/** Local paths of what a training reads. */
export async function trainingFiles(
  blobs: BlobStore,
  { data, prepared }: TrainingSet,
): Promise<{ data: string; columns?: string }> {
  const columns = prepared?.columns && (await blobs.path(prepared.columns));
  return { data: await blobs.path(data), ...(columns === undefined ? {} : { columns }) };
}

/** Puts the files of a training of `model` into the store. */
export async function keep(
  outcome: TrainingOutcome,
  trainingSet: TrainingSet,
  model: ModelSlice,
  { blobs }: StepContext,
): Promise<FittedModel> {
  const { rounds, roundsTrained, importance } = outcome;
  const { transforms, selection, inputs } = trainingSet.prepared ?? {};
  return {
    trainer: model.trainer,
    native: await blobs.putFile(outcome.native),
    predictions: await blobs.putFile(outcome.predictions),
    features: inputs ?? trainingSet.features,
    ...(transforms ? { transforms } : {}),
    ...(selection ? { selection } : {}),
    rounds,
    roundsTrained,
    params: model.params,
    importance,
    seenUntil: trainingSet.periods.test.from,
  };
}
