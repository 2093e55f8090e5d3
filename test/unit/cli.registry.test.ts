import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findModel, findModelVersion, listModels } from '../../core/registry/describe.ts';
import { claimVersion } from '../../core/registry/versions.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';
import type { ObjectStore } from '../../core/store/ports.ts';

let root: string;
let objects: ObjectStore;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'refit-models-'));
  objects = createFolderStore(root);
});
afterEach(() => rm(root, { recursive: true, force: true }));

describe('a model as a person names it', () => {
  beforeEach(async () => {
    for (const key of ['one', 'two']) await claimVersion(objects, 'flight-delays', key);
    await claimVersion(objects, 'churn', 'one');
  });

  test('all models are found, and versions with or without a v', async () => {
    expect(await listModels(objects)).toEqual(['churn', 'flight-delays']);
    expect(await findModel(objects, 'flight-delays')).toEqual({ model: 'flight-delays', version: undefined });
    expect(await findModel(objects, 'flight-delays@2')).toEqual({ model: 'flight-delays', version: 2 });
    expect(await findModelVersion(objects, 'flight-delays@v1')).toEqual({ model: 'flight-delays', version: 1 });
  });

  test.each([
    ['flight-delay', 'REFIT_MODEL_UNKNOWN', /did you mean "flight-delays"/],
    ['nothing-like-it', 'REFIT_MODEL_UNKNOWN', /there is: .*churn/],
    ['flight-delays@3', 'REFIT_MODEL_UNKNOWN', /has no version 3; there are versions 1 to 2/],
    ['churn@2', 'REFIT_MODEL_UNKNOWN', /has no version 2; version 1 is the only one/],
    ['flight-delays@latest', 'REFIT_USAGE', /write <model> or <model>@<version>/],
  ])('%s: %s', async (name, code, message) => {
    await expect(findModel(objects, name)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
  });

  test('a command about one version asks for it', () =>
    expect(findModelVersion(objects, 'flight-delays')).rejects.toThrow(/names no version; write e.g. flight-delays@2/));
});

test('an empty store says that nothing was registered yet', () =>
  expect(findModel(objects, 'churn')).rejects.toThrow(/no run has registered one yet/));
