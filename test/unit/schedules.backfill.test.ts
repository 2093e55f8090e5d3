import type { ScheduleSpec } from '@temporalio/client';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backfillIdOf } from '../../schedules/backfill.ts';
import { backfillTimes, sliceOf, specOf } from '../../schedules/backfill-times.ts';

const range = (from: string, to: string, every: string) => ({
  from: `${from}T00:00:00Z`,
  to: `${to}T00:00:00Z`,
  every,
});

describe('times of a backfill', () => {
  test('both ends are included', () => {
    expect(backfillTimes(range('2013-10-01', '2013-10-03', '1d'))).toEqual([
      ...['2013-10-01T00:00:00Z', '2013-10-02T00:00:00Z', '2013-10-03T00:00:00Z'],
    ]);
    expect(backfillTimes(range('2013-10-01', '2013-10-01', '1y'))).toEqual(['2013-10-01T00:00:00Z']);
    expect(backfillTimes(range('2013-10-01', '2013-10-02', '7h'))).toHaveLength(4);
  });

  test('months are counted from the first: a short one does not shorten those after it', () => {
    const days = backfillTimes(range('2020-01-31', '2020-05-30', '1mo')).map((time) => time.slice(0, 10));
    expect(days).toEqual(['2020-01-31', '2020-02-29', '2020-03-31', '2020-04-30']);
  });

  test.each([
    [range('2020-02-01', '2020-01-01', '1d'), 'is later than'],
    [range('2020-01-01', '2020-02-01', 'monthly'), 'is no duration'],
    [range('2020-01-01', '2020-02-01', '0d'), 'is no duration'],
    [range('1969-01-01', '1971-01-01', '1mo'), 'is not after 1970'],
    [range('1970-01-01', '1970-01-05', '1d'), 'is not after 1970'],
    [range('2020-01-01', '2020-12-31', '10m'), 'more than 500 runs'],
  ])('%o is refused', (wrong, reason) => {
    expect(() => backfillTimes(wrong)).toThrow(
      expect.objectContaining({ code: 'REFIT_USAGE', message: expect.stringContaining(reason) as string }),
    );
  });
});

test('slices share the times out: each once, in order, as many at once as asked for', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 8 }), (count, slices) => {
      const times = Array.from({ length: count }, (_, index) => String(index).padStart(2, '0'));
      const shared = Array.from({ length: slices }, (_, slice) => sliceOf(times, slice, slices));
      expect(shared.flat().sort()).toEqual(times);
      for (const slice of shared) expect(slice).toEqual(slice.toSorted());
    }),
  );
});

test.each([
  ['1d', '2013-10-01', '2013-10-09'],
  ['7h', '2013-10-01', '2013-10-09'],
  ['1mo', '1999-12-31', '2001-03-31'],
  ['1y', '1996-02-29', '2009-01-01'],
])('the schedules of the slices yield exactly their times: every %s', (every, from, to) => {
  const times = backfillTimes(range(from, to, every));
  for (const slice of [0, 1, 2]) {
    const own = sliceOf(times, slice, 3);
    expect(timesOf(specOf(own, every, 3))).toEqual(own);
  }
});

test('soon after 1970 others may be among them; the backfill asks for its own only', () => {
  const times = backfillTimes(range('1971-02-03', '1975-01-01', '60w'));
  expect(timesOf(specOf(times, '60w', 3))).toEqual(expect.arrayContaining(times));
});

/** Times that Temporal makes of intervals: epoch + n × every + offset, within the bounds, n from 1 (its 0 is never met). */
function timesOf({ intervals = [], startAt, endAt }: ScheduleSpec): string[] {
  const [from, to] = [startAt?.getTime() ?? 0, endAt?.getTime() ?? 0];
  const times = intervals.flatMap(({ every, offset }) => {
    const found: number[] = [];
    for (let at = Number(every) + Number(offset ?? 0); at <= to; at += Number(every)) if (at >= from) found.push(at);
    return found;
  });
  return times.sort((a, b) => a - b).map((time) => `${new Date(time).toISOString().slice(0, 19)}Z`);
}

test('the same arguments name the same backfill', () => {
  const id = backfillIdOf({ pipeline: 'orders', ...range('2013-10-01', '2013-12-01', '1mo') });
  expect(id).toBe('backfill/orders/2013-10-01_2013-12-01_1mo');
});
