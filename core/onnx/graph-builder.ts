/**
 * Builds the graph that every exporter shares: one input per feature (numbers `float32 [rows, 1]`, NaN or infinite = missing;
 * categories `string [rows, 1]`, '' = missing), one output `probability` `float32 [rows, 1]`, and metadata in between.
 */
import type { FeatureInfo } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { AttributeProto, NodeProto, TensorProto, ValueInfoProto } from './onnx-proto.ts';
import { attribute, DataType, encodeModel, tensor } from './onnx-proto.ts';

/** Raise when the exporters write another graph for the same model. */
export const EXPORTER_VERSION = '2';
export const OUTPUT_NAME = 'probability';

/** ai.onnx.ml 5 brings TreeEnsemble; it came with ONNX 1.16, whose other numbers these are. */
const ONNX_ML = 'ai.onnx.ml';
const OPSETS = [
  { domain: '', version: 21 },
  { domain: ONNX_ML, version: 5 },
];
const IR_VERSION = 10;

/** An output [rows, width]; `type` is one of `DataType`. */
export interface GraphOutput {
  name: string;
  type: number;
  width: number;
  doc: string;
}

const PROBABILITY: GraphOutput = {
  name: OUTPUT_NAME,
  type: DataType.float32,
  width: 1,
  doc: 'Probability of the label being true, 0 to 1.',
};

/** An ONNX graph in the making; values are named by the strings that its methods return. */
export class GraphBuilder {
  private readonly nodes: NodeProto[] = [];
  private readonly constants: TensorProto[] = [];
  private readonly features: readonly FeatureInfo[];

  /** @throws RefitError REFIT_MODEL_UNSUPPORTED for no features, doubled names or one that is the output's */
  constructor(features: readonly FeatureInfo[]) {
    if (features.length === 0) throw unsupported('A model without features cannot be exported to ONNX.');
    const seen = new Set([OUTPUT_NAME, '']);
    for (const { name } of features) {
      if (seen.has(name))
        throw unsupported(`A feature cannot be named "${name}": the name is taken in the ONNX graph.`);
      seen.add(name);
    }
    this.features = features;
  }

  /** Adds a node with one output and returns that output's name. */
  node(op: string, input: string[], attributes: AttributeProto[] = [], domain = ''): string {
    // A slash cannot stand in a feature's name, so inner values never collide with the inputs.
    const name = `refit/${this.nodes.length}/${op}`;
    this.nodes.push({ input, output: [name], name, op_type: op, domain, attribute: attributes });
    return name;
  }

  /** As `node`, for an operator of ai.onnx.ml. */
  mlNode(op: string, input: string[], attributes: AttributeProto[]): string {
    return this.node(op, input, attributes, ONNX_ML);
  }

  /** Adds a constant and returns its name. */
  constant(data: Float32Array | Float64Array | BigInt64Array, dims: number[]): string {
    const name = `refit/constant/${this.constants.length}`;
    this.constants.push(tensor(data, dims, name));
    return name;
  }

  /**
   * [rows, 1] codes of a category: its place in `levels`, counted from `first`, else `otherwise`. `value`: where the category
   * stands in the graph, unless it is the input itself.
   * @throws RefitError REFIT_MODEL_UNSUPPORTED for a level that is doubled or ''
   */
  encode(
    feature: string,
    levels: readonly string[],
    kind: 'float32' | 'int64',
    { first, otherwise, value = feature }: { first: number; otherwise: number; value?: string },
  ): string {
    if (new Set(levels).size !== levels.length) {
      throw unsupported(`Feature "${feature}" has a category twice in its list.`, { feature });
    }
    if (levels.includes('')) {
      throw unsupported(`Feature "${feature}" has '' as a category; in the ONNX graph '' means missing.`, { feature });
    }
    // The operator wants at least one key; '' is never a level and gets the default anyway.
    const keys = ['', ...levels];
    const codes = [otherwise, ...levels.map((_, index) => index + first)];
    const values =
      kind === 'float32'
        ? [attribute.floats('values_floats', codes), attribute.float('default_float', otherwise)]
        : [attribute.ints('values_int64s', codes), attribute.int('default_int64', otherwise)];
    return this.mlNode('LabelEncoder', [value], [attribute.strings('keys_strings', keys), ...values]);
  }

  /** float32 columns side by side, [rows, columns], infinities made NaN: training never sees one (features/feature-columns.ts). */
  columns(values: string[]): string {
    const matrix = this.node('Concat', values, [attribute.int('axis', 1)]);
    const infinite = this.node('IsInf', [matrix]);
    return this.node('Where', [infinite, this.constant(Float32Array.of(Number.NaN), []), matrix]);
  }

  /** The columns of a value [rows, width] that a constant names, in its order. */
  gatherColumns(value: string, indexes: string): string {
    return this.node('Gather', [value, indexes], [attribute.int('axis', 1)]);
  }

  cast(value: string, to: number): string {
    return this.node('Cast', [value], [attribute.int('to', to)]);
  }

  /** float64 [rows, 1] → the output: 1 / (1 + exp(-slope × raw)), in float64 until the last step. */
  probability(raw: string, slope: number): void {
    const scaled = slope === 1 ? raw : this.node('Mul', [raw, this.constant(Float64Array.of(slope), [])]);
    const sigmoid = this.node('Sigmoid', [scaled]);
    const output = this.node('Cast', [sigmoid], [attribute.int('to', DataType.float32)]);
    const last = this.nodes.at(-1);
    if (last?.output[0] === output) last.output[0] = OUTPUT_NAME;
  }

  /**
   * The bytes of the model file: the same for the same graph, no dates. `outputs`: values of the graph, instead of the
   * probability.
   */
  finish(description: string, outputs: readonly GraphOutput[] = [PROBABILITY]): Uint8Array {
    return encodeModel({
      ir_version: IR_VERSION,
      opset_import: OPSETS,
      producer_name: 'refit',
      producer_version: EXPORTER_VERSION,
      doc_string: description,
      graph: {
        name: 'refit',
        doc_string: description,
        node: this.nodes,
        initializer: this.constants,
        input: this.features.map(inputOf),
        output: outputs.map(({ name, type, width, doc }) => valueInfo(name, type, doc, width)),
      },
      metadata_props: [
        { key: 'refit.exporter', value: EXPORTER_VERSION },
        {
          key: 'refit.features',
          value: JSON.stringify(this.features.map(({ name, kind, view }) => ({ name, kind, view }))),
        },
      ],
    });
  }
}

function inputOf(feature: FeatureInfo): ValueInfoProto {
  return feature.kind === 'number'
    ? valueInfo(feature.name, DataType.float32, `Number from view ${feature.view}; NaN or infinite = missing.`)
    : valueInfo(feature.name, DataType.string, `Category from view ${feature.view}; '' = missing.`);
}

function valueInfo(name: string, elemType: number, doc: string, width = 1): ValueInfoProto {
  const shape = { dim: [{ dim_param: 'rows' }, { dim_value: width }] };
  return { name, type: { tensor_type: { elem_type: elemType, shape } }, doc_string: doc };
}

/** A model that the exporter cannot express; the message names why. */
export function unsupported(message: string, details: Record<string, unknown> = {}): RefitError {
  return new RefitError('REFIT_MODEL_UNSUPPORTED', message, details);
}
