/** Whatever is chained: what a model is trained on is what its graph makes of the raw features, and what the formulas say. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chooseColumns, columnsAfter, type PlannedColumn } from '../../core/spec/plan-transforms.ts';
import type { FittedStage, TransformSpec } from '../../core/spec/transforms.ts';
import { fitChain } from '../../core/transforms/fit-chain.ts';
import { byHand, type Cell, inputsOf, rawOf, shown, tableOf, throughGraph } from './transforms.fixture.ts';

const TRAIN = 24;
const ROWS = 32;

const float = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: -4, max: 9 }) },
  { weight: 4, arbitrary: fc.float({ noNaN: true, min: -1000, max: 1000 }) },
  fc.constantFrom(Number.NaN, Infinity, -Infinity, 3.4028234663852886e38, -3e38, 1e-45, -0, -1, 16_777_216),
);
const text = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom('a', 'b', 'c') },
  fc.constantFrom(null, '', ' ', 'ä', 'a b', 'a_b', '日本', '0', 'nan', 'x'.repeat(300)),
);
const column = (cell: fc.Arbitrary<Cell>) => fc.array(cell, { minLength: ROWS, maxLength: ROWS });
const tables = fc.record({
  x: column(float),
  y: column(float),
  empty: fc.constant(new Array<Cell>(ROWS).fill(null)),
  c: column(text),
  d: column(text),
});

const names = fc.uniqueArray(fc.constantFrom('x', 'y', 'empty', 'c', 'd'), { minLength: 1, maxLength: 3 });
const keep = fc.constantFrom({}, { keep: true as const });
const any = <T>(...values: T[]) => fc.constantFrom(...values);
const spec: fc.Arbitrary<TransformSpec> = fc
  .tuple(fc.oneof(names, any(['*'])), keep)
  .chain(([columns, kept]): fc.Arbitrary<TransformSpec> => {
    const of = { columns, ...kept };
    return fc.oneof(
      fc
        .record({ with: any('mean' as const, 'median' as const, 'mostFrequent' as const), flag: fc.boolean() })
        .map(({ flag, ...how }) => ({
          kind: 'impute' as const,
          ...of,
          ...how,
          ...(flag ? { indicator: true as const } : {}),
        })),
      any<number | string>(0, -2.5, 1e38, 'none').map((value) => ({
        ...{ kind: 'impute' as const, ...of, with: 'constant' as const, value },
      })),
      any('standard' as const, 'minMax' as const, 'robust' as const).map((by) => ({
        kind: 'scale' as const,
        ...of,
        by,
      })),
      any<TransformSpec>({ kind: 'log', ...of }, { kind: 'log', ...of, signed: true }),
      any<TransformSpec>({ kind: 'polynomial', columns, squares: true, interactions: true }),
      any<TransformSpec>(
        { kind: 'bin', ...of, by: 'quantile', bins: 4 },
        { kind: 'bin', ...of, by: 'uniform', bins: 5 },
        { kind: 'bin', ...of, by: 'edges', edges: [-0.1, 0, 3] },
      ),
      any<TransformSpec>(
        { kind: 'oneHot', ...of, minShare: 0.05, max: 3 },
        { kind: 'oneHot', ...of, minShare: 0, max: 50 },
      ),
      any<TransformSpec>({ kind: 'ordinal', ...of }, { kind: 'frequency', ...of }),
      fc.record({ by: any('time' as const, 'key' as const), smoothing: any(0, 3.5), folds: any(2, 5) }).map((how) => ({
        ...{ kind: 'targetEncode' as const, ...of, seed: 1, ...how },
      })),
      any<TransformSpec>(
        { kind: 'cap', ...of, by: 'quantile', low: 0.1, high: 0.9 },
        { kind: 'cap', ...of, by: 'iqr', factor: 1.5 },
      ),
    );
  });

/** The transforms of a list that can be had where they stand. */
async function fitWhatGoes(specs: TransformSpec[], table: ReturnType<typeof tableOf>) {
  const stages: FittedStage[] = [];
  const done: TransformSpec[] = [];
  for (const one of specs) {
    const columns: PlannedColumn[] = table.columns.map(({ name, kind, flag }) => ({
      name,
      kind,
      ...(flag ? { flag } : {}),
    }));
    const chosen = chooseColumns(one, columns);
    if (typeof chosen === 'string' || typeof columnsAfter(one, chosen, columns) === 'string') continue;
    if (table.columns.length > 60 && one.kind === 'polynomial') continue;
    // As the store keeps them.
    stages.push(...(JSON.parse(JSON.stringify(await fitChain([one], table))) as FittedStage[]));
    done.push(one);
  }
  return { stages, done };
}

test('a chain of transforms is the same in training, in one graph and by hand', async () => {
  let applied = 0;
  await fc.assert(
    fc.asyncProperty(
      tables,
      fc.array(spec, { minLength: 1, maxLength: 5 }),
      fc.array(fc.constantFrom(0, 1), { minLength: ROWS, maxLength: ROWS }),
      async (cells, specs, label) => {
        const table = tableOf(cells, { train: TRAIN, label, keys: label.map(String), categories: ['c', 'd'] });
        const [inputs, raw] = [inputsOf(table), rawOf(table)];
        const { stages, done } = await fitWhatGoes(specs, table);
        applied += stages.length;
        const graph = await throughGraph(
          inputs,
          stages,
          raw,
          table.columns.map(({ name }) => name),
        );
        const hand = byHand(stages, raw);
        // Target encodings give the training rows values of their own, and so does what is made of them.
        const from = done.some(({ kind }) => kind === 'targetEncode') ? TRAIN : 0;
        for (const { name, values } of table.columns) {
          const trained = shown(values).slice(from);
          expect([name, trained]).toEqual([name, shown(graph.get(name)).slice(from)]);
          const expected = shown(hand.get(name)).slice(from);
          for (const [row, value] of trained.entries()) {
            const other = expected[row] ?? null;
            if (typeof value !== 'number' || typeof other !== 'number')
              expect([name, row, value]).toEqual([name, row, other]);
            // A logarithm may differ in its last digit, and so in its float32.
            else expect([name, Math.abs(value - other) <= 2e-6 * Math.max(1, Math.abs(other))]).toEqual([name, true]);
          }
        }
      },
    ),
    { numRuns: 150 },
  );
  expect(applied).toBeGreaterThan(100);
});
