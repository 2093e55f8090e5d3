/** A store in a temporary folder with a training set in it: numbers (one with gaps), categories, and a label they explain. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withDuckDb } from '../../core/dataset/duckdb.ts';
import type { FeatureInfo, TrainingSet } from '../../core/spec/artifacts.ts';
import { createBlobStore } from '../../core/store/blobs.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';
import type { StepContext } from '../../core/store/step.ts';
import type { ModelSlice } from '../../core/training/trainer.ts';

/** `node infra/setup.mjs` puts it there. */
export const LIBRARY = fileURLToPath(new URL('../../.refit/lib/lib_lightgbm.so', import.meta.url));

export const MODEL: ModelSlice = {
  trainer: 'gbdt',
  objective: 'binary',
  rounds: 23,
  chunk: 5,
  earlyStopping: 0,
  seed: 11,
  // With sampling of rows and columns: the state that plain continuation loses.
  params: { num_leaves: 15, learning_rate: 0.1, bagging_fraction: 0.7, bagging_freq: 1, feature_fraction: 0.6 },
};

const FEATURES: FeatureInfo[] = [
  ...['gaps', 'smooth', 'hour', 'noise'].map((name) => ({ name, kind: 'number' as const, view: 'v' })),
  ...['carrier', 'plane'].map((name) => ({ name, kind: 'category' as const, view: 'v' })),
];

/** Pseudo-random, the same in every DuckDB: in [0, 1) by row and stream. */
const draw = (stream: number): string => `(abs(sin(i * 12.9898 + ${stream} * 78.233)) * 43758.5453) % 1`;

function rowsSql(rows: number): string {
  return `
    WITH drawn AS (
      SELECT i, CASE WHEN ${draw(1)} < 0.1 THEN NULL ELSE ${draw(2)} * 10 END AS gaps, ${draw(3)} AS smooth,
        floor(${draw(4)} * 24) AS hour, ${draw(5)} AS noise,
        ['AA', 'B6', 'DL', 'UA', 'WN', NULL][1 + floor(${draw(6)} * 6)::INTEGER] AS carrier,
        'N' || floor(${draw(7)} * 400)::INTEGER AS plane, ${draw(8)} AS luck
      FROM range(${rows}) AS t(i)),
    scored AS (
      SELECT *, -1.2 + coalesce(gaps, 9) * 0.2 - 3 * smooth * smooth + CASE WHEN hour > 16 THEN 1.1 ELSE 0 END
        + CASE carrier WHEN 'AA' THEN 0.8 WHEN 'DL' THEN -0.9 ELSE 0 END AS z
      FROM drawn)
    SELECT TIMESTAMP '2013-01-01' + INTERVAL (i) MINUTE AS predict_at, i AS id,
      CASE WHEN i < ${rows * 0.7} THEN 'train' WHEN i < ${rows * 0.85} THEN 'validate' ELSE 'test' END AS __split,
      luck < 1 / (1 + exp(-z)) AS __label, gaps::FLOAT AS gaps, smooth::FLOAT AS smooth, hour::FLOAT AS hour,
      noise::FLOAT AS noise, carrier, plane
    FROM scored ORDER BY i`;
}

export interface TrainingFixture {
  folder: string;
  trainingSet: TrainingSet;
  /** Local path of the Parquet. */
  data: string;
  /** A fresh scratch folder and a step context for one attempt. */
  context(key: string, signal?: AbortSignal, progress?: StepContext['progress']): Promise<StepContext>;
  remove(): Promise<void>;
}

export async function createTrainingFixture(rows: number): Promise<TrainingFixture> {
  const folder = await mkdtemp(join(tmpdir(), 'refit-training-'));
  const blobs = createBlobStore(createFolderStore(join(folder, 'store')));
  const parquet = join(folder, 'rows.parquet');
  await withDuckDb({ scratch: folder }, (db) => db.run(`COPY (${rowsSql(rows)}) TO '${parquet}' (FORMAT parquet)`));
  const data = await blobs.putFile(parquet);
  const period = (from: string, to: string) => ({ from: `2013-${from}T00:00:00Z`, to: `2013-${to}T00:00:00Z` });
  const trainingSet: TrainingSet = {
    data,
    digest: data.sha256,
    rows: { train: rows * 0.7, validate: rows * 0.15, test: rows * 0.15 },
    positives: { train: 1, validate: 1, test: 1 },
    excluded: { unlabelled: 0, labelLate: 0 },
    periods: { train: period('01-01', '02-01'), validate: period('02-01', '02-15'), test: period('02-15', '03-01') },
    features: FEATURES,
    slices: [],
  };
  return {
    folder,
    trainingSet,
    data: await blobs.path(data),
    async context(key, signal = new AbortController().signal, progress = () => undefined) {
      const scratch = await mkdtemp(join(folder, 'scratch-'));
      await mkdir(scratch, { recursive: true });
      return { blobs, scratch, signal, progress, key };
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
