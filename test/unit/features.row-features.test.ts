/** Features of the prediction time and of other features: the SQL of the join and the function of the online path agree. */
import { tmpdir } from 'node:os';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { withDuckDb } from '../../core/dataset/duckdb.ts';
import { aggregateValues } from '../../core/features/aggregate.ts';
import { calendarSql, calendarValues } from '../../core/features/calendar.ts';
import { derivedSql, derivedValues } from '../../core/features/derive.ts';
import { SortedList } from '../../core/features/sorted-list.ts';
import { calendar, cross, derived, difference, product, ratio } from '../../core/spec/define-views.ts';
import type { CalendarPart, CalendarView, DerivedView } from '../../core/spec/pipeline.ts';
import { valuesOf } from './features.fixture.ts';

const PARTS: CalendarPart[] = ['minuteOfDay', 'hour', 'weekday', 'weekend', 'day', 'week', 'month', 'quarter', 'year'];
const round = PARTS.filter((part) => part !== 'year' && part !== 'weekend');

const viewIn = (zone: string, cyclical: boolean) =>
  calendar(cyclical ? round.map((part) => ({ [`${part}_round`]: part })) : PARTS, { zone, cyclical }) as CalendarView;

async function bySql(view: CalendarView, times: number[]): Promise<unknown[][]> {
  return withDuckDb({ scratch: tmpdir() }, (db) => {
    const columns = calendarSql(view, 't').map(({ sql }) => sql);
    const rows = times.map((ms) => `(make_timestamp(${ms * 1000}))`).join(', ');
    return valuesOf(db, `SELECT ${columns.join(', ')} FROM (VALUES ${rows}) v(t)`);
  });
}

describe('calendar', () => {
  test('follows the clock of its zone through daylight saving', async () => {
    const view = calendar(['hour', 'weekday', { late: 'minuteOfDay' }], { zone: 'America/New_York' }) as CalendarView;
    // The night in which clocks went from 02:00 to 03:00, and the one in which they went back.
    const times = ['2013-03-10T06:59:00Z', '2013-03-10T07:00:00Z', '2013-11-03T05:30:00Z', '2013-11-03T06:30:00Z'];
    const expected = [
      { hour: 1, weekday: 7, late: 119 },
      { hour: 3, weekday: 7, late: 180 },
      { hour: 1, weekday: 7, late: 90 },
      { hour: 1, weekday: 7, late: 90 },
    ];
    expect(times.map((time) => calendarValues(view, Date.parse(time)))).toEqual(expected);
    const found = await bySql(
      view,
      times.map((time) => Date.parse(time)),
    );
    expect(found).toEqual(expected.map(({ hour, weekday, late }) => [hour, weekday, late]));
  });

  test.each(['UTC', 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe'])(
    'in %s every part is the same in the join and online, at any time',
    async (zone) => {
      const times = fc.sample(fc.integer({ min: Date.UTC(1990, 0, 1), max: Date.UTC(2026, 0, 1) }), 2000);
      for (const view of [viewIn(zone, false), viewIn(zone, true)]) {
        const expected = times.map((ms) => Object.values(calendarValues(view, ms)));
        expect(await bySql(view, times)).toEqual(expected);
      }
    },
  );

  test('has nothing to say of no time', async () => {
    const view = calendar(['hour']) as CalendarView;
    const [hour] = calendarSql(view, 't');
    const found = await withDuckDb({ scratch: tmpdir() }, (db) =>
      valuesOf(db, `SELECT ${hour?.sql} FROM (VALUES (NULL::TIMESTAMP), ('infinity'::TIMESTAMP)) v(t)`),
    );
    expect(found).toEqual([[null], [null]]);
  });
});

describe('derived', () => {
  const view = derived({
    share: ratio('a', 'b'),
    more: difference('a', 'b'),
    area: product('a', 'b'),
    both: cross('c', 'a'),
    twice: ratio('share', 'a'),
  }) as DerivedView;
  const earlier = new Map([
    ['a', { sql: 'a', kind: 'number' as const }],
    ['b', { sql: 'b', kind: 'number' as const }],
    ['c', { sql: 'c', kind: 'category' as const }],
  ]);
  const number = fc.option(
    fc.oneof(fc.integer({ min: -3, max: 3 }), fc.float({ noDefaultInfinity: true, noNaN: true })),
  );

  test('by example: nothing by nothing, and no text of what is not whole', () => {
    expect(derivedValues(view, { a: 3, b: 0, c: 'JFK' })).toEqual({
      share: null,
      more: 3,
      area: 0,
      both: 'JFK|3',
      twice: null,
    });
    expect(derivedValues(view, { a: 0.5, b: 2, c: 'JFK' })).toMatchObject({ share: 0.25, both: null, twice: 0.5 });
    expect(derivedValues(view, { a: null, b: 2, c: 'JFK' })).toMatchObject({ share: null, area: null, both: null });
  });

  test('is the same in the join and online', async () => {
    const category = fc.option(fc.constantFrom('JFK', "d'Or", 'a|b'));
    const rows = fc.sample(fc.record({ a: number, b: number, c: category }), 500);
    const sql = (value: number | string | null, type: string) =>
      value === null
        ? `NULL::${type}`
        : typeof value === 'number'
          ? `'${value}'::DOUBLE::FLOAT`
          : `'${value.replaceAll("'", "''")}'`;
    const values = rows.map(({ a, b, c }) => `(${sql(a, 'FLOAT')}, ${sql(b, 'FLOAT')}, ${sql(c, 'VARCHAR')})`);
    const columns = derivedSql(view, earlier).map((column) => column.sql);
    const found = await withDuckDb({ scratch: tmpdir() }, (db) =>
      valuesOf(db, `SELECT ${columns.join(', ')} FROM (VALUES ${values.join(', ')}) v(a, b, c)`),
    );
    const plain = (value: unknown) => (value === 0 ? 0 : value);
    expect(found.map((row) => row.map(plain))).toEqual(
      rows.map((row) => Object.values(derivedValues(view, row)).map(plain)),
    );
  });

  test('of a feature that is not there, or of a category where a number is needed, is refused', () => {
    const of = (operation: ReturnType<typeof ratio>) => () =>
      derivedSql(derived({ x: operation }) as DerivedView, earlier);
    expect(of(ratio('a', 'nobody'))).toThrow(/"nobody", which is no feature of an earlier view/);
    expect(of(product('a', 'c'))).toThrow(/needs numbers, and "c" is a category/);
  });
});

describe('aggregates over values', () => {
  const values = fc.array(fc.option(fc.double({ min: -1e6, max: 1e6, noNaN: true })), { maxLength: 30 });

  test('are what DuckDB computes, and do not depend on the order of rows where order means nothing', async () => {
    const sums = ['sum', 'avg', 'std', 'min', 'max', 'count', 'distinct'] as const;
    fc.assert(
      fc.property(values, (given) => {
        for (const fn of sums) expect(aggregateValues({ fn }, given.toReversed())).toBe(aggregateValues({ fn }, given));
        expect(aggregateValues({ fn: 'quantile', q: 0 }, given)).toBe(aggregateValues({ fn: 'min' }, given));
        expect(aggregateValues({ fn: 'quantile', q: 1 }, given)).toBe(aggregateValues({ fn: 'max' }, given));
      }),
    );
    expect(aggregateValues({ fn: 'min' }, [-0])).toBe(0);
    expect(aggregateValues({ fn: 'quantile', q: 0.25 }, [1, 2, 3, 10])).toBe(1.75);
    expect(aggregateValues({ fn: 'last' }, ['rain', null])).toBe('rain');
    expect(aggregateValues({ fn: 'share' }, [1, 0, null, 1])).toBe(Math.fround(2 / 3));
    expect(aggregateValues({ fn: 'std' }, [1e9 + 1, 1e9 + 2, 1e9 + 3])).toBe(1);
  });

  test('a list of many numbers stays in order while it grows and shrinks', () => {
    const numbers = fc.sample(fc.integer({ min: 0, max: 400 }), 6000);
    const list = new SortedList<number>((a, b) => a - b);
    for (const value of numbers) list.add(value);
    const [gone, kept] = [numbers.slice(0, 4000), numbers.slice(4000).sort((a, b) => a - b)];
    for (const value of gone) list.remove(value);
    list.remove(1e9);
    expect(list.size).toBe(kept.length);
    expect(kept.map((_value, rank) => list.at(rank))).toEqual(kept);
  });
});
