import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { committedFingerprints, currentFingerprints, steps } from '../support/step-fingerprints.ts';

const CORE = fileURLToPath(new URL('../../core', import.meta.url));

test('a step whose source moved has a new version, or was accepted as giving the same result', async () => {
  const committed = committedFingerprints();
  for (const [name, { version, sha256 }] of Object.entries(await currentFingerprints())) {
    const cure = `${name} moved: raise its version, or run \`npm run steps:accept\` if its result is the same`;
    expect({ version, sha256 }, cure).toEqual(committed[name]);
  }
});

test('every step is held', () => {
  const files = readdirSync(CORE, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const defining = files.filter((name) => /defineStep[<(]/.test(readFileSync(path.join(CORE, name), 'utf8')));
  const held = new Set(steps.map(({ source }) => path.relative(CORE, source)));
  expect(defining.filter((name) => name !== 'store/step.ts' && !held.has(name))).toEqual([]);
  expect(new Set(steps.map(({ name }) => name)).size).toBe(steps.length);
});
