/** From a fitted model to its ONNX graph, preprocessing included, opened and tried before it is published. */
import type { BlobRef, FeatureInfo, FittedModel } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { FittedTransforms } from '../spec/transforms.ts';
import { defineStep } from '../store/step.ts';
import type { NativeModel } from '../training/native-model.ts';
import { exportGbdt } from './export-gbdt.ts';
import { exportLogistic } from './export-logistic.ts';
import { unsupported } from './graph-builder.ts';
import { neededStages } from './needed-stages.ts';
import { openOnnxModel } from './session.ts';

/**
 * Bytes of the model's ONNX file, equal for equal models. With fitted transforms its inputs are the raw features that the
 * model's columns are made of; without, they are the model's columns.
 * @throws RefitError REFIT_MODEL_UNSUPPORTED naming why not
 */
export function exportNativeModel(native: NativeModel, transforms?: FittedTransforms): Uint8Array {
  const preprocessing = transforms && neededStages(transforms, native.features);
  switch (native.format) {
    case 'lightgbm':
      return exportGbdt(native, preprocessing);
    case 'logistic':
      return exportLogistic(native, preprocessing);
    default:
      throw unsupported(`A model of format "${(native as { format: string }).format}" cannot be exported to ONNX.`);
  }
}

/**
 * Opens the file in ONNX Runtime and predicts one row in which everything is missing.
 * @throws RefitError REFIT_MODEL_UNSUPPORTED when the runtime refuses it or answers with no probability
 */
export async function checkOnnxModel(onnx: Uint8Array, features: readonly FeatureInfo[]): Promise<void> {
  const model = await openOnnxModel(onnx, features);
  try {
    const [probability] = await model.predict(allMissing(features));
    if (probability === undefined || !(probability >= 0 && probability <= 1)) {
      throw unsupported(`The exported ONNX model answers a row of missing values with ${probability}.`);
    }
  } catch (error) {
    if (error instanceof RefitError) throw error;
    throw new RefitError('REFIT_MODEL_UNSUPPORTED', 'The exported ONNX model cannot predict.', {}, { cause: error });
  } finally {
    await model.close();
  }
}

function allMissing(features: readonly FeatureInfo[]) {
  const of = <T>(kind: FeatureInfo['kind'], value: () => T): Record<string, T> =>
    Object.fromEntries(features.filter((feature) => feature.kind === kind).map(({ name }) => [name, value()]));
  return {
    rows: 1,
    numbers: of('number', () => Float32Array.of(Number.NaN)),
    categories: of('category', (): (string | null)[] => [null]),
  };
}

/** Step: the fitted model's ONNX file. @throws RefitError REFIT_MODEL_UNSUPPORTED */
export const exportOnnx = defineStep<{ model: FittedModel }, { onnx: BlobRef }>({
  name: 'export-onnx',
  version: 2,
  natives: ['onnxruntime'],
  source: import.meta.url,
  async run({ model }, { blobs, signal }) {
    const native = await blobs.json<NativeModel>(model.native);
    const transforms = model.transforms && (await blobs.json<FittedTransforms>(model.transforms));
    const onnx = exportNativeModel(native, transforms);
    signal.throwIfAborted();
    await checkOnnxModel(onnx, transforms ? model.features : native.features);
    return { onnx: await blobs.putBytes(onnx) };
  },
});
