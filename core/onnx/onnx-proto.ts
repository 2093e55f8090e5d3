/**
 * Writes and reads ONNX model files (protobuf). Knows the file format only: what the operators mean is for the exporters.
 */
import protobuf from 'protobufjs';
import { ONNX_PROTO } from './onnx-schema.ts';

/** `TensorProto.DataType` numbers. */
export const DataType = { float32: 1, uint8: 2, int64: 7, string: 8, bool: 9, float64: 11 } as const;
/** `AttributeProto.AttributeType` numbers. */
const AttributeType = { float: 1, int: 2, string: 3, tensor: 4, floats: 6, ints: 7, strings: 8 } as const;

/** A constant: `dims` [] is a scalar; values in row-major order. */
export interface TensorProto {
  name?: string;
  dims: number[];
  data_type: number;
  raw_data: Uint8Array;
}

export interface AttributeProto {
  name: string;
  type: number;
  f?: number;
  i?: number;
  s?: Uint8Array;
  t?: TensorProto;
  floats?: number[];
  ints?: number[];
  strings?: Uint8Array[];
}

export interface NodeProto {
  input: string[];
  output: string[];
  name: string;
  op_type: string;
  domain?: string;
  attribute: AttributeProto[];
}

export interface ValueInfoProto {
  name: string;
  doc_string?: string;
  type: { tensor_type: { elem_type: number; shape: { dim: ({ dim_value: number } | { dim_param: string })[] } } };
}

export interface ModelProto {
  ir_version: number;
  opset_import: { domain: string; version: number }[];
  producer_name: string;
  producer_version: string;
  doc_string: string;
  graph: {
    name: string;
    doc_string: string;
    node: NodeProto[];
    initializer: TensorProto[];
    input: ValueInfoProto[];
    output: ValueInfoProto[];
  };
  metadata_props: { key: string; value: string }[];
}

let modelType: protobuf.Type | undefined;

/** The message type, parsed on first use: most processes never write a model. */
function modelProtoType(): protobuf.Type {
  modelType ??= protobuf.parse(ONNX_PROTO, { keepCase: true }).root.lookupType('onnx.ModelProto');
  return modelType;
}

/** Bytes of an ONNX file; equal models give equal bytes (fields are written in the order of the definitions). */
export function encodeModel(model: ModelProto): Uint8Array {
  const type = modelProtoType();
  return type.encode(type.fromObject(model)).finish();
}

/** Reads an ONNX file's bytes; fields that Refit does not write are dropped. @throws Error when it is no protobuf. */
export function decodeModel(bytes: Uint8Array): ModelProto {
  const type = modelProtoType();
  return type.toObject(type.decode(bytes), { longs: Number, arrays: true }) as ModelProto;
}

type TypedArray = Float32Array | Float64Array | BigInt64Array | Uint8Array;

/** A constant from a typed array whose kind gives the element type. ONNX is little-endian, as every platform here. */
export function tensor(data: TypedArray, dims: number[] = [data.length], name?: string): TensorProto {
  const dataType =
    data instanceof Float32Array
      ? DataType.float32
      : data instanceof Float64Array
        ? DataType.float64
        : data instanceof BigInt64Array
          ? DataType.int64
          : DataType.uint8;
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { ...(name === undefined ? {} : { name }), dims, data_type: dataType, raw_data: raw };
}

const utf8 = new TextEncoder();

/** Attributes by the kind that the operator's definition names; a number's kind cannot be told from its value. */
export const attribute = {
  int: (name: string, i: number): AttributeProto => ({ name, type: AttributeType.int, i }),
  float: (name: string, f: number): AttributeProto => ({ name, type: AttributeType.float, f }),
  tensor: (name: string, t: TensorProto): AttributeProto => ({ name, type: AttributeType.tensor, t }),
  ints: (name: string, ints: number[]): AttributeProto => ({ name, type: AttributeType.ints, ints }),
  floats: (name: string, floats: number[]): AttributeProto => ({ name, type: AttributeType.floats, floats }),
  string: (name: string, s: string): AttributeProto => ({ name, type: AttributeType.string, s: utf8.encode(s) }),
  strings: (name: string, strings: string[]): AttributeProto => ({
    name,
    type: AttributeType.strings,
    strings: strings.map((text) => utf8.encode(text)),
  }),
};
