/** A model's signature in the words of the protocol, and a request's tensors as the model's features. */
import type { FeatureInfo } from '../../core/spec/artifacts.ts';
import { nearest } from '../../core/spec/nearest.ts';
import { asFeature, columnsOf, type FeatureTable } from '../feature-table.ts';
import { shown } from '../http-errors.ts';
import type { ReceivedInput } from './message.ts';
import { invalid, NUMBER_DATATYPES, readNumbers, readTexts } from './tensors.ts';

export const OUTPUT = 'probability';

export interface TensorMetadata {
  name: string;
  datatype: string;
  /** -1: any size. */
  shape: number[];
}

export function signatureOf(features: readonly FeatureInfo[]): { inputs: TensorMetadata[]; outputs: TensorMetadata[] } {
  return {
    inputs: features.map(({ name, kind }) => ({
      name,
      datatype: kind === 'number' ? 'FP32' : 'BYTES',
      shape: [-1, 1],
    })),
    outputs: [{ name: OUTPUT, datatype: 'FP32', shape: [-1, 1] }],
  };
}

/**
 * Inputs [rows] or [rows, 1], one for each feature, all of the same number of rows. Missing: NaN or (as JSON) null among
 * numbers, '' or null among texts. @throws RefitError REFIT_REQUEST_INVALID naming the input
 */
export function tableOfInputs(features: readonly FeatureInfo[], inputs: readonly ReceivedInput[]): FeatureTable {
  const byName = new Map(inputs.map((input) => [input.name, input]));
  const names = features.map(({ name }) => name);
  if (byName.size < inputs.length) throw invalid('The request has two inputs of the same name.');
  const unknown = inputs.find(({ name }) => !names.includes(name));
  if (unknown) {
    const name = shown(unknown.name);
    throw invalid(`The model has no input "${name}"${nearest(name, names)}.`);
  }
  const missing = names.filter((name) => !byName.has(name));
  if (missing.length > 0) {
    throw invalid(`The request lacks ${missing.length} of the model's ${names.length} inputs: ${missing.join(', ')}.`);
  }
  const rows = commonRows(inputs);
  const input = (name: string) => byName.get(name) as ReceivedInput;
  const columns = columnsOf(features);
  // All elements are counted before room is made for as many as a shape promises.
  const parts = columns.numbers.map((name) => numbersOf(input(name), rows));
  const categories = columns.categories.map((name) => textsOf(input(name), rows));
  const numbers = new Float32Array(parts.length * rows);
  for (const [i, part] of parts.entries()) numbers.set(part, i * rows);
  return { rows, numbers, categories };
}

function commonRows(inputs: readonly ReceivedInput[]): number {
  const [first] = inputs;
  for (const { name, shape } of inputs) {
    const [rows, width = 1] = shape;
    if (shape.length > 2 || width !== 1) {
      throw invalid(`Input "${name}" has the shape [${shape.join(', ')}]; it must be [rows, 1] or [rows].`);
    }
    if (first && rows !== first.shape[0]) {
      throw invalid(`Input "${name}" has ${rows} rows, but input "${first.name}" has ${first.shape[0]}.`);
    }
  }
  return first?.shape[0] ?? 0;
}

function numbersOf(input: ReceivedInput, rows: number): number[] {
  const { name, datatype, binary } = input;
  if (!NUMBER_DATATYPES.includes(datatype)) {
    throw invalid(`Input "${name}" is ${datatype}, but the model takes numbers there: FP32.`);
  }
  if (binary) return readNumbers(name, datatype, binary, rows).map(asFeature);
  return elements(input, rows).map((value, position) => {
    if (value === null) return Number.NaN;
    if (typeof value === 'number' || typeof value === 'boolean') return asFeature(Number(value));
    throw invalid(`Input "${name}": element ${position} is no number.`);
  });
}

function textsOf(input: ReceivedInput, rows: number): (string | null)[] {
  const { name, datatype, binary } = input;
  if (datatype !== 'BYTES') throw invalid(`Input "${name}" is ${datatype}, but the model takes texts there: BYTES.`);
  if (binary) return readTexts(name, binary, rows).map((text) => text || null);
  return elements(input, rows).map((value, position) => {
    if (value === null || value === '') return null;
    if (typeof value === 'string') return value;
    throw invalid(`Input "${name}": element ${position} is no text.`);
  });
}

/** JSON data may be flat or nested as its shape: [[1], [2]] = [1, 2]. */
function elements({ name, data }: ReceivedInput, rows: number): unknown[] {
  if (!data) throw invalid(`Input "${name}" has neither data nor binary_data_size.`);
  const flat = data.flat();
  if (flat.length !== rows) throw invalid(`Input "${name}" has ${flat.length} elements, but its shape says ${rows}.`);
  return flat;
}
