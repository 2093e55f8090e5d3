/** Windows of a key with more rows than are kept one by one: exact, or refused. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { aggregateValues } from '../../core/features/aggregate.ts';
import { columnOf, valueAt } from '../../core/features/feature-column.ts';
import { RowKeeper } from '../../core/features/keep-rows.ts';
import { answerer } from '../../core/features/online-answer.ts';
import type { OnlineLookup } from '../../core/features/online-layout.ts';
import { packRow } from '../../core/features/online-row-bytes.ts';
import { TILE_VALUES } from '../../core/features/tile.ts';
import type { Aggregate } from '../../core/spec/pipeline.ts';

const HOUR = 3_600e6;
const ORIGIN = Date.UTC(2024, 0, 1) * 1000;
const at = (hour: number) => new Date((ORIGIN + hour * HOUR) / 1000).toISOString();
const MEASURES: Pick<Aggregate, 'fn' | 'q'>[] = [
  ...(['count', 'sum', 'avg', 'std', 'min', 'max', 'distinct', 'last'] as const).map((fn) => ({ fn })),
  { fn: 'quantile', q: 0.3 },
];

function lookup(overHours: number | null, last: number | null = null): OnlineLookup {
  const features = MEASURES.map(({ fn }) => ({ name: fn, kind: 'number' as const, view: 'w' }));
  return {
    ...{ id: 'p/w', part: 'w', view: 'w', features, texts: MEASURES.map(() => false), newestUs: null },
    size: { whole: 0, since: 0 },
    absent: MEASURES.map(({ fn }) => (fn === 'count' || fn === 'distinct' ? 0 : null)),
    read: { kind: 'window', overUs: overHours === null ? null : overHours * HOUR, last, measures: MEASURES },
  };
}

type Row = [hour: number, value: number | null];

/** Rows as of hour 100, of which `bound` are kept one by one, and as many of those to come. */
function answers(of: OnlineLookup, rows: Row[], bound: number) {
  const asOfUs = ORIGIN + 100 * HOUR;
  const keeper = new RowKeeper(of, asOfUs, bound);
  for (const [hour, value] of rows) keeper.add(ORIGIN + hour * HOUR, -Infinity, () => value);
  const bytes = packRow({ key: 'k', values: keeper.packed(), eventAtUs: asOfUs, knownAtUs: 1 });
  return (hour: number) => {
    const columns = MEASURES.map((_of, i) => columnOf('number', of.absent[i] ?? null));
    answerer(of, at(hour)).fill(bytes, 'k', columns, 0);
    return columns.map((column) => valueAt(column, 0));
  };
}

const row = fc.tuple(
  fc.integer({ min: 60, max: 130 }),
  fc.option(fc.oneof(fc.integer({ min: 0, max: 5 }), fc.double({ min: -1e6, max: 1e6, noNaN: true })), { freq: 8 }),
);
const sorted = (rows: Row[]) => [...rows].sort(([a], [b]) => a - b);

test('a window with more rows than are kept is exact, or refused, whenever it is read', () => {
  let [exact, refused] = [0, 0];
  fc.assert(
    fc.property(
      fc.array(row, { maxLength: 60 }),
      fc.option(fc.integer({ min: 1, max: 40 })),
      fc.integer({ min: 0, max: 30 }),
      fc.integer({ min: 1, max: 12 }),
      (some, over, later, bound) => {
        const rows = sorted(some).filter(([hour]) => over === null || hour + over > 100);
        const hour = 100 + later;
        const counted = rows.filter(([own]) => own <= hour && (over === null || own > hour - over));
        const expected = MEASURES.map((of) =>
          aggregateValues(
            of,
            counted.map(([, value]) => value),
          ),
        );
        try {
          expect(answers(lookup(over), rows, bound)(hour)).toEqual(expected);
          exact += 1;
        } catch (error) {
          if ((error as { code?: string }).code !== 'REFIT_ONLINE_STALE') throw error;
          refused += 1;
          // Refused only where rows were not kept one by one.
          expect(rows.length).toBeGreaterThan(bound);
        }
      },
    ),
    { numRuns: 500 },
  );
  expect(Math.min(exact, refused)).toBeGreaterThan(0);
});

test('as long as only rows leave that were kept one by one, a busy key answers', () => {
  const rows = Array.from({ length: 5_000 }, (_, i): Row => [90 + i / 500, i]);
  const read = answers(lookup(10), rows, 1_000);
  expect(read(100)[0]).toBe(4_999);
  expect(read(101.9)[0]).toBe(4_049);
  expect(() => read(102.5)).toThrow(
    expect.objectContaining({
      code: 'REFIT_ONLINE_STALE',
      message: `The online rows of w for k are as of ${at(100)}, and there are too many to be kept one by one until ${at(102.5)}.`,
    }),
  );
  // All have left.
  expect(read(110)[0]).toBe(0);
});

test('the newest rows of a count window come from those that are kept', () => {
  const rows = Array.from({ length: 50 }, (_, i): Row => [60 + i, i]);
  const read = answers(lookup(null, 3), rows.slice(38), 5);
  expect(read(100)[1]).toBe(38 + 39 + 40);
  expect(read(102)[1]).toBe(40 + 41 + 42);
});

test('too many different values of a quantile are refused when they are written', () => {
  const rows = Array.from({ length: TILE_VALUES + 2 }, (_, i): Row => [50, i]);
  expect(() => answers(lookup(null), rows, 1)).toThrow(
    expect.objectContaining({ code: 'REFIT_ONLINE_WINDOW_TOO_LARGE' }),
  );
});
