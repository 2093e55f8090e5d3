/** A training that was interrupted, however and wherever, gives the bytes of one that was not. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readTrainingSet } from '../../core/features/read-table.ts';
import type { FittedModel } from '../../core/spec/artifacts.ts';
import { RefitError } from '../../core/spec/errors.ts';
import { createCheckpoints } from '../../core/store/checkpoints.ts';
import { createFitModel } from '../../core/training/fit-model.ts';
import { createGbdtTrainer } from '../../core/training/gbdt-trainer.ts';
import type { TrainingTable } from '../../core/training/matrix.ts';
import type { TrainerResult } from '../../core/training/trainer.ts';
import { createTrainingFixture, LIBRARY, MODEL, type TrainingFixture } from './training.fixture.ts';
import { trainingProcesses, until } from './training.processes.ts';

const ROWS = 20_000;
let fixture: TrainingFixture;
let table: TrainingTable;
beforeAll(async () => {
  fixture = await createTrainingFixture(ROWS);
  table = await readTrainingSet(fixture.data, fixture.trainingSet);
});
afterAll(() => fixture.remove());

const digest = ({ native, predictions }: TrainerResult): string =>
  createHash('sha256').update(JSON.stringify(native)).update(predictions).digest('hex');

interface Options {
  threads: number;
  patience?: number;
  resume?: Uint8Array;
  chunk?: number;
  params?: typeof MODEL.params;
}

/** Trains in this process; keeps every checkpoint. */
async function trainHere(options: Options) {
  const checkpoints: Uint8Array[] = [];
  const { threads, patience = 0, resume, chunk = MODEL.chunk, params = MODEL.params } = options;
  const model = { ...MODEL, earlyStopping: patience, chunk, params, rounds: patience ? 300 : MODEL.rounds };
  const input = { table, model, rowShare: 1, threads };
  const result = await createGbdtTrainer(LIBRARY).fit(input, {
    resume,
    progress: () => Promise.resolve(),
    checkpoint: async (_, body) => void checkpoints.push(body),
  });
  return { result, checkpoints, digest: digest(result) };
}

describe.each([1, 2])('with %i threads', (threads) => {
  test('resumed from any checkpoint, the model and its predictions are the same', async () => {
    const whole = await trainHere({ threads });
    expect(whole.checkpoints).toHaveLength(4);
    for (const resume of whole.checkpoints) {
      expect((await trainHere({ threads, resume })).digest).toBe(whole.digest);
    }
  });

  test('early stopping stops at the same round after a resume', async () => {
    const whole = await trainHere({ threads, patience: 10 });
    expect(whole.result.roundsTrained).toBeLessThan(300);
    expect(whole.result.rounds).toBe(whole.result.roundsTrained - 10);
    const resumed = await trainHere({ threads, patience: 10, resume: whole.checkpoints.at(-1) as Uint8Array });
    expect(resumed.digest).toBe(whole.digest);
    expect(resumed.result.roundsTrained).toBe(whole.result.roundsTrained);
  });
});

test('one and two threads give the same bytes, another seed or chunk gives others', async () => {
  const one = await trainHere({ threads: 1 });
  expect((await trainHere({ threads: 2 })).digest).toBe(one.digest);
  expect((await trainHere({ threads: 2, resume: one.checkpoints[1] as Uint8Array })).digest).toBe(one.digest);
  expect((await trainHere({ threads: 1, chunk: 7 })).digest).not.toBe(one.digest);
});

test('without sampling, training in chunks is training in one go', async () => {
  const params = { num_leaves: 15, learning_rate: 0.1 };
  const inChunks = await trainHere({ threads: 1, params });
  const inOneGo = await trainHere({ threads: 1, params, chunk: 1000 });
  expect(inOneGo.checkpoints).toEqual([]);
  const differences = inChunks.result.predictions.map((p, row) => Math.abs(p - (inOneGo.result.predictions[row] ?? 9)));
  expect(Math.max(...differences)).toBeLessThan(1e-9);
});

describe('the training process, killed', () => {
  // Long enough that the kill comes in the middle.
  const model = { ...MODEL, rounds: 300, chunk: 20, params: { ...MODEL.params, num_leaves: 31 } };
  const key = (suffix: string) => `resume-${suffix}`.padEnd(64, '0');
  const fitModel = (threads: number) => createFitModel({ library: LIBRARY, threads });
  let undisturbed: FittedModel;
  beforeAll(async () => {
    undisturbed = await fitModel(1).run(
      { trainingSet: fixture.trainingSet, model },
      await fixture.context(key('whole')),
    );
  });

  // After the checkpoint with this index is in the store, and this long after it.
  test.each([
    [1, 0, 0],
    [1, 5, 40],
    [2, 2, 15],
    [2, 8, 70],
  ])('threads %i, checkpoint %i, %i ms later: goes on and gives the same bytes', async (threads, index, laterMs) => {
    const step = key(`${threads}-${index}-${laterMs}`);
    const context = await fixture.context(step);
    const checkpoints = createCheckpoints(context.blobs.objects, 'fit-model', step);
    const running = fitModel(threads).run({ trainingSet: fixture.trainingSet, model }, context);
    const outcome = running.then(
      () => 'finished',
      (error: unknown) => error,
    );
    await until(async () => ((await checkpoints.latest())?.index ?? -1) >= index);
    await new Promise((resolve) => setTimeout(resolve, laterMs));
    for (const pid of await trainingProcesses()) process.kill(pid, 'SIGKILL');
    const error = await outcome;
    expect(error).toBeInstanceOf(RefitError);
    expect((error as RefitError).code).toBe('REFIT_TRAINER_CRASHED');
    expect((error as RefitError).retryable).toBe(true);

    const told: number[] = [];
    const again = await fixture.context(step, undefined, (details) => told.push(Number(details.round)));
    const resumed = await fitModel(threads).run({ trainingSet: fixture.trainingSet, model }, again);
    expect(resumed).toEqual(undisturbed);
    // It did not begin anew: the first chunks were not trained again.
    expect(told.filter((round) => round > 0 && round <= (index + 1) * model.chunk)).toEqual([]);
  });
});
