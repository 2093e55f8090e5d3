/** Every declaration in the tables of docs/transforms.md can be fitted, and gives the column that the page names. */
import { readFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import * as declare from '../../core/spec/define-transforms.ts';
import type { TransformSpec } from '../../core/spec/transforms.ts';
import { fitChain } from '../../core/transforms/fit-chain.ts';
import { tableOf } from './transforms.fixture.ts';

const page = readFileSync(new URL('../../docs/transforms.md', import.meta.url), 'utf8');
/** Declaration, and the name in the last column where there is one. */
const rows = [...page.matchAll(/^\| `(\w+\(.*?\))` .*\|\s*(?:`(\w+)`)?[^|]*\|$/gm)].map(
  ([, code = '', kept]) => [code, kept] as const,
);

test('the table has every transform', () => {
  const named = new Set(rows.map(([code]) => code.slice(0, code.indexOf('('))));
  expect(named).toEqual(new Set(Object.keys(declare)));
});

test.each(rows)('%s', async (code, kept) => {
  // The page's own words, as a pipeline would evaluate them.
  const spec = runInNewContext(code, { ...declare }) as TransformSpec;
  const columns = {
    amount: [1, 5, null, 50, 700, 3],
    items: [1, 2, 3, 1, 2, 3],
    country: ['de', 'fr', 'pl', null, 'de', 'de'],
  };
  const options = { label: [1, 0, 1, 0, 1, 0], keys: ['a', 'b', 'c', 'd', 'e', 'f'] };
  const table = tableOf(columns, options);
  const [stage] = await fitChain([spec], table);
  expect(stage?.items.length).toBeGreaterThan(0);
  if (kept === undefined) return;
  const beside = tableOf(columns, options);
  await fitChain([{ ...spec, keep: true } as TransformSpec], beside);
  expect(beside.columns.map(({ name }) => name)).toEqual(expect.arrayContaining([...spec.columns, kept]));
});
