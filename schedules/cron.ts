import type { CalendarSpec, CalendarSpecDescription, DayOfWeek, Month, Range } from '@temporalio/client';

/**
 * Cron expressions of five fields, as calendars that the Temporal server takes. Compiled here and not there, so that a wrong
 * one is refused before anything is changed, and so that what the server holds can be compared with what is declared.
 * Days mean what they mean to cron: where both day of month and day of week are given, either is enough.
 */

const MONTHS = [
  ...(['JANUARY', 'FEBRUARY', 'MARCH', 'APRIL', 'MAY', 'JUNE'] as const),
  ...(['JULY', 'AUGUST', 'SEPTEMBER', 'OCTOBER', 'NOVEMBER', 'DECEMBER'] as const),
] satisfies Month[];
const DAYS = [
  ...(['SUNDAY', 'MONDAY', 'TUESDAY', 'WEDNESDAY', 'THURSDAY', 'FRIDAY', 'SATURDAY'] as const),
] satisfies DayOfWeek[];
const LONGEST_MONTH = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

interface Field {
  name: string;
  min: number;
  max: number;
  /** Three-letter names of the values, the first one for `min`. */
  names?: string[];
}

const short = (names: readonly string[]) => names.map((name) => name.slice(0, 3));
const FIELDS = [
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'day of month', min: 1, max: 31 },
  { name: 'month', min: 1, max: 12, names: short(MONTHS) },
  // 7 is Sunday, too.
  { name: 'day of week', min: 0, max: 7, names: short(DAYS) },
] as const satisfies Field[];

interface Step {
  start: number;
  end: number;
  step: number;
}

/**
 * `0 5 * * 1` → one calendar: 05:00 on Mondays; `0 5 1 * 1` → two: 05:00 on Mondays and on the first of the month. Each
 * bears the expression as its comment. @throws SyntaxError that names the field
 */
export function cronCalendars(expression: string): CalendarSpec[] {
  const texts = expression.trim().split(/\s+/);
  if (texts.length !== FIELDS.length || texts[0] === '') {
    throw new SyntaxError(
      `it has ${texts[0] === '' ? 'no' : texts.length} fields, but cron takes five: minute hour day-of-month month day-of-week`,
    );
  }
  const [minute, hour, dayOfMonth, month, dayOfWeek] = FIELDS.map((field, index) =>
    parseField(texts[index] ?? '', field),
  ) as [Step[], Step[], Step[], Step[], Step[]];
  const comment = texts.join(' ');
  const time = { second: 0, minute, hour, month: month.map((range) => named(range, MONTHS, 1)), comment };
  if (!happens(dayOfMonth, month))
    throw new SyntaxError(`day of month ${texts[2]} is in none of the months ${texts[3]}`);
  const ofMonth = { ...time, dayOfMonth };
  const ofWeek = { ...time, dayOfWeek: weekDays(dayOfWeek) };
  const either = !texts[2]?.startsWith('*') && !texts[4]?.startsWith('*');
  return either ? [ofMonth, ofWeek] : [{ ...ofMonth, ...ofWeek }];
}

/** A star, `5`, `1-5`, each with or without a step (`10-40/10`, `10/5`: from 10 to the end), and lists of these. */
function parseField(text: string, field: Field): Step[] {
  return text.split(',').map((part) => {
    const match = /^(?:(\*)|(\w+)(?:-(\w+))?)(?:\/(\d+))?$/.exec(part);
    const fail = (why: string) => new SyntaxError(`${field.name} "${text}" ${why}`);
    if (!match) throw fail('is no cron field');
    const [, star, first, last, every] = match;
    const step = every === undefined ? 1 : Number(every);
    if (step < 1) throw fail('has a step of 0');
    if (star) return { start: field.min, end: field.names && field.min === 0 ? 6 : field.max, step };
    const start = numberOf(first ?? '', field);
    const end = last === undefined ? (every === undefined ? start : field.max) : numberOf(last, field);
    if (start === undefined || end === undefined) {
      throw fail(`is not within ${field.min} to ${field.max}${field.names ? ` or ${field.names.join(', ')}` : ''}`);
    }
    if (end < start) throw fail('ends before it begins');
    return { start, end, step };
  });
}

function numberOf(text: string, { min, max, names }: Field): number | undefined {
  const named = names?.indexOf(text.toUpperCase()) ?? -1;
  if (named >= 0) return min + named;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return value >= min && value <= max ? value : undefined;
}

function named<Name>({ start, end, step }: Step, names: readonly Name[], first: number): Range<Name> {
  return { start: names[start - first] as Name, end: names[end - first] as Name, step };
}

/** Sunday is 0 and 7: a range that runs up to 7 is told day by day. */
function weekDays(ranges: Step[]): Range<DayOfWeek>[] {
  return ranges.flatMap((range) => {
    if (range.end < 7) return [named(range, DAYS, 0)];
    return valuesOf([range]).map((day) => named({ start: day % 7, end: day % 7, step: 1 }, DAYS, 0));
  });
}

function valuesOf(ranges: Step[]): number[] {
  const values = new Set<number>();
  for (const { start, end, step } of ranges) for (let value = start; value <= end; value += step) values.add(value);
  return [...values].sort((a, b) => a - b);
}

function happens(days: Step[], months: Step[]): boolean {
  const first = valuesOf(days)[0] ?? 1;
  return valuesOf(months).some((month) => first <= (LONGEST_MONTH[month - 1] ?? 31));
}

/** The same text for calendars that match the same times, however their ranges are written; null for none. */
export function calendarsText(calendars: readonly (CalendarSpec | CalendarSpecDescription)[]): string | null {
  if (calendars.length === 0) return null;
  return calendars.map(calendarText).sort().join(' or ');
}

function calendarText(calendar: CalendarSpec | CalendarSpecDescription): string {
  const numbers = (value: unknown, all: Step, names?: readonly string[]): string => {
    const items = value === undefined || value === '*' ? [] : [value].flat();
    const place = (item: unknown) => (names ? names.indexOf(item as string) + (all.start === 1 ? 1 : 0) : Number(item));
    const ranges = items.map((item) => {
      if (typeof item !== 'object' || item === null) return { start: place(item), end: place(item), step: 1 };
      const { start, end = start, step = 1 } = item as Partial<Range<unknown>>;
      return { start: place(start), end: Math.max(place(start), place(end)), step: Math.max(1, step) };
    });
    const values = valuesOf(ranges.length === 0 ? [all] : ranges);
    return values.length === valuesOf([all]).length ? '*' : values.join(',');
  };
  const { minute, hour, dayOfMonth, month, dayOfWeek } = calendar;
  const parts = [
    numbers(minute ?? 0, { start: 0, end: 59, step: 1 }),
    numbers(hour ?? 0, { start: 0, end: 23, step: 1 }),
    numbers(dayOfMonth, { start: 1, end: 31, step: 1 }),
    numbers(month, { start: 1, end: 12, step: 1 }, MONTHS),
    numbers(dayOfWeek, { start: 0, end: 6, step: 1 }, DAYS),
  ];
  // What cron cannot say, somebody may have set by hand.
  const second = numbers(calendar.second ?? 0, { start: 0, end: 59, step: 1 });
  if (second !== '0') parts.push(`second ${second}`);
  const years = calendar.year === undefined || calendar.year === '*' ? [] : [calendar.year].flat();
  if (years.length > 0) parts.push(`year ${JSON.stringify(years)}`);
  return parts.join(' ');
}
