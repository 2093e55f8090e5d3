/**
 * The training process: does one job, a training or a selection of columns, and ends. Argument: its parent's process id. It blocks for a round at a time and hears
 * its parent between rounds. It has no handler for SIGTERM, so that a cancel ends it at once even in the middle of a round.
 */
import { readFileSync } from 'node:fs';
import { open, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { RefitError } from '../spec/errors.ts';
import { canonicalJson } from '../store/digest.ts';
import { dieWithParent } from './die-with-parent.ts';
import { createGbdtTrainer } from './gbdt-trainer.ts';
import { createLogisticTrainer } from './logistic-trainer.ts';
import type {
  FromChild,
  Job,
  SelectionJob,
  SelectionOutcome,
  ToChild,
  TrainingJob,
  TrainingOutcome,
} from './protocol.ts';
import { readTrainingTable } from './read-training-table.ts';
import { selectColumns } from './select-columns.ts';
import type { Trainer, TrainerProgress, TrainerSurroundings } from './trainer.ts';

/** Not more often than this is progress told. */
const PROGRESS_MS = 250;

const trainers: Record<TrainingJob['model']['trainer'], (job: Job) => Trainer> = {
  gbdt: ({ library }) => createGbdtTrainer(library),
  logistic: () => createLogisticTrainer(),
};

function tell(message: FromChild): void {
  process.send?.(message);
}

async function work(job: Job, surroundings: TrainerSurroundings): Promise<TrainingOutcome | SelectionOutcome> {
  return 'select' in job ? select(job, surroundings) : train(job, surroundings);
}

async function select(job: SelectionJob, surroundings: TrainerSurroundings): Promise<SelectionOutcome> {
  const { model, threads } = job;
  const table = await readTrainingTable(job, job.trainingSet, ['train', 'validate']);
  const trainer = trainers[model.trainer](job);
  const found = await selectColumns(trainer, { table, select: job.select, model, threads }, surroundings);
  const selection = join(job.scratch, 'selection.json');
  await writeFile(selection, canonicalJson(found));
  return { selection };
}

async function train(job: TrainingJob, surroundings: TrainerSurroundings): Promise<TrainingOutcome> {
  const table = await readTrainingTable(job, job.trainingSet, job.splits);
  const { model, rowShare, threads } = job;
  const { native, predictions, ...figures } = await trainers[model.trainer](job).fit(
    { table, model, rowShare, threads },
    surroundings,
  );
  const outcome = {
    ...figures,
    native: join(job.scratch, 'native.json'),
    predictions: join(job.scratch, 'predictions.f64'),
  };
  await writeFile(outcome.native, canonicalJson(native));
  // Typed arrays are little-endian wherever Node runs.
  await writeFile(outcome.predictions, predictions);
  return outcome;
}

/** Checkpoints go to files and are told to the parent; progress is told now and then. */
function surround(job: Job, stored: (index: number) => Promise<void>): TrainerSurroundings {
  let told = 0;
  let before: Promise<void> = Promise.resolve();
  return {
    resume: job.resume === undefined ? undefined : readFileSync(job.resume),
    async progress(progress: TrainerProgress) {
      if (performance.now() - told >= PROGRESS_MS) {
        tell({ type: 'progress', progress });
        told = performance.now();
      }
      await nextTurn();
    },
    async checkpoint(index, body) {
      const path = join(job.scratch, `checkpoint-${index}`);
      await writeWhole(path, body);
      await before;
      before = stored(index);
      told = 0;
      tell({ type: 'checkpoint', index, path });
    },
  };
}

/** The name appears only when all bytes are on disk. */
async function writeWhole(path: string, body: Uint8Array): Promise<void> {
  const file = await open(`${path}.part`, 'w');
  try {
    await file.writeFile(body);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.part`, path);
}

function asMessage(error: unknown): FromChild {
  if (error instanceof RefitError) {
    return { type: 'error', code: error.code, message: error.message, details: error.details };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { type: 'error', message, details: {} };
}

dieWithParent(Number(process.argv[2]));
const waiting = new Map<number, () => void>();
process.on('disconnect', () => process.exit(0));
process.on('message', (message: ToChild) => {
  if (message.type === 'stored') {
    waiting.get(message.index)?.();
    return;
  }
  const stored = (index: number) => new Promise<void>((resolve) => void waiting.set(index, resolve));
  work(message.job, surround(message.job, stored)).then(
    (outcome) => tell({ type: 'done', outcome }),
    (error: unknown) => tell(asMessage(error)),
  );
});
