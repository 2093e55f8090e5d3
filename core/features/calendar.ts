/**
 * Calendar features of the prediction time, on the clock of a zone: as SQL for the offline join and as a function for the
 * online one. Both follow the IANA zone through daylight saving; weeks are ISO weeks, a week begins on Monday (1).
 */
import { literal } from '../dataset/duckdb.ts';
import type { FeatureInfo } from '../spec/artifacts.ts';
import type { CalendarPart, CalendarView } from '../spec/pipeline.ts';

interface Part {
  /** SQL over a local TIMESTAMP. */
  sql: (local: string) => string;
  of: (local: Date) => number;
  /** After so many it begins again. */
  period: number;
}

const weekday = (local: Date) => local.getUTCDay() || 7;

/** ISO week: that of the Thursday of the same week. */
function isoWeek(local: Date): number {
  const thursday = Date.UTC(local.getUTCFullYear(), local.getUTCMonth(), local.getUTCDate() + 4 - weekday(local));
  return Math.floor((thursday - Date.UTC(new Date(thursday).getUTCFullYear(), 0, 1)) / 864e5 / 7) + 1;
}

const PARTS: Record<CalendarPart, Part> = {
  minuteOfDay: {
    sql: (t) => `hour(${t}) * 60 + minute(${t})`,
    of: (t) => t.getUTCHours() * 60 + t.getUTCMinutes(),
    period: 1440,
  },
  hour: { sql: (t) => `hour(${t})`, of: (t) => t.getUTCHours(), period: 24 },
  weekday: { sql: (t) => `isodow(${t})`, of: weekday, period: 7 },
  weekend: { sql: (t) => `(isodow(${t}) > 5)::TINYINT`, of: (t) => (weekday(t) > 5 ? 1 : 0), period: 2 },
  day: { sql: (t) => `day(${t})`, of: (t) => t.getUTCDate(), period: 31 },
  week: { sql: (t) => `week(${t})`, of: isoWeek, period: 53 },
  month: { sql: (t) => `month(${t})`, of: (t) => t.getUTCMonth() + 1, period: 12 },
  quarter: { sql: (t) => `quarter(${t})`, of: (t) => Math.floor(t.getUTCMonth() / 3) + 1, period: 4 },
  year: { sql: (t) => `year(${t})`, of: (t) => t.getUTCFullYear(), period: 10_000 },
};

/** Two platforms' sines differ in their last digit; nine decimals are more than float32 holds. */
const DIGITS = 9;

interface CalendarFeature {
  feature: FeatureInfo;
  sql: string;
  value(local: Date): number;
}

function calendarFeatures(view: CalendarView, local: string): CalendarFeature[] {
  return view.parts.flatMap(({ name, part, cyclical }): CalendarFeature[] => {
    const { sql, of, period } = PARTS[part];
    const info = (own: string): FeatureInfo => ({ name: own, kind: 'number', view: view.name });
    if (!cyclical) return [{ feature: info(name), sql: `(${sql(local)})::FLOAT`, value: of }];
    return (['sin', 'cos'] as const).map((fn) => ({
      feature: info(`${name}_${fn}`),
      sql: `round(${fn}(2 * pi() * (${sql(local)}) / ${period}), ${DIGITS})::FLOAT`,
      value: (at) => Math.fround(Number(Math[fn]((2 * Math.PI * of(at)) / period).toFixed(DIGITS))),
    }));
  });
}

/** Features of a calendar view as SQL over a TIMESTAMP in UTC; null where there is no time. */
export function calendarSql(view: CalendarView, at: string): { feature: FeatureInfo; sql: string }[] {
  const local = `timezone(${literal(view.zone)}, timezone('UTC', CASE WHEN isfinite(${at}) THEN ${at} END))`;
  return calendarFeatures(view, local).map(({ feature, sql }) => ({ feature, sql }));
}

/** The same values, by feature name, for a time in milliseconds since 1970 UTC. */
export function calendarValues(view: CalendarView, atMs: number): Record<string, number> {
  const local = new Date(localMs(view.zone, atMs));
  return Object.fromEntries(calendarFeatures(view, '').map(({ feature, value }) => [feature.name, value(local)]));
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** The clock of a zone, told as if it were UTC. */
function localMs(zone: string, atMs: number): number {
  let format = formats.get(zone);
  if (!format) {
    const numeric = { year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric' } as const;
    format = new Intl.DateTimeFormat('en-US', { timeZone: zone, calendar: 'iso8601', hourCycle: 'h23', ...numeric });
    formats.set(zone, format);
  }
  const parts = new Map(format.formatToParts(atMs).map(({ type, value }) => [type, Number(value)]));
  const of = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? 0;
  return Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'));
}
