import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { calendarsText, cronCalendars } from '../../schedules/cron.ts';

const meaning = (cron: string) => calendarsText(cronCalendars(cron));

describe('cron expressions become calendars', () => {
  test.each([
    ['0 5 * * 1', '0 5 * * 1'],
    ['*/15 8-10,18 * * *', '0,15,30,45 8,9,10,18 * * *'],
    ['5/20 0 * * *', '5,25,45 0 * * *'],
    ['0 0 1 jan,MAR-apr *', '0 0 1 1,3,4 *'],
    // 7 is Sunday, as 0 is.
    ['0 0 * * 5-7', '0 0 * * 0,5,6'],
    ['0 0 * * 7', '0 0 * * 0'],
    ['  0   5 * * sun  ', '0 5 * * 0'],
  ])('%s', (cron, expected) => expect(meaning(cron)).toBe(expected));

  test('day of month and day of week: either is enough, as cron has it; both where one begins with a star', () => {
    expect(meaning('0 5 1 * 1')).toBe('0 5 * * 1 or 0 5 1 * *');
    expect(meaning('0 5 */10 * 1')).toBe('0 5 1,11,21,31 * 1');
  });

  test('each calendar bears the expression, so that people find it again on the server', () => {
    expect(cronCalendars('0  5 1 * 1').map(({ comment }) => comment)).toEqual(['0 5 1 * 1', '0 5 1 * 1']);
  });

  test.each([
    ['', 'no fields'],
    ['@daily', '1 fields'],
    ['0 0 * * * 2030', '6 fields'],
    ['61 * * * *', 'minute "61" is not within 0 to 59'],
    ['0 24 * * *', 'hour "24" is not within 0 to 23'],
    ['0 0 0 * *', 'day of month "0" is not within 1 to 31'],
    ['0 0 * 13 *', 'month "13" is not within 1 to 12 or JAN'],
    ['0 0 * * 8', 'day of week "8" is not within 0 to 7 or SUN'],
    ['0 0 L * *', 'day of month "L" is not within'],
    ['0 0 ? * *', 'day of month "?" is no cron field'],
    ['0 5-1 * * *', 'hour "5-1" ends before it begins'],
    ['*/0 * * * *', 'minute "*/0" has a step of 0'],
    ['1,,2 * * * *', 'minute "1,,2" is no cron field'],
    ['0 0 31 2 *', 'day of month 31 is in none of the months 2'],
    ['0 0 31 4,6,9,11 *', 'in none of the months'],
  ])('"%s" is refused: %s', (cron, reason) => expect(() => cronCalendars(cron)).toThrow(reason));

  test('29 February happens', () => expect(meaning('0 0 29 2 *')).toBe('0 0 29 2 *'));

  test('a value is matched exactly where cron says so', () => {
    const field = fc.record({ start: fc.nat(59), length: fc.nat(59), step: fc.integer({ min: 1, max: 30 }) });
    fc.assert(
      fc.property(fc.array(field, { minLength: 1, maxLength: 4 }), (fields) => {
        const parts = fields.map(({ start, length, step }) => ({ start, end: Math.min(59, start + length), step }));
        const text = parts.map(({ start, end, step }) => `${start}-${end}/${step}`).join(',');
        const matched = Array.from({ length: 60 }, (_, minute) => minute).filter((minute) =>
          parts.some(({ start, end, step }) => minute >= start && minute <= end && (minute - start) % step === 0),
        );
        const expected = matched.length === 60 ? '*' : matched.join(',');
        expect(meaning(`${text} * * * *`)).toBe(`${expected} * * * *`);
      }),
    );
  });
});

test('calendars written by hand are told apart from cron', () => {
  expect(calendarsText([])).toBeNull();
  expect(calendarsText([{ hour: 5, dayOfWeek: 'MONDAY' }])).toBe(meaning('0 5 * * 1'));
  expect(calendarsText([{ hour: { start: 1, end: 5 } }])).toBe('0 1,2,3,4,5 * * *');
  expect(calendarsText([{ second: 30, hour: 5 }])).not.toBe(meaning('0 5 * * *'));
  expect(calendarsText([{ year: 2030, hour: 5 }])).not.toBe(meaning('0 5 * * *'));
});
