import { describe, expect, test } from 'vitest';
import { RefitError } from '../../core/spec/errors.ts';
import type { ScheduleSpec } from '../../core/spec/pipeline.ts';
import { declaredSchedules, type ScheduleToBe } from '../../schedules/declared.ts';
import { differences, durationText, fieldsToBe } from '../../schedules/fields.ts';
import { refusal } from '../../schedules/refusal.ts';

const BASE = { zone: 'UTC', overlap: 'skip', catchup: '7d', pauseOnFailure: false } as const;
const declare = (schedule: Partial<ScheduleSpec>) =>
  declaredSchedules({ name: 'orders', schedule: { ...BASE, ...schedule } })[0] as ScheduleToBe;

describe('a declared schedule', () => {
  test('starts the pipeline by name, as of whatever time it is scheduled for', () => {
    const { scheduleId, action, memo } = declare({ cron: '0 5 * * 1' });
    expect(scheduleId).toBe('schedule/orders');
    expect(action).toMatchObject({
      ...{ workflowType: 'trainPipeline', taskQueue: 'refit-control', workflowId: 'train/orders' },
      ...{ args: [{ pipeline: 'orders' }], memo: { trigger: 'schedule' } },
    });
    expect(memo).toEqual({ refit: 'schedule', pipeline: 'orders' });
  });

  test('of online features starts their materialisation, and stands beside that of the runs', () => {
    const [runs, features] = declaredSchedules({
      name: 'orders',
      schedule: { ...BASE, cron: '0 5 * * 1' },
      materialize: { ...BASE, every: '15m' },
    });
    expect(runs?.scheduleId).toBe('schedule/orders');
    expect(features).toMatchObject({
      scheduleId: 'schedule/orders/materialize',
      spec: { intervals: [{ every: 900_000 }] },
      action: {
        ...{ workflowType: 'materializeFeatures', taskQueue: 'refit-control', workflowId: 'materialize/orders' },
        ...{ args: [{ pipeline: 'orders' }], memo: { trigger: 'schedule' } },
      },
      memo: { refit: 'schedule', pipeline: 'orders' },
    });
    const wrong = { name: 'orders', materialize: { ...BASE, every: '1mo' } };
    expect(() => declaredSchedules(wrong)).toThrow('The schedule of orders/materialize is wrong: every "1mo"');
    expect(declaredSchedules({ name: 'orders' })).toEqual([]);
  });

  test('interval, jitter and catch-up in milliseconds', () => {
    const { spec, policies } = declare({ every: '2w', jitter: '90s', catchup: '2h', overlap: 'buffer-all' });
    expect(spec).toEqual({ intervals: [{ every: 1_209_600_000 }], timezone: 'UTC', jitter: 90_000 });
    expect(policies).toEqual({ overlap: 'BUFFER_ALL', catchupWindow: 7_200_000, pauseOnFailure: false });
  });

  test.each<[string, Partial<ScheduleSpec>, string]>([
    ['neither', {}, 'neither cron nor every'],
    ['both', { cron: '0 5 * * 1', every: '1d' }, 'both cron and every'],
    ['a bad cron', { cron: '0 5 * *' }, '4 fields'],
    ['an unknown zone', { cron: '0 5 * * 1', zone: 'Europe/Atlantis' }, '"Europe/Atlantis" is no time zone'],
    ['calendar months', { every: '1mo' }, 'every "1mo" has no fixed length'],
    ['a catch-up in years', { every: '1d', catchup: '1y' }, 'catchup "1y" has no fixed length'],
    ['a catch-up that the server would lengthen', { every: '1d', catchup: '5s' }, 'below the 10s'],
  ])('%s is refused', (_, schedule, reason) => {
    expect(() => declare(schedule)).toThrow(
      expect.objectContaining({ code: 'REFIT_SCHEDULE_INVALID', message: expect.stringContaining(reason) as string }),
    );
  });
});

describe('differences', () => {
  const from = fieldsToBe(declare({ cron: '0 5 * * 1', note: 'each Monday' }));

  test('the same times written otherwise are no difference', () => {
    expect(differences(fieldsToBe(declare({ every: '24h' })), fieldsToBe(declare({ every: '1d' })), false)).toEqual([]);
  });

  test('a field that was dropped is one', () => {
    const to = fieldsToBe(declare({ every: '1d', note: 'each Monday' }));
    expect(differences(from, to, false)).toEqual([
      { field: 'cron', from: '0 5 * * 1', to: null },
      { field: 'every', from: null, to: '1d' },
    ]);
  });

  test('the note of a paused schedule is the operator’s, and so is one that nobody declares', () => {
    const said = { ...from, note: 'paused by ada' };
    expect(differences(said, from, true)).toEqual([]);
    expect(differences(said, from, false)).toEqual([{ field: 'note', from: 'paused by ada', to: 'each Monday' }]);
    expect(differences(said, { ...from, note: null }, false)).toEqual([]);
  });
});

test('durations are told in the largest unit that fits', () => {
  expect([90_000, 604_800_000, 5_400_000, 1_500].map(durationText)).toEqual(['90s', '7d', '90m', '1500ms']);
});

test('what the server refuses is an error of the catalogue, what else goes wrong is not', () => {
  const cause = { code: 3, details: 'schedule spec is too long' };
  const refused = refusal(new Error('Failed to create schedule', { cause }), 'schedule/orders');
  expect(refused).toBeInstanceOf(RefitError);
  expect(refused).toMatchObject({
    code: 'REFIT_SCHEDULE_INVALID',
    message: 'The server refuses the schedule schedule/orders: schedule spec is too long.',
  });
  const down = new Error('Failed to create schedule', { cause: { code: 14, details: 'no connection' } });
  expect(refusal(down, 'schedule/orders')).toBe(down);
});
