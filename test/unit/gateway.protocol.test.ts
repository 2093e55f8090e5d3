import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FeatureInfo } from '../../core/spec/artifacts.ts';
import { readInferRequest, wantedOutputs, writeInferResponse } from '../../gateway/v2/message.ts';
import { signatureOf, tableOfInputs } from '../../gateway/v2/signature.ts';
import { readNumbers, readTexts, writeFloats, writeTexts } from '../../gateway/v2/tensors.ts';

const FEATURES: FeatureInfo[] = [
  { name: 'distance', kind: 'number', view: 'flights' },
  { name: 'carrier', kind: 'category', view: 'flights' },
  { name: 'wind', kind: 'number', view: 'weather' },
];
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const column = (name: string, datatype: string, data: unknown[], shape = [data.length, 1]) => ({
  ...{ name, datatype, shape, data },
});
const THREE = [
  column('distance', 'FP32', [100, 200]),
  column('carrier', 'BYTES', ['AA', 'UA']),
  column('wind', 'FP32', [1, 2]),
];
const read = (request: object) => readInferRequest(json(request), undefined);
const table = (inputs: object[]) => tableOfInputs(FEATURES, read({ inputs }).inputs);

describe('tensors as bytes', () => {
  test('texts come back as they went, whatever is in them', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' })), (texts) => {
        expect(readTexts('t', writeTexts(texts), texts.length)).toEqual(texts);
      }),
    );
    expect(readTexts('t', writeTexts(['\ufeffJFK']), 1)).toEqual(['\ufeffJFK']);
    expect([...writeTexts(['JFK'])]).toEqual([3, 0, 0, 0, 0x4a, 0x46, 0x4b]);
  });

  test('floats come back as they went, missing ones included', () => {
    fc.assert(
      fc.property(fc.float32Array(), (values) => {
        expect(readNumbers('n', 'FP32', writeFloats(values), values.length)).toEqual([...values]);
      }),
    );
  });

  test.each([
    ['INT64', Buffer.from(BigInt64Array.of(-3n, 2_000_000n).buffer), [-3, 2_000_000]],
    ['UINT8', Buffer.of(0, 255), [0, 255]],
    ['INT16', Buffer.from(Int16Array.of(-5).buffer), [-5]],
    ['FP64', Buffer.from(Float64Array.of(0.1).buffer), [0.1]],
    ['FP16', Buffer.of(0x00, 0x3c, 0x01, 0x00, 0x00, 0xfc, 0x00, 0xc0), [1, 2 ** -24, Number.NEGATIVE_INFINITY, -2]],
    ['BOOL', Buffer.of(0, 1), [0, 1]],
  ])('%s is read as numbers', (datatype, bytes, values) => {
    expect(readNumbers('n', datatype, bytes, values.length)).toEqual(values);
  });

  test('bytes that do not fit their shape are refused', () => {
    expect(() => readNumbers('wind', 'FP32', Buffer.alloc(7), 2)).toThrow(
      'Input "wind" has 7 bytes, but 2 elements of FP32 are 8 bytes.',
    );
    expect(() => readTexts('carrier', Buffer.of(9, 0, 0, 0, 65), 1)).toThrow('ends within its element 0');
    expect(() => readTexts('carrier', Buffer.of(1, 0), 1)).toThrow('ends within its element 0');
    expect(() => readTexts('carrier', writeTexts(['AA', 'UA']), 1)).toThrow('has 2 elements, but its shape says 1');
    expect(() => readTexts('carrier', Buffer.of(1, 0, 0, 0, 0xff), 1)).toThrow('element 0 is no UTF-8 text');
  });
});

describe('a request', () => {
  test('may mix tensors as JSON and as bytes, in the order of the inputs', () => {
    const distance = writeFloats([100, 200]);
    const carrier = writeTexts(['AA', '']);
    const header = json({
      id: 'mine',
      inputs: [
        { name: 'carrier', datatype: 'BYTES', shape: [2, 1], parameters: { binary_data_size: carrier.byteLength } },
        column('wind', 'INT32', [[1], [2]], [2, 1]),
        { name: 'distance', datatype: 'FP32', shape: [2], parameters: { binary_data_size: distance.byteLength } },
      ],
    });
    const request = readInferRequest(Buffer.concat([header, carrier, distance]), header.byteLength);
    expect(request.id).toBe('mine');
    const { rows, numbers, categories } = tableOfInputs(FEATURES, request.inputs);
    expect({ rows, numbers: [...numbers], categories }).toEqual({
      rows: 2,
      numbers: [100, 200, 1, 2],
      categories: [['AA', null]],
    });
  });

  test('says null for what is missing', () => {
    const { numbers, categories } = table([
      column('distance', 'FP64', [null, 1e300]),
      column('carrier', 'BYTES', [null, 'AA']),
      column('wind', 'BOOL', [true, false]),
    ]);
    expect([...numbers]).toEqual([Number.NaN, Number.NaN, 1, 0]);
    expect(categories).toEqual([[null, 'AA']]);
  });

  test.each([
    [[column('distnce', 'FP32', [1])], 'The model has no input "distnce" (did you mean "distance"?).'],
    [THREE.slice(1), "The request lacks 1 of the model's 3 inputs: distance."],
    [[...THREE, column('wind', 'FP32', [1, 2])], 'two inputs of the same name'],
    [[THREE[0], THREE[1], column('wind', 'FP32', [1])], 'Input "wind" has 1 rows, but input "distance" has 2.'],
    [
      [column('distance', 'FP32', [1, 2], [1, 2]), ...THREE.slice(1)],
      'the shape [1, 2]; it must be [rows, 1] or [rows]',
    ],
    [[column('distance', 'FP32', [1, 2], [3, 1]), THREE[1], THREE[2]], 'has 2 rows, but input "distance" has 3'],
    [[column('distance', 'FP32', [1], [1e12]), ...THREE.slice(1)], 'but input "distance" has 1000000000000'],
    [[THREE[0], column('carrier', 'FP32', [1, 2]), THREE[2]], 'Input "carrier" is FP32, but the model takes texts'],
    [[column('distance', 'BYTES', ['a', 'b']), THREE[1], THREE[2]], 'takes numbers there: FP32'],
    [[column('distance', 'FP32', ['a', 'b']), THREE[1], THREE[2]], 'Input "distance": element 0 is no number.'],
    [[{ name: 'distance', datatype: 'FP32', shape: [2] }, THREE[1], THREE[2]], 'neither data nor binary_data_size'],
  ])('that does not fit the model is told why: %#', (inputs, message) => {
    expect(() => table(inputs as object[])).toThrow(message);
  });

  test('with a shape that promises more than is there takes no memory for it', () => {
    const inputs = THREE.map((input) => ({ ...input, shape: [2 ** 40] }));
    expect(() => table(inputs)).toThrow('has 2 elements, but its shape says 1099511627776');
  });

  test.each([
    ['{"inputs":', 'The request is no JSON'],
    ['{}', 'The field "inputs" is missing in the request.'],
    ['{"inputs":[]}', 'inputs'],
    ['{"inputs":[{"name":"a","shape":[1],"datatype":"FLOAT"}]}', 'FP32'],
    ['{"inputs":[{"name":"a","shape":[-1],"datatype":"FP32"}]}', 'shape[0]'],
    [JSON.stringify({ inputs: [{ ...THREE[0], parameters: { binary_data_size: 4 } }] }), 'both data and binary'],
    [JSON.stringify({ inputs: [{ ...THREE[0], parameters: { shared_memory_region: 'x' } }] }), 'shared_memory_region'],
  ])('%s is refused', (text, message) => {
    expect(() => readInferRequest(Buffer.from(text), undefined)).toThrow(message);
  });

  test('whose lengths do not add up is refused', () => {
    const input = { name: 'wind', datatype: 'FP32', shape: [1], parameters: { binary_data_size: 8 } };
    const header = json({ inputs: [input] });
    const body = Buffer.concat([header, Buffer.alloc(4)]);
    expect(() => readInferRequest(body, header.byteLength)).toThrow('wants 8 bytes behind the header, but 4 are left');
    expect(() => readInferRequest(body, 1000)).toThrow('Inference-Header-Content-Length');
    expect(() => readInferRequest(body, Number.NaN)).toThrow('Inference-Header-Content-Length');
    const long = Buffer.concat([header, Buffer.alloc(9)]);
    expect(() => readInferRequest(long, header.byteLength)).toThrow('1 bytes behind the header belong to no input');
  });
});

describe('a response', () => {
  const values = Float32Array.of(0.25, 0.75);
  const head = { model_name: 'm', model_version: '3', id: 'mine' };

  test('is JSON unless bytes are asked for, for all outputs or for one', () => {
    const request = { inputs: [] };
    expect(wantedOutputs(request, ['p'])).toEqual([{ name: 'p', binary: false }]);
    expect(wantedOutputs({ ...request, parameters: { binary_data_output: true } }, ['p'])).toEqual([
      { name: 'p', binary: true },
    ]);
    const one = [{ name: 'p', parameters: { binary_data: false } }];
    expect(wantedOutputs({ ...request, parameters: { binary_data_output: true }, outputs: one }, ['p'])).toEqual([
      { name: 'p', binary: false },
    ]);
    expect(() => wantedOutputs({ ...request, outputs: [{ name: 'q' }] }, ['p'])).toThrow('no output "q"');
  });

  test('holds its values, as JSON or behind the header', () => {
    const text = writeInferResponse(head, [{ name: 'p', binary: false, values }]);
    expect(text.headerLength).toBeUndefined();
    expect(JSON.parse(Buffer.from(text.body).toString())).toEqual({
      ...head,
      outputs: [{ name: 'p', shape: [2, 1], datatype: 'FP32', data: [0.25, 0.75] }],
    });
    const { body, headerLength } = writeInferResponse(head, [{ name: 'p', binary: true, values }]);
    const header = JSON.parse(Buffer.from(body.subarray(0, headerLength)).toString());
    expect(header.outputs).toEqual([
      { name: 'p', shape: [2, 1], datatype: 'FP32', parameters: { binary_data_size: 8 } },
    ]);
    expect(readNumbers('p', 'FP32', body.subarray(headerLength), 2)).toEqual([0.25, 0.75]);
  });
});

test('the signature names every feature with its datatype', () => {
  expect(signatureOf(FEATURES)).toEqual({
    inputs: [
      { name: 'distance', datatype: 'FP32', shape: [-1, 1] },
      { name: 'carrier', datatype: 'BYTES', shape: [-1, 1] },
      { name: 'wind', datatype: 'FP32', shape: [-1, 1] },
    ],
    outputs: [{ name: 'probability', datatype: 'FP32', shape: [-1, 1] }],
  });
});
