/** Which columns stay: decisions over correlations and over trainings that a stub answers for. */
import { describe, expect, test } from 'vitest';
import type { SelectSpec } from '../../core/spec/transforms.ts';
import { correlation, dropCorrelated } from '../../core/training/correlation.ts';
import { type JudgeColumns, selectByImportance } from '../../core/training/eliminate.ts';

const rows = Array.from({ length: 200 }, (_, row) => row);
const column = (name: string, of: (row: number) => number) => ({ name, values: Float32Array.from(rows, of) });
const wave = (row: number) => Math.sin(row * 12.9898) * 10;

describe('correlation', () => {
  test('is 1 for multiples, -1 for the opposite, 0 for a constant and for too few rows', () => {
    expect(
      correlation(
        rows,
        rows.map((x) => 2 * x + 5),
      ),
    ).toBeCloseTo(1, 12);
    expect(
      correlation(
        rows,
        rows.map((x) => -x),
      ),
    ).toBeCloseTo(-1, 12);
    expect(
      correlation(
        rows,
        rows.map(() => 3),
      ),
    ).toBe(0);
    expect(correlation([1, 2, 3], [1, 2, 3])).toBe(0);
  });

  test('passes over rows where either is missing, and keeps the digits of large numbers', () => {
    const gaps = rows.map((x) => (x % 3 === 0 ? Number.NaN : x));
    expect(correlation(gaps, rows)).toBeCloseTo(1, 12);
    expect(
      correlation(
        rows.map((x) => 1e9 + x),
        rows,
      ),
    ).toBeCloseTo(1, 9);
  });

  test('of two alike, the one that tells less of the label goes; what must stay stays', async () => {
    const label = rows.map((row) => Number(wave(row) > 0));
    const columns = [
      column('noisy', (row) => wave(row) + Math.cos(row) * 0.5),
      column('clean', wave),
      column('other', (row) => Math.cos(row * 78.233)),
    ];
    const free = await dropCorrelated(columns, label, { limit: 0.9, always: [] });
    expect(free).toMatchObject([{ column: 'noisy', by: 'correlation', with: 'clean' }]);
    const bound = await dropCorrelated(columns, label, { limit: 0.9, always: ['noisy'] });
    expect(bound.map(({ column: name }) => name)).toEqual(['clean']);
    expect(await dropCorrelated(columns, label, { limit: 0.9999, always: [] })).toEqual([]);
  });
});

describe('importance', () => {
  /** `gain` by column; the loss is lowest with as many columns as `best`. */
  function stub(gain: Record<string, number>, best = 0) {
    const asked: string[][] = [];
    const judge: JudgeColumns = async (columns) => {
      asked.push([...columns]);
      const importance = columns.map((feature) => ({ feature, share: gain[feature] ?? 0 }));
      importance.sort((a, b) => b.share - a.share);
      return { logLoss: 0.5 + Math.abs(columns.length - best) / 100, importance };
    };
    return { judge, asked };
  }
  const all = ['a', 'b', 'c', 'd', 'e'];
  const gain = { a: 0.01, b: 0.5, c: 0.2, d: 0, e: 0.29 };
  const select = (spec: Partial<SelectSpec>): SelectSpec => ({ always: [], rounds: 10, ...spec });

  test('columns below the share go, the order of the others stays', async () => {
    const found = await selectByImportance(all, select({ importance: 0.05 }), stub(gain).judge);
    expect(found.kept).toEqual(['b', 'c', 'e']);
    expect(found.dropped).toEqual([
      { column: 'a', by: 'importance', value: 0.01 },
      { column: 'd', by: 'importance', value: 0 },
    ]);
  });

  test('one column stays, however high the limit', async () => {
    expect((await selectByImportance(all, select({ importance: 0.99 }), stub(gain).judge)).kept).toEqual(['b']);
  });

  test('elimination goes round by round down to the number asked for', async () => {
    const { judge, asked } = stub(gain);
    const found = await selectByImportance(all, select({ eliminate: { keep: 2, step: 0.4 } }), judge);
    expect(asked.map(({ length }) => length)).toEqual([5, 3, 2]);
    expect(found.kept).toEqual(['b', 'e']);
    expect(found.rounds.map(({ dropped }) => dropped)).toEqual([['a', 'd'], ['c'], []]);
  });

  test('"best" goes back to the round with the lowest loss', async () => {
    const found = await selectByImportance(
      all,
      select({ eliminate: { keep: 'best', step: 0.2 } }),
      stub(gain, 3).judge,
    );
    expect(found.rounds.map(({ columns }) => columns)).toEqual([5, 4, 3, 2, 1]);
    expect(found.kept).toEqual(['b', 'c', 'e']);
    expect(found.dropped.map(({ column: name }) => name)).toEqual(['d', 'a']);
  });

  test('what must stay is never dropped, and is no reason to go on for ever', async () => {
    const found = await selectByImportance(
      all,
      select({ importance: 0.05, eliminate: { keep: 1, step: 0.5 }, always: ['a', 'd'] }),
      stub(gain).judge,
    );
    expect(found.kept).toEqual(['a', 'd']);
  });
});
