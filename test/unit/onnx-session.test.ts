import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkOnnxModel, exportNativeModel, exportOnnx } from '../../core/onnx/export-model.ts';
import { type ModelInput, type OnnxModel, openOnnxModel } from '../../core/onnx/session.ts';
import type { BlobRef, FittedModel } from '../../core/spec/artifacts.ts';
import type { BlobStore } from '../../core/store/ports.ts';
import { readFixture } from './onnx.fixture.ts';

const { native, table } = readFixture('categories');
const onnx = exportNativeModel(native);
const unsupported = expect.objectContaining({ code: 'REFIT_MODEL_UNSUPPORTED' });

describe('an open model', () => {
  let model: OnnxModel;
  beforeAll(async () => {
    model = await openOnnxModel(onnx, native.features);
  });
  afterAll(() => model.close());

  test('shows its signature', () => {
    const { inputs, outputs } = model.signature();
    expect(inputs).toHaveLength(5);
    expect(inputs[0]).toEqual({ name: 'number_0', dtype: 'float32', shape: ['rows', 1] });
    expect(inputs[1]).toEqual({ name: 'category_1', dtype: 'string', shape: ['rows', 1] });
    expect(outputs).toEqual([{ name: 'probability', dtype: 'float32', shape: ['rows', 1] }]);
  });

  test('answers alike in batches of any size, one row and none included', async () => {
    const whole = await model.predict(table);
    expect(whole).toHaveLength(table.rows);
    for (const batch of [1, 7, table.rows, 100_000]) expect(await model.predict(table, { batch })).toEqual(whole);
    expect(await model.predict({ rows: 0, ...emptyColumns() })).toEqual(new Float32Array(0));
  });

  test('lets others have a turn between batches, and stops when told', async () => {
    const aborter = new AbortController();
    let turns = 0;
    const tick = () => {
      turns += 1;
      if (turns === 5) aborter.abort(new Error('told to stop'));
      else setImmediate(tick);
    };
    setImmediate(tick);
    await expect(model.predict(table, { batch: 1, signal: aborter.signal })).rejects.toThrow('told to stop');
    expect(turns).toBe(5);
  });

  test('wants every feature, in full', async () => {
    const { number_0: _, ...numbers } = table.numbers;
    await expect(model.predict({ ...table, numbers })).rejects.toThrow('no number column for feature "number_0"');
    const short = { ...table.numbers, number_0: new Float32Array(3) };
    await expect(model.predict({ ...table, numbers: short })).rejects.toThrow('"number_0" has 3 values for 297 rows');
    await expect(model.predict(table, { batch: 0 })).rejects.toThrow('batch of 0');
  });
});

describe('opening', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'refit-onnx-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('a file answers as its bytes', async () => {
    const path = join(folder, 'model.onnx');
    await writeFile(path, onnx);
    const answers = [];
    for (const source of [path, onnx]) {
      const model = await openOnnxModel(source, native.features);
      answers.push(await model.predict(table));
      await model.close();
    }
    expect(answers[0]).toEqual(answers[1]);
  });

  test('refuses what is no model, and names the feature that does not fit', async () => {
    await expect(openOnnxModel(onnx.subarray(0, onnx.length >> 1), native.features)).rejects.toEqual(unsupported);
    await expect(openOnnxModel(join(folder, 'nothing.onnx'), native.features)).rejects.toEqual(unsupported);
    const [first, ...rest] = native.features;
    if (!first) throw new Error('the fixture has features');
    await expect(openOnnxModel(onnx, rest)).rejects.toThrow('wants an input "number_0" that is no feature');
    const more = [...native.features, { ...first, name: 'wind' }];
    await expect(openOnnxModel(onnx, more)).rejects.toThrow('"wind" is float32, but the ONNX model has no such input');
    const changed = [{ ...first, kind: 'category' as const }, ...rest];
    await expect(openOnnxModel(onnx, changed)).rejects.toThrow(
      '"number_0" is string, but the ONNX model takes float32',
    );
  });
});

describe('the export step', () => {
  test('publishes a file that opens, and the same one again', async () => {
    const blobs = new Map<string, Uint8Array>();
    const run = () => exportOnnx.run({ model: { native: ref('native') } as FittedModel }, contextOf(blobs));
    const { onnx: published } = await run();
    expect(await run()).toEqual({ onnx: published });
    expect([...blobs.keys()]).toEqual([published.sha256]);
    await checkOnnxModel(blobs.get(published.sha256) as Uint8Array, native.features);
  });

  test('does not publish a graph that fits other features', async () => {
    await expect(checkOnnxModel(onnx, native.features.slice(1))).rejects.toEqual(unsupported);
  });
});

function emptyColumns(): Omit<ModelInput, 'rows'> {
  const empty = <T>(columns: Record<string, unknown>, value: T) =>
    Object.fromEntries(Object.keys(columns).map((name): [string, T] => [name, value]));
  return { numbers: empty(table.numbers, new Float32Array(0)), categories: empty(table.categories, []) };
}

function ref(name: string, bytes: Uint8Array = new Uint8Array(0)): BlobRef {
  return { uri: name, sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length };
}

/** A step context whose store holds the fixture's model and keeps what is put there. */
function contextOf(kept: Map<string, Uint8Array>) {
  const blobs = {
    json: async () => native,
    putBytes: async (bytes: Uint8Array) => {
      const put = ref('onnx', bytes);
      kept.set(put.sha256, bytes);
      return put;
    },
  } as unknown as BlobStore;
  return { blobs, scratch: '', signal: new AbortController().signal, progress: () => {}, key: 'key' };
}
