/** Runs a graph that is no model: any outputs, for as long as a callback wants it. */
import { createSession } from './session.ts';

/** Inputs [rows, 1] by name; answers the outputs, row-major, by name. */
export type RunGraph = (
  inputs: Record<string, Float32Array | string[]>,
  rows: number,
) => Promise<Record<string, ArrayLike<number | string>>>;

/** @throws RefitError REFIT_MODEL_UNSUPPORTED when the runtime refuses the graph */
export async function runGraph(onnx: Uint8Array, use: (run: RunGraph) => Promise<void>): Promise<void> {
  const { Tensor } = await import('onnxruntime-node');
  const session = await createSession(onnx);
  try {
    await use(async (inputs, rows) => {
      const feeds = Object.entries(inputs).map(([name, values]) => {
        const shape = [rows, 1];
        const tensor =
          values instanceof Float32Array ? new Tensor('float32', values, shape) : new Tensor('string', values, shape);
        return [name, tensor] as const;
      });
      const found = await session.run(Object.fromEntries(feeds));
      return Object.fromEntries(
        Object.entries(found).map(([name, { data }]) => [name, data as ArrayLike<number | string>]),
      );
    });
  } finally {
    await session.release();
  }
}
