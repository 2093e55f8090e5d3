/**
 * What is needed of LightGBM's C API (4.7, include/LightGBM/c_api.h), through koffi. Calls are synchronous and block the
 * process: only the training child process uses this file. It does not download or look for the library.
 */
import koffi from 'koffi';
import { RefitError } from '../spec/errors.ts';

/** Row-major float32 matrix, NaN = missing: row i is `values[i * columns, (i + 1) * columns)`. */
export interface Matrix {
  values: Float32Array;
  rows: number;
  columns: number;
}

/** `dataset` and `booster` stand for native memory: call `free` once. */
export interface Dataset {
  readonly handle: unknown;
  /** Field by LightGBM's name. Length: rows. */
  setLabel(values: Float32Array): void;
  /** Raw score every row starts from, added to what the trees say. */
  setInitScore(values: Float64Array): void;
  free(): void;
}

export interface Booster {
  readonly handle: unknown;
  addValidation(dataset: Dataset): void;
  /** Puts the trees of `other` before this one's. */
  prepend(other: Booster): void;
  /** Trains one round. @returns true when no tree could be split any more. */
  update(): boolean;
  /** Trees that the booster holds, prepended ones included. */
  trees(): number;
  /** Current probabilities of the first validation set, by its rows. */
  validationProbabilities(out: Float64Array): void;
  /** Raw scores that training has come to, by rows: initial scores and trees, without the sigmoid. Training is over then. */
  finalScores(train: Float64Array, validate: Float64Array): void;
  /** Probabilities by all trees, into `out` (length: rows). */
  predict(matrix: Matrix, threads: number, out: Float64Array): void;
  /** Model text of the first `count` trees (all when absent). */
  text(count?: number): string;
  /** Total gain by column. */
  gain(columns: number): Float64Array;
  free(): void;
}

export interface LightGbm {
  /** Every parameter LightGBM knows → its aliases. */
  parameters(): Map<string, string[]>;
  createDataset(matrix: Matrix, names: readonly string[], parameters: string, reference?: Dataset): Dataset;
  createBooster(train: Dataset, parameters: string): Booster;
  loadBooster(text: string): Booster;
}

const FLOAT32 = 0;
const NORMAL = 0;
const GAIN = 1;

const PROTOTYPES = {
  LGBM_GetLastError: 'const char *LGBM_GetLastError()',
  LGBM_DumpParamAliases: 'int LGBM_DumpParamAliases(int64_t size, _Out_ int64_t *need, void *out)',
  LGBM_DatasetCreateFromMat:
    'int LGBM_DatasetCreateFromMat(const void *data, int type, int32_t rows, int32_t columns, int rowMajor, const char *parameters, void *reference, _Out_ void **out)',
  LGBM_DatasetSetFeatureNames: 'int LGBM_DatasetSetFeatureNames(void *dataset, const char **names, int count)',
  LGBM_DatasetSetField:
    'int LGBM_DatasetSetField(void *dataset, const char *field, const void *data, int count, int type)',
  LGBM_DatasetFree: 'int LGBM_DatasetFree(void *dataset)',
  LGBM_BoosterCreate: 'int LGBM_BoosterCreate(void *train, const char *parameters, _Out_ void **out)',
  LGBM_BoosterLoadModelFromString:
    'int LGBM_BoosterLoadModelFromString(const char *text, _Out_ int *rounds, _Out_ void **out)',
  LGBM_BoosterAddValidData: 'int LGBM_BoosterAddValidData(void *booster, void *dataset)',
  LGBM_BoosterMerge: 'int LGBM_BoosterMerge(void *booster, void *other)',
  LGBM_BoosterUpdateOneIter: 'int LGBM_BoosterUpdateOneIter(void *booster, _Out_ int *finished)',
  LGBM_BoosterNumberOfTotalModel: 'int LGBM_BoosterNumberOfTotalModel(void *booster, _Out_ int *trees)',
  LGBM_BoosterResetParameter: 'int LGBM_BoosterResetParameter(void *booster, const char *parameters)',
  LGBM_BoosterGetPredict: 'int LGBM_BoosterGetPredict(void *booster, int dataset, _Out_ int64_t *length, void *out)',
  LGBM_BoosterPredictForMat:
    'int LGBM_BoosterPredictForMat(void *booster, const void *data, int type, int32_t rows, int32_t columns, int rowMajor, int kind, int from, int count, const char *parameters, _Out_ int64_t *length, void *out)',
  LGBM_BoosterSaveModelToString:
    'int LGBM_BoosterSaveModelToString(void *booster, int from, int count, int importance, int64_t size, _Out_ int64_t *need, void *out)',
  LGBM_BoosterFeatureImportance: 'int LGBM_BoosterFeatureImportance(void *booster, int count, int kind, void *out)',
  LGBM_BoosterFree: 'int LGBM_BoosterFree(void *booster)',
} as const;

type Api = (name: keyof typeof PROTOTYPES, ...args: unknown[]) => void;

/** Opens the shared library. @throws RefitError REFIT_SETUP_MISSING when it cannot be loaded */
export function loadLightGbm(path: string): LightGbm {
  const api = open(path);
  return {
    parameters: () => JSON.parse(grown(api, 'LGBM_DumpParamAliases', [], 1 << 16), asMap) as Map<string, string[]>,
    createDataset: (matrix, names, parameters, reference) => createDataset(api, matrix, names, parameters, reference),
    createBooster(train, parameters) {
      const out: unknown[] = [null];
      api('LGBM_BoosterCreate', train.handle, parameters, out);
      return booster(api, out[0]);
    },
    loadBooster(text) {
      const out: unknown[] = [null];
      api('LGBM_BoosterLoadModelFromString', text, [0], out);
      return booster(api, out[0]);
    },
  };
}

function open(path: string): Api {
  try {
    const library = koffi.load(path);
    const functions = new Map(Object.entries(PROTOTYPES).map(([name, prototype]) => [name, library.func(prototype)]));
    const lastError = functions.get('LGBM_GetLastError');
    return (name, ...args) => {
      if (functions.get(name)?.(...args) === 0) return;
      const words = String(lastError?.() ?? 'no message');
      throw new RefitError('REFIT_TRAINING_FAILED', `LightGBM: ${words}`, { call: name });
    };
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    throw new RefitError(
      'REFIT_SETUP_MISSING',
      `The LightGBM library cannot be loaded: ${words}`,
      { path },
      { cause: error },
    );
  }
}

function createDataset(
  api: Api,
  matrix: Matrix,
  names: readonly string[],
  parameters: string,
  reference?: Dataset,
): Dataset {
  const { values, rows, columns } = matrix;
  const out: unknown[] = [null];
  api('LGBM_DatasetCreateFromMat', values, FLOAT32, rows, columns, 1, parameters, reference?.handle ?? null, out);
  const handle = out[0];
  const setField = (field: string, data: Float32Array | Float64Array, type: number) =>
    api('LGBM_DatasetSetField', handle, field, data, data.length, type);
  if (!reference) api('LGBM_DatasetSetFeatureNames', handle, [...names], names.length);
  return {
    handle,
    setLabel: (values) => setField('label', values, FLOAT32),
    setInitScore: (values) => setField('init_score', values, 1),
    free: () => api('LGBM_DatasetFree', handle),
  };
}

function booster(api: Api, handle: unknown): Booster {
  return {
    handle,
    addValidation: (dataset) => api('LGBM_BoosterAddValidData', handle, dataset.handle),
    prepend: (other) => api('LGBM_BoosterMerge', handle, other.handle),
    update() {
      const finished = [0];
      api('LGBM_BoosterUpdateOneIter', handle, finished);
      return finished[0] !== 0;
    },
    trees() {
      const trees = [0];
      api('LGBM_BoosterNumberOfTotalModel', handle, trees);
      return trees[0] ?? 0;
    },
    validationProbabilities: (out) => api('LGBM_BoosterGetPredict', handle, 1, [0], out),
    finalScores(train, validate) {
      // It is the objective that turns scores into probabilities: without one they come out as they are.
      api('LGBM_BoosterResetParameter', handle, 'objective=none');
      api('LGBM_BoosterGetPredict', handle, 0, [0], train);
      api('LGBM_BoosterGetPredict', handle, 1, [0], validate);
    },
    predict({ values, rows, columns }, threads, out) {
      const parameters = `num_threads=${threads} verbosity=-1`;
      const all = [0, -1] as const;
      api('LGBM_BoosterPredictForMat', handle, values, FLOAT32, rows, columns, 1, NORMAL, ...all, parameters, [0], out);
    },
    text: (count = -1) => grown(api, 'LGBM_BoosterSaveModelToString', [handle, 0, count, GAIN], 1 << 20),
    gain(columns) {
      const out = new Float64Array(columns);
      api('LGBM_BoosterFeatureImportance', handle, 0, GAIN, out);
      return out;
    },
    free: () => api('LGBM_BoosterFree', handle),
  };
}

/** Calls a function that fills a text buffer and says how long the text is (with its closing NUL); again if it was longer. */
function grown(api: Api, name: keyof typeof PROTOTYPES, args: unknown[], size: number): string {
  const buffer = Buffer.alloc(size);
  const need = [0];
  api(name, ...args, size, need, buffer);
  const length = Number(need[0]);
  return length > size ? grown(api, name, args, length) : buffer.toString('utf8', 0, length - 1);
}

function asMap(key: string, value: unknown): unknown {
  return key === '' ? new Map(Object.entries(value as object)) : value;
}
