/** A client library of another project that speaks the Open Inference Protocol: NVIDIA's tritonclient, from PyPI. */
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { REPOSITORY } from '../support/project.ts';
import { execute } from '../support/services.ts';
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

/** The folder with the client's Python packages, fetched once. */
async function pythonPackages(): Promise<string> {
  const version = await python(['-c', 'import sys; print("%d.%d" % sys.version_info[:2])']);
  const folder = path.join(REPOSITORY, '.refit/cache/python', `tritonclient-2.73.0-${version.trim()}`);
  if (existsSync(folder)) return folder;
  const making = `${folder}.${process.pid}`;
  await mkdir(path.dirname(folder), { recursive: true });
  try {
    const quiet = ['--quiet', '--no-input', '--disable-pip-version-check', '--root-user-action=ignore'];
    await python(['-m', 'pip', 'install', ...quiet, '--only-binary=:all:', '--target', making, CLIENT]);
    await rename(making, folder);
  } finally {
    await rm(making, { recursive: true, force: true });
  }
  return folder;
}

/** Standard output of python3. @throws with a sentence that says what this test needs */
async function python(args: string[], packages = ''): Promise<string> {
  const env = { PYTHONPATH: packages, PYTHONDONTWRITEBYTECODE: '1' };
  const missing = `This test needs python3 with pip and PyPI, for ${CLIENT}`;
  const { code, stdout, stderr } = await execute('python3', args, { cwd: REPOSITORY, env }).catch((error) => {
    throw new Error(`${missing}: ${error}`);
  });
  if (code !== 0) throw new Error(`${missing}; python3 ended with ${code}: ${stderr}`);
  return stdout;
}

let project: GatewayProject;
let gateway: RunningGateway;
// biome-ignore lint/suspicious/noExplicitAny: what a script reports
let report: any;
beforeAll(async () => {
  const packages = await pythonPackages();
  project = await createGatewayProject();
  await project.promote(-2);
  gateway = await startGateway(project.root);
  report = JSON.parse(await python([SCRIPT, `127.0.0.1:${gateway.port}`, 'flights'], packages));
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
