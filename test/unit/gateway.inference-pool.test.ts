import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createInferencePool, type InferencePool } from '../../gateway/inference-pool.ts';

let folder: string;
let pool: InferencePool | undefined;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'refit-pool-'));
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
});
afterEach(async () => {
  await pool?.close();
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

/** A pool of one thread that runs `source`. */
async function poolOf(source: string, limitMs = 20_000): Promise<InferencePool> {
  const file = path.join(folder, 'thread.mjs');
  await writeFile(file, source);
  pool = createInferencePool({ threads: 1, limitMs, file: pathToFileURL(file) });
  return pool;
}
const model = (name: string) => ({ path: name, sha256: name, features: [] });
const TABLE = { rows: 1, numbers: new Float32Array(0), categories: [] };
const ask = ({ score }: InferencePool, name = 'good') => score(model(name), TABLE);
const ANSWER = 'export default ({ model }) => {\n';
const GOOD = '  return { scores: new Float32Array([0.5]) };\n};\n';

describe('the inference pool', () => {
  test.each([
    ['throws as it starts', 'throw new Error("no runtime");', 'No inference thread could be started: no runtime.'],
    ['exits as it starts', 'process.exit(3);', 'No inference thread could be started.'],
  ])('fails every request when its thread %s', async (_, source, message) => {
    const broken = await poolOf(source);
    const asked = await Promise.allSettled([ask(broken), ask(broken), broken.open(model('good'))]);
    for (const { reason } of asked as PromiseRejectedResult[]) {
      expect(reason).toMatchObject({ code: 'REFIT_INTERNAL', message });
    }
    await expect(ask(broken)).rejects.toMatchObject({ message });
  });

  test('fails the request over which a thread dies, and answers the next', async () => {
    const mortal = await poolOf(`${ANSWER}  if (model.path === 'deadly') process.exit(4);\n${GOOD}`);
    await expect(ask(mortal, 'deadly')).rejects.toMatchObject({
      ...{ code: 'REFIT_INTERNAL', message: 'Inference failed: worker exited with code: 4' },
    });
    expect(await ask(mortal)).toEqual(new Float32Array([0.5]));
  });

  test('ends a thread that does not answer in time, and answers the next request', async () => {
    const stuck = await poolOf(`${ANSWER}  while (model.path === 'endless');\n${GOOD}`, 1_500);
    expect(await ask(stuck)).toHaveLength(1);
    await expect(ask(stuck, 'endless')).rejects.toMatchObject({
      ...{ code: 'REFIT_OVERLOADED', message: 'The model did not answer within 1.5 s.' },
    });
    expect(await ask(stuck)).toHaveLength(1);
  });
});
