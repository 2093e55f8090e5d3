import type { ScheduleSpec } from '@temporalio/client';
import { RefitError } from '../core/spec/errors.ts';
import { durationSeconds, shift } from '../core/spec/time.ts';

/** More than this in one backfill is a typing error, or better cut in two. */
const MOST_TIMES = 500;

/** `from`, `from + every`, … up to and including `to`; canonical times, ascending. Months are steps in the UTC calendar. */
export interface BackfillRange {
  from: string;
  to: string;
  every: string;
}

/**
 * Times of a backfill: `2020-01-31` to `2020-04-30` every `1mo` → 31 January, 29 February, 31 March, 30 April: each counted
 * from the first, so that a short month does not shorten those after it. @throws RefitError REFIT_USAGE
 */
export function backfillTimes({ from, to, every }: BackfillRange): string[] {
  const match = /^([1-9]\d*)(s|m|h|d|w|mo|y)$/.exec(every);
  if (!match) throw new RefitError('REFIT_USAGE', `--every ${every} is no duration; write e.g. 6h, 1d, 1w, 1mo.`);
  if (Date.parse(from) > Date.parse(to))
    throw new RefitError('REFIT_USAGE', `--from ${from} is later than --to ${to}.`);
  if (Date.parse(from) <= 0)
    throw new RefitError('REFIT_USAGE', `--from ${from} is not after 1970-01-01, where schedules begin.`);
  const times: string[] = [];
  const start = new Date(from);
  for (let index = 0; ; index++) {
    const time = index === 0 ? start : shift(start, `${index * Number(match[1])}${match[2]}`, 1);
    if (time.getTime() > Date.parse(to)) return times;
    if (times.length === MOST_TIMES) {
      throw new RefitError('REFIT_USAGE', `From ${from} to ${to} every ${every} makes more than ${MOST_TIMES} runs.`);
    }
    times.push(`${time.toISOString().slice(0, 19)}Z`);
  }
}

/** Every `slices`-th of the times, beginning with number `slice` (0 …): each slice runs one after the other. */
export function sliceOf(times: readonly string[], slice: number, slices: number): string[] {
  return times.filter((_, index) => index % slices === slice);
}

/**
 * A schedule that yields these times: an interval where their distance is fixed, else one for each, as long as the time since
 * 1970. (Calendar entries would say it plainer, but the server takes none before the year 2000. Its intervals, counted from
 * 1970, never yield their first time, which is why no offset may stand for the whole time since then.)
 */
export function specOf(times: readonly string[], every: string, slices: number): ScheduleSpec {
  const [first = '', last = first] = [times[0], times.at(-1)];
  const step = /(mo|y)$/.test(every) ? Infinity : durationSeconds(every) * slices * 1000;
  const intervals =
    step > Date.parse(first)
      ? times.map((time) => ({ every: Date.parse(time) }))
      : [{ every: step, offset: Date.parse(first) % step }];
  return { startAt: new Date(first), endAt: new Date(last), timezone: 'UTC', intervals };
}
