/**
 * Messages of the Open Inference Protocol V2 with the binary tensor extension: a JSON header, and behind it the bytes of the
 * tensors that are not in it, one after another. See KServe's "Open Inference Protocol" and Triton's "Binary Tensor Data
 * Extension". Compressed bodies and shared memory are not taken.
 */
import { Ajv } from 'ajv';
import type { Static } from 'typebox';
import Type from 'typebox';
import { shown, violationSentence } from '../http-errors.ts';
import { DATATYPES, invalid, writeFloats } from './tensors.ts';

const Parameters = Type.Record(Type.String(), Type.Unknown());
const Shape = Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1 });

export const InferRequest = Type.Object({
  id: Type.Optional(Type.String()),
  parameters: Type.Optional(Parameters),
  inputs: Type.Array(
    Type.Object({
      name: Type.String(),
      shape: Shape,
      datatype: Type.Enum(DATATYPES),
      parameters: Type.Optional(Parameters),
      data: Type.Optional(Type.Array(Type.Unknown())),
    }),
    { minItems: 1 },
  ),
  outputs: Type.Optional(Type.Array(Type.Object({ name: Type.String(), parameters: Type.Optional(Parameters) }))),
});
export type InferRequest = Static<typeof InferRequest>;
export type InferInput = InferRequest['inputs'][number];

export const InferResponse = Type.Object({
  model_name: Type.String(),
  model_version: Type.String(),
  id: Type.Optional(Type.String()),
  outputs: Type.Array(
    Type.Object({
      name: Type.String(),
      shape: Shape,
      datatype: Type.String(),
      parameters: Type.Optional(Parameters),
      data: Type.Optional(Type.Array(Type.Unknown())),
    }),
  ),
});
export type InferResponse = Static<typeof InferResponse>;

/** An input with its bytes, where it came as bytes. */
export interface ReceivedInput extends InferInput {
  binary?: Uint8Array;
}

const check = new Ajv({ strictTypes: false }).compile<InferRequest>(InferRequest);

/** `headerLength`: bytes of JSON at the start; undefined: all of it. @throws RefitError REFIT_REQUEST_INVALID */
export function readInferRequest(
  body: Uint8Array,
  headerLength: number | undefined,
): InferRequest & { inputs: ReceivedInput[] } {
  const length = headerLength ?? body.byteLength;
  if (!Number.isInteger(length) || length < 0 || length > body.byteLength) {
    throw invalid(`Inference-Header-Content-Length must be a number of bytes within the body's ${body.byteLength}.`);
  }
  const header = parse(body.subarray(0, length));
  if (!check(header)) {
    const [error] = check.errors ?? [];
    throw invalid(error ? violationSentence('the request', error) : 'The request is not valid.');
  }
  let rest = body.subarray(length);
  const inputs = header.inputs.map((input): ReceivedInput => {
    refuseSharedMemory(input);
    const size = input.parameters?.binary_data_size;
    if (size === undefined) return input;
    if (typeof size !== 'number' || !Number.isInteger(size) || size < 0) {
      throw invalid(`Input "${input.name}": binary_data_size must be a whole number of bytes.`);
    }
    if (input.data) throw invalid(`Input "${input.name}" has both data and binary_data_size.`);
    if (size > rest.byteLength) {
      throw invalid(`Input "${input.name}" wants ${size} bytes behind the header, but ${rest.byteLength} are left.`);
    }
    const binary = rest.subarray(0, size);
    rest = rest.subarray(size);
    return { ...input, binary };
  });
  if (rest.byteLength > 0) throw invalid(`${rest.byteLength} bytes behind the header belong to no input.`);
  return { ...header, inputs };
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw invalid(`The request is no JSON: ${error instanceof Error ? error.message : String(error)}.`);
  }
}

function refuseSharedMemory({ name, parameters = {} }: { name: string; parameters?: Record<string, unknown> }): void {
  const foreign = ['shared_memory_region', 'classification'].find((parameter) => parameter in parameters);
  if (foreign) throw invalid(`"${name}" has the parameter ${foreign}, which this server does not know.`);
}

/** Which of the outputs are wanted, and which of them as bytes. @throws RefitError REFIT_REQUEST_INVALID for an unknown one */
export function wantedOutputs(request: InferRequest, known: readonly string[]): { name: string; binary: boolean }[] {
  const asBytes = request.parameters?.binary_data_output === true;
  const wanted = request.outputs?.length ? request.outputs : known.map((name) => ({ name }));
  return wanted.map((output: { name: string; parameters?: Record<string, unknown> }) => {
    refuseSharedMemory(output);
    if (!known.includes(output.name)) {
      throw invalid(`The model has no output "${shown(output.name)}" (there is: ${known.join(', ')}).`);
    }
    const { binary_data: binary = asBytes } = output.parameters ?? {};
    return { name: output.name, binary: binary === true };
  });
}

export interface WrittenResponse {
  body: Uint8Array;
  /** Bytes of JSON; undefined where it is all JSON. */
  headerLength?: number;
}

/** Outputs are float32 [rows, 1]. */
export function writeInferResponse(
  response: Omit<InferResponse, 'outputs'>,
  outputs: { name: string; binary: boolean; values: Float32Array }[],
): WrittenResponse {
  const chunks: Uint8Array[] = [];
  const described = outputs.map(({ name, binary, values }) => {
    const common = { name, shape: [values.length, 1], datatype: 'FP32' };
    if (!binary) return { ...common, data: Array.from(values) };
    const bytes = writeFloats(values);
    chunks.push(bytes);
    return { ...common, parameters: { binary_data_size: bytes.byteLength } };
  });
  const header = Buffer.from(JSON.stringify({ ...response, outputs: described }));
  if (!outputs.some(({ binary }) => binary)) return { body: header };
  return { body: Buffer.concat([header, ...chunks]), headerLength: header.byteLength };
}
