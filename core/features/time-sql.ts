/** Durations of a pipeline as SQL. */
import { RefitError } from '../spec/errors.ts';

const UNITS: Record<string, string> = {
  s: 'SECOND',
  m: 'MINUTE',
  h: 'HOUR',
  d: 'DAY',
  w: 'WEEK',
  mo: 'MONTH',
  y: 'YEAR',
};

/** `6h` → `INTERVAL 6 HOUR`; months step in the calendar, as `shift` of core/spec/time.ts does. @throws REFIT_PIPELINE_INVALID */
export function durationInterval(duration: string): string {
  const match = /^([1-9]\d*)(s|m|h|d|w|mo|y)$/.exec(duration);
  const unit = UNITS[match?.[2] ?? ''];
  if (!match?.[1] || !unit) {
    throw new RefitError('REFIT_PIPELINE_INVALID', `"${duration}" is no duration; write e.g. 90s, 15m, 2h, 7d, 3mo.`);
  }
  return `INTERVAL ${match[1]} ${unit}`;
}
