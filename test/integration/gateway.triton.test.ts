/** A client library of another project that speaks the Open Inference Protocol: NVIDIA's tritonclient, from PyPI. */
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { REPOSITORY } from '../support/project.ts';
import { python, pythonPackages } from '../support/python.ts';
import {
  createGatewayProject,
  expectedScore,
  FEATURES,
  type GatewayProject,
  type RunningGateway,
  startGateway,
} from './gateway.fixture.ts';

const CLIENT = 'tritonclient[http]==2.73.0';
const SCRIPT = path.join(REPOSITORY, 'test/fixtures/gateway/triton_client.py');

let project: GatewayProject;
let gateway: RunningGateway;
// biome-ignore lint/suspicious/noExplicitAny: what a script reports
let report: any;
beforeAll(async () => {
  const packages = await pythonPackages(CLIENT);
  project = await createGatewayProject();
  await project.promote(-2);
  gateway = await startGateway(project.root);
  report = JSON.parse(await python([SCRIPT, `127.0.0.1:${gateway.port}`, 'flights'], packages, CLIENT));
});
afterAll(async () => {
  await gateway?.end();
  await project?.remove();
});

const close = (score: number) => expect.closeTo(score, 6);
const AA = expectedScore(-2, { distance: 1000, carrier: 'AA', wind: 20 });
const OTHER = expectedScore(-2, { distance: 500 });

describe('tritonclient', () => {
  test('finds the server and the model ready', () => {
    expect(report).toMatchObject({ live: true, ready: true, modelReady: true, unknownReady: false });
    expect(report.server).toMatchObject({ name: 'refit', extensions: ['binary_tensor_data'] });
  });

  test('is told what the model takes and gives', () => {
    expect(report.metadata).toEqual({
      ...{ name: 'flights', versions: ['1'], platform: 'onnxruntime_onnx' },
      inputs: FEATURES.map(({ name, kind }) => ({
        ...{ name, datatype: kind === 'number' ? 'FP32' : 'BYTES', shape: [-1, 1] },
      })),
      outputs: [{ name: 'probability', datatype: 'FP32', shape: [-1, 1] }],
    });
    expect(report.version).toEqual(['1']);
  });

  test('gets predictions for tensors as bytes, missing values and texts of any language included', () => {
    const expected = [close(AA), close(expectedScore(-2, { wind: 10 })), close(OTHER)];
    expect(report.binary).toEqual(expected);
    expect(report.mixed).toEqual(expected);
    expect(report.default).toEqual(expected);
    expect(report).toMatchObject({ id: 'mine', shape: [3, 1], dtype: 'float32' });
    expect(report.answered).toEqual({ model_name: 'flights', model_version: '1' });
  });

  test('gets predictions for tensors as JSON', () => {
    expect(report.json).toEqual([close(AA), close(expectedScore(-2, { wind: 10 })), close(OTHER)]);
  });

  test.each([
    ['model', '404', 'No version of a model "flihgts" was promoted (did you mean "flights"?).'],
    ['version', '404', 'Version 7 of flights is not served; the champion is version 1.'],
    ['missing', '400', "The request lacks 1 of the model's 3 inputs: distance."],
    ['unknown', '400', 'The model has no input "wnd" (did you mean "wind"?).'],
    ['rows', '400', 'Input "wind" has 2 rows, but input "distance" has 3.'],
    ['datatype', '400', 'Input "carrier" is FP32, but the model takes texts there: BYTES.'],
    ['output', '400', 'The model has no output "class" (there is: probability).'],
    ['compressed', '415', 'A body with Content-Encoding gzip is not taken; send it as it is.'],
    ['metadata', '404', 'No version of a model "nothing" was promoted (there is: flights).'],
    ['config', '404', 'There is no GET /v2/models/flights/config in the Open Inference Protocol.'],
  ])('is told what is wrong: %s', (name, status, message) => {
    expect(report.errors[name]).toEqual({ status, message });
  });
});
