/**
 * Opens an ONNX model in ONNX Runtime and predicts tables in batches. `session.run` blocks the event loop in spite of its
 * promise, so the loop gets a turn between batches; what must not block at all belongs in a worker thread.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { InferenceSession, Tensor, TensorConstructor } from 'onnxruntime-node';
import type { FeatureInfo } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import { OUTPUT_NAME } from './graph-builder.ts';

/** Feature values by name, each of length `rows`. Missing: NaN and infinities among numbers, null and '' among categories. */
export interface ModelInput {
  rows: number;
  numbers: Record<string, Float32Array>;
  categories: Record<string, (string | null)[]>;
}

export interface PredictOptions {
  /** Rows a call of the runtime; the event loop gets a turn in between. */
  batch?: number;
  /** Obeyed between batches. */
  signal?: AbortSignal;
}

/** A tensor of a model's signature; a named dimension (`rows`) may have any size. */
export interface TensorSignature {
  name: string;
  /** As ONNX Runtime names it: 'float32', 'string', … */
  dtype: string;
  shape: (number | string)[];
}

export interface OnnxModel {
  /**
   * Probabilities [rows], in row order.
   * @throws RefitError REFIT_INTERNAL when a feature is not in the table or has another length; the signal's reason
   */
  predict(table: ModelInput, options?: PredictOptions): Promise<Float32Array>;
  signature(): { inputs: TensorSignature[]; outputs: TensorSignature[] };
  close(): Promise<void>;
}

/** Loaded when first needed: it takes 10 MB of every process that merely might. */
const runtime = () => import('onnxruntime-node');

export interface OpenOptions {
  /** Threads within one operator; 1 keeps the machine free for others. */
  intraOpNumThreads?: number;
}

/** Rows per second hardly depend on it from 1,024 to 85,000; this many block the loop for about 0.1 s with 300 trees. */
const DEFAULT_BATCH = 4096;

/**
 * Opens a model file (path or bytes) whose inputs are exactly `features`.
 * @throws RefitError REFIT_MODEL_UNSUPPORTED when the runtime refuses the file or its signature is another
 */
export async function openOnnxModel(
  source: string | Uint8Array,
  features: readonly FeatureInfo[],
  options: OpenOptions = {},
): Promise<OnnxModel> {
  const session = await createSession(source, options);
  const signature = {
    inputs: session.inputMetadata.map(signatureOf),
    outputs: session.outputMetadata.map(signatureOf),
  };
  try {
    checkSignature(signature, features);
  } catch (error) {
    await session.release();
    throw error;
  }
  return {
    predict: (table, predictOptions = {}) => predict(session, features, table, predictOptions),
    signature: () => structuredClone(signature),
    close: () => session.release(),
  };
}

/** A session on the CPU. @throws RefitError REFIT_MODEL_UNSUPPORTED when the runtime refuses the file */
export async function createSession(source: string | Uint8Array, { intraOpNumThreads = 1 }: OpenOptions = {}) {
  const options = {
    intraOpNumThreads,
    interOpNumThreads: 1,
    executionProviders: ['cpu'],
    logSeverityLevel: 3,
    // Threads that wait for work by spinning double the CPU time, and the wall time where others work too.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  } as const;
  try {
    const { InferenceSession } = await runtime();
    return typeof source === 'string'
      ? await InferenceSession.create(source, options)
      : await InferenceSession.create(source, options);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RefitError(
      'REFIT_MODEL_UNSUPPORTED',
      `ONNX Runtime cannot open the model: ${reason}`,
      {},
      { cause: error },
    );
  }
}

function signatureOf(value: InferenceSession.ValueMetadata): TensorSignature {
  return value.isTensor
    ? { name: value.name, dtype: value.type, shape: [...value.shape] }
    : { name: value.name, dtype: 'unknown', shape: [] };
}

function checkSignature(
  { inputs, outputs }: { inputs: TensorSignature[]; outputs: TensorSignature[] },
  features: readonly FeatureInfo[],
): void {
  const dtypes = new Map(inputs.map(({ name, dtype }) => [name, dtype]));
  for (const { name, kind } of features) {
    const dtype = kind === 'number' ? 'float32' : 'string';
    if (dtypes.get(name) !== dtype) {
      const found = dtypes.has(name) ? `takes ${dtypes.get(name)}` : 'has no such input';
      throw new RefitError('REFIT_MODEL_UNSUPPORTED', `Feature "${name}" is ${dtype}, but the ONNX model ${found}.`);
    }
    dtypes.delete(name);
  }
  const [unknown] = dtypes.keys();
  if (unknown !== undefined) {
    throw new RefitError('REFIT_MODEL_UNSUPPORTED', `The ONNX model wants an input "${unknown}" that is no feature.`);
  }
  if (!outputs.some(({ name, dtype }) => name === OUTPUT_NAME && dtype === 'float32')) {
    throw new RefitError('REFIT_MODEL_UNSUPPORTED', `The ONNX model has no float32 output "${OUTPUT_NAME}".`);
  }
}

async function predict(
  session: InferenceSession,
  features: readonly FeatureInfo[],
  table: ModelInput,
  { batch = DEFAULT_BATCH, signal }: PredictOptions,
): Promise<Float32Array> {
  if (!Number.isInteger(batch) || batch < 1) {
    throw new RefitError('REFIT_INTERNAL', `A batch of ${batch} rows was asked for; it must be a whole number from 1.`);
  }
  checkTable(features, table);
  const { Tensor } = await runtime();
  const probabilities = new Float32Array(table.rows);
  for (let from = 0; from < table.rows; from += batch) {
    if (from > 0) await turn();
    signal?.throwIfAborted();
    const to = Math.min(from + batch, table.rows);
    const output = await session.run(feedsOf(Tensor, features, table, from, to), [OUTPUT_NAME]);
    probabilities.set(output[OUTPUT_NAME]?.data as Float32Array, from);
  }
  return probabilities;
}

function checkTable(features: readonly FeatureInfo[], table: ModelInput): void {
  for (const { name, kind } of features) {
    const values = kind === 'number' ? table.numbers[name] : table.categories[name];
    if (!values) throw new RefitError('REFIT_INTERNAL', `The table has no ${kind} column for feature "${name}".`);
    if (values.length !== table.rows) {
      throw new RefitError('REFIT_INTERNAL', `Feature "${name}" has ${values.length} values for ${table.rows} rows.`);
    }
  }
}

/** Tensors [to - from, 1]; numbers are views of the table, not copies. */
function feedsOf(
  Tensor: TensorConstructor,
  features: readonly FeatureInfo[],
  table: ModelInput,
  from: number,
  to: number,
): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  for (const { name, kind } of features) {
    feeds[name] =
      kind === 'number'
        ? new Tensor('float32', (table.numbers[name] as Float32Array).subarray(from, to), [to - from, 1])
        : new Tensor('string', texts(table.categories[name] as (string | null)[], from, to), [to - from, 1]);
  }
  return feeds;
}

function texts(values: (string | null)[], from: number, to: number): string[] {
  const slice = new Array<string>(to - from);
  for (let row = from; row < to; row++) slice[row - from] = values[row] ?? '';
  return slice;
}
