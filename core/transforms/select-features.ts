/** Decides which columns a model is trained on, by the training and validation rows; the test period is not looked at. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { neededStages } from '../onnx/needed-stages.ts';
import type { Prepared, TrainingSet } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import { nearest } from '../spec/nearest.ts';
import type { ModelSpec } from '../spec/pipeline.ts';
import type { FittedTransforms, SelectionReport, SelectSpec } from '../spec/transforms.ts';
import { createCheckpoints } from '../store/checkpoints.ts';
import { defineStep, type Step, type StepContext } from '../store/step.ts';
import type { SelectionJob } from '../training/protocol.ts';
import type { SelectedColumns } from '../training/select-columns.ts';
import { type TrainingPlace, trainingFiles } from '../training/train-step.ts';
import { runTrainerProcess } from '../training/trainer-process.ts';

/** What judges columns is always LightGBM, with the model's own parameters where the model is one. */
export type JudgeSlice = Pick<ModelSpec, 'objective' | 'seed' | 'params'>;

/** Parameters that name columns by number cannot be kept while columns go. */
const BY_COLUMN =
  /^(monotone_constraints|mc|monotonic_cst|interaction_constraints|feature_contri|feature_contrib|fc|fp|feature_penalty|max_bin_by_feature)$/;

export function judgeSlice({ trainer, objective, seed, params }: ModelSpec): JudgeSlice {
  const own = Object.entries(trainer === 'gbdt' ? params : {}).filter(([name]) => !BY_COLUMN.test(name));
  return { objective, seed, params: Object.fromEntries(own) };
}

export interface SelectInput {
  trainingSet: TrainingSet;
  select: SelectSpec;
  model: JudgeSlice;
}

/** Rounds without a better validation loss that end a training. */
const PATIENCE = 20;

/**
 * Step: the columns that stay. Each training is kept as a checkpoint, so that an interrupted elimination goes on.
 * @throws RefitError REFIT_PIPELINE_INVALID for a column in `always` that does not exist; as `createFitModel`
 */
export function createSelectFeatures(place: TrainingPlace): Step<SelectInput, Prepared> {
  const name = 'select-features';
  return defineStep({
    name,
    version: 1,
    natives: ['lightgbm'],
    source: import.meta.url,
    async run(input, context) {
      const { select, trainingSet } = input;
      const columns = (trainingSet.prepared ?? trainingSet).features.map((feature) => feature.name);
      checkAlways(select, columns);
      return publish(trainingSet, await find(name, place, input, context), context);
    },
  });
}

function checkAlways({ always }: SelectSpec, columns: string[]): void {
  for (const name of always) {
    if (columns.includes(name)) continue;
    const message = `select.always: there is no column "${name}" after the transforms${nearest(name, columns)}.`;
    throw new RefitError('REFIT_PIPELINE_INVALID', message, { column: name });
  }
}

/** In a process of its own, from the newest checkpoint of this step key if there is one. */
async function find(
  step: string,
  place: TrainingPlace,
  { trainingSet, select, model }: SelectInput,
  { blobs, scratch, signal, key, progress }: StepContext,
): Promise<SelectedColumns> {
  const checkpoints = createCheckpoints(blobs.objects, step, key);
  const newest = await checkpoints.latest();
  const resume = join(scratch, 'resume');
  if (newest) await writeFile(resume, newest.body);
  const { rounds } = select;
  const judge = { ...model, trainer: 'gbdt' as const, rounds, chunk: rounds, earlyStopping: PATIENCE };
  const job: SelectionJob = {
    ...{ ...(await trainingFiles(blobs, trainingSet)), ...place, trainingSet, scratch, select, model: judge },
    ...(newest ? { resume } : {}),
  };
  let training = (newest?.index ?? -1) + 2;
  const { selection } = await runTrainerProcess(job, {
    signal,
    onProgress: ({ round }) => progress({ training, round, rounds }),
    async publish(index, body) {
      await checkpoints.publish(index, body);
      training = index + 2;
    },
  });
  return JSON.parse(await readFile(selection, 'utf8')) as SelectedColumns;
}

async function publish(
  { features: raw, prepared }: TrainingSet,
  found: SelectedColumns,
  { blobs }: StepContext,
): Promise<Prepared> {
  const all = prepared?.features ?? raw;
  const features = all.filter(({ name }) => found.kept.includes(name));
  const transforms = prepared?.transforms && (await blobs.json<FittedTransforms>(prepared.transforms));
  const inputs = transforms ? neededStages(transforms, features).inputs : features;
  const names = inputs.map(({ name }) => name);
  const unused = raw.map(({ name }) => name).filter((name) => !names.includes(name));
  const report: SelectionReport = { ...found, inputs: names, unused };
  return { ...prepared, features, inputs, selection: await blobs.putJson(report) };
}
