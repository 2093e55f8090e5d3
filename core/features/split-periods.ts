/** The split by time: test, validation and training periods, back from the run's date. */
import type { Period, Split } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { SplitSpec } from '../spec/pipeline.ts';
import { shift } from '../spec/time.ts';

/** First and last prediction time of what there is, ISO UTC; null = no rows. */
export type Available = Period | null;

/**
 * Half-open periods in prediction time: test = [asOf - test, asOf), validation right before it, then training, with at most
 * `train.max` of data and at least `train.min`.
 *
 *   asOf 2014-01-01, test 3mo, validate 1mo, train at most 8mo, data from 2013-01-01T05:00 on
 *   → train 2013-01-01T05:00 … 2013-09-01, validate 2013-09-01 … 2013-10-01, test 2013-10-01 … 2014-01-01
 *
 * @throws RefitError REFIT_WINDOW_EMPTY when there is less data than `train.min`
 */
export function splitPeriods(asOf: string, split: SplitSpec, available: Available): Record<Split, Period> {
  const test = shift(new Date(asOf), split.test, -1);
  const validate = shift(test, split.validate, -1);
  const longest = shift(validate, split.train.max, -1);
  const shortest = shift(validate, split.train.min, -1);
  const first = available === null ? undefined : new Date(available.from);
  // Data that begins at the first flight of a day begins on that day.
  if (!first || startOfDay(first, split.train.min) > shortest.getTime())
    throw windowEmpty('train', { from: iso(shortest), to: iso(validate) }, available);
  return {
    train: { from: iso(new Date(Math.max(first.getTime(), longest.getTime()))), to: iso(validate) },
    validate: { from: iso(validate), to: iso(test) },
    test: { from: iso(test), to: iso(new Date(asOf)) },
  };
}

/** No rows where rows must be; says what there is. */
export function windowEmpty(split: Split, period: Period, available: Available): RefitError {
  const there =
    available === null ? 'there are no rows at all' : `there are rows from ${available.from} to ${available.to}`;
  const what = split === 'train' ? 'Not enough data to train on' : `No labelled rows to ${split} on`;
  return new RefitError('REFIT_WINDOW_EMPTY', `${what} from ${period.from} to ${period.to}: ${there}.`, {
    split,
    period,
    available,
  });
}

function startOfDay(time: Date, duration: string): number {
  const days = /(d|w|mo|y)$/.test(duration);
  return days ? Date.UTC(time.getUTCFullYear(), time.getUTCMonth(), time.getUTCDate()) : time.getTime();
}

function iso(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`;
}
