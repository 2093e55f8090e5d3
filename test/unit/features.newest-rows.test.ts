import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NewestRows, NO_ROW } from '../../core/features/newest-rows.ts';

interface Row {
  key: number;
  event: bigint;
  known: bigint;
  gone: bigint;
  values: [number, number];
}

const EVER = 2n ** 63n - 1n;
/** Neighbours that a double cannot tell apart, and DuckDB's infinities. */
const instant = fc.constantFrom(-EVER, -3n, 0n, 1n, 2n, 2n ** 60n, 2n ** 60n + 1n, 2n ** 60n + 2n, EVER);
const value = fc.constantFrom(0, -0, 1.5, Number.NaN);
const row: fc.Arbitrary<Row> = fc.record({
  key: fc.integer({ min: 0, max: 2 }),
  event: instant,
  known: instant,
  gone: fc.oneof(fc.constant(EVER), instant),
  values: fc.tuple(value, value),
});
const question = fc.record({ key: fc.integer({ min: 0, max: 2 }), at: instant });

const order = (a: bigint | number, b: bigint | number) => (a === b ? 0 : a < b ? -1 : 1);
/** As a total order: -0, 0, 1.5, missing. */
const rank = (x: number) => (Number.isNaN(x) ? 3 : Object.is(x, -0) ? 0 : x === 0 ? 1 : 2);
const newer = (a: Row, b: Row) =>
  order(a.event, b.event) ||
  order(a.known, b.known) ||
  order(rank(a.values[0]), rank(b.values[0])) ||
  order(rank(a.values[1]), rank(b.values[1]));

function ask(rows: Row[], asked: { key: number; at: bigint }[], mortal: boolean, bytes: number) {
  const keys = [0, 1, 2];
  const starts = [0, ...keys.map((key) => asked.filter((one) => one.key <= key).length)];
  const times = BigInt64Array.from(asked, ({ at }) => at);
  const found = new NewestRows({ times, firstKey: 7, starts: Uint32Array.from(starts) }, 2, mortal, bytes);
  for (let from = 0; from < rows.length; from += 3) {
    const chunk = rows.slice(from, from + 3);
    found.add({
      keys: Uint32Array.from(chunk, ({ key }) => key + 7),
      events: BigInt64Array.from(chunk, ({ event }) => event),
      knowns: BigInt64Array.from(chunk, ({ known }) => known),
      gone: mortal ? BigInt64Array.from(chunk, ({ gone }) => gone) : undefined,
      values: [Float32Array.from(chunk, (one) => one.values[0]), Float64Array.from(chunk, (one) => one.values[1])],
    });
  }
  found.finish();
  return asked.map((_one, i) =>
    found.event(i) === NO_ROW ? null : [found.event(i), found.value(i, 0), found.value(i, 1)],
  );
}

test('every question is answered by the newest of the rows that have entered and are not gone, whatever their order', () => {
  fc.assert(
    fc.property(
      fc.array(row, { maxLength: 30 }),
      fc.array(question, { maxLength: 20 }),
      fc.boolean(),
      (rows, asks, mortal) => {
        const asked = asks.sort((a, b) => a.key - b.key || order(a.at, b.at));
        const expected = asked.map(({ key, at }) => {
          const there = rows.filter(
            (one) => one.key === key && one.event <= at && one.known <= at && (!mortal || at < one.gone),
          );
          const newest = there.sort(newer).at(-1);
          return newest ? [newest.event, ...newest.values] : null;
        });
        expect(ask(rows, asked, mortal, 0)).toEqual(expected);
        expect(ask(rows.toReversed(), asked, mortal, 1_000)).toEqual(expected);
      },
    ),
    { numRuns: 2_000 },
  );
});
