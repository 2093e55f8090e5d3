import { RefitError } from './errors.ts';

const UNIT_MS: Record<string, number> = { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };

/** Splits `3mo` into count and unit. @throws RefitError REFIT_PIPELINE_INVALID */
function parse(duration: string): { count: number; unit: string } {
  const match = /^([1-9]\d*)(s|m|h|d|w|mo|y)$/.exec(duration);
  if (!match?.[1] || !match[2]) {
    throw new RefitError('REFIT_PIPELINE_INVALID', `"${duration}" is no duration; write e.g. 90s, 15m, 2h, 7d, 3mo.`);
  }
  return { count: Number(match[1]), unit: match[2] };
}

/** `from` plus (`sign` 1) or minus (-1) a duration; months and years step in the UTC calendar, clamped to its last day. */
export function shift(from: Date, duration: string, sign: 1 | -1): Date {
  const { count, unit } = parse(duration);
  const ms = UNIT_MS[unit];
  if (ms !== undefined) return new Date(from.getTime() + sign * count * ms);
  const months = sign * count * (unit === 'y' ? 12 : 1);
  const to = new Date(from);
  to.setUTCDate(1);
  to.setUTCMonth(to.getUTCMonth() + months);
  const lastDay = new Date(Date.UTC(to.getUTCFullYear(), to.getUTCMonth() + 1, 0)).getUTCDate();
  to.setUTCDate(Math.min(from.getUTCDate(), lastDay));
  return to;
}

/** Seconds in a duration. @throws RefitError for months and years, which have no fixed length. */
export function durationSeconds(duration: string): number {
  const { count, unit } = parse(duration);
  const ms = UNIT_MS[unit];
  if (ms === undefined) {
    throw new RefitError('REFIT_PIPELINE_INVALID', `"${duration}" has no fixed length here; use days or weeks.`);
  }
  return (count * ms) / 1000;
}

/** Canonical asOf: ISO UTC without milliseconds. `2014-01-01` → `2014-01-01T00:00:00Z`. @throws REFIT_AS_OF_INVALID */
export function canonicalAsOf(text: string): string {
  const shape = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$/;
  const date = new Date(text);
  if (!shape.test(text) || Number.isNaN(date.getTime())) {
    throw new RefitError('REFIT_AS_OF_INVALID', `"${text}" is no date, and no time with its zone.`);
  }
  // JavaScript rolls 2013-02-30 over to March 2: a date that does not exist is refused instead.
  const day = text.slice(0, 10);
  if (new Date(day).toISOString().slice(0, 10) !== day) {
    throw new RefitError('REFIT_AS_OF_INVALID', `"${text}" is not in the calendar.`);
  }
  return `${date.toISOString().slice(0, 19)}Z`;
}
