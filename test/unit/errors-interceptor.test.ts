import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import type { ActivityExecuteInput } from '@temporalio/worker';
import { describe, expect, test } from 'vitest';
import { ErrorsInterceptor, toFailure } from '../../activities/errors-interceptor.ts';
import { ERRORS, RefitError } from '../../core/spec/errors.ts';
import { mockActivity } from '../support/activity-context.ts';

const failureOf = (error: unknown, attempt = 1, cancelled = false) =>
  toFailure(error, attempt, cancelled) as ApplicationFailure;

describe('an error of an activity becomes a failure that says', () => {
  test('code, sentence, cure and details, and that trying again is no use', () => {
    const error = new RefitError('REFIT_CONTRACT_TYPE', 'Column "hour" is text.', { column: 'hour' });
    const failure = failureOf(error);
    expect(failure).toBeInstanceOf(ApplicationFailure);
    expect(failure).toMatchObject({
      type: 'REFIT_CONTRACT_TYPE',
      message: 'Column "hour" is text.',
      nonRetryable: true,
      details: [{ code: error.code, cure: ERRORS.REFIT_CONTRACT_TYPE.cure, details: { column: 'hour' } }],
      cause: error,
    });
  });

  test.each([1, 2, 25])('that a passing error may be tried again, in attempt %i too', (attempt) => {
    const failure = failureOf(new RefitError('REFIT_CONFLICT', 'Somebody else was faster.'), attempt);
    expect(failure).toMatchObject({ type: 'REFIT_CONFLICT', nonRetryable: false });
  });

  test('that a damaged artefact is looked at three times, not for minutes', () => {
    const error = new RefitError('REFIT_STORE_CORRUPT', 'The blob is missing.');
    expect([1, 2, 3, 4].map((attempt) => failureOf(error, attempt).nonRetryable)).toEqual([false, false, true, true]);
  });

  test.each(['ENOSPC', 'EDQUOT'])('that the disk is full (%s), once and for all', (code) => {
    const failure = failureOf(Object.assign(new Error(`${code}: write failed`), { code }));
    expect(failure).toMatchObject({ type: 'REFIT_STORE_FULL', nonRetryable: true });
    expect(failure.message).toMatch(/disk is full/);
  });

  test('of one that nobody foresaw its first line, and that it may be tried again until the third attempt', () => {
    const error = new TypeError('x is undefined\n    at somewhere');
    expect([1, 2, 3, 4].map((attempt) => failureOf(error, attempt).nonRetryable)).toEqual([false, false, true, true]);
    expect(failureOf(error)).toMatchObject({ type: 'REFIT_INTERNAL', message: 'x is undefined' });
    expect(failureOf('no error at all')).toMatchObject({ type: 'REFIT_INTERNAL', message: 'no error at all' });
    expect(failureOf(undefined)).toMatchObject({ type: 'REFIT_INTERNAL', message: 'undefined' });
    expect(failureOf(new Error('x'.repeat(10_000))).message).toHaveLength(500);
  });

  test('that it was cancelled, whatever the work broke with', () => {
    for (const error of [new Error('child was killed'), new RefitError('REFIT_TRAINER_CRASHED', 'It died.'), 'enough'])
      expect(toFailure(error, 1, true)).toBeInstanceOf(CancelledFailure);
  });

  test("what Temporal's own failures say", () => {
    const own = ApplicationFailure.nonRetryable('mine');
    const cancelled = new CancelledFailure('CANCELLED');
    expect(toFailure(own, 1, false)).toBe(own);
    expect(toFailure(cancelled, 1, false)).toBe(cancelled);
  });
});

describe('around an activity', () => {
  const input = {} as ActivityExecuteInput;
  const execute = (activity: ReturnType<typeof mockActivity>, next: () => Promise<unknown>) =>
    activity.run(() => new ErrorsInterceptor().execute(input, next));

  test('results pass, errors are turned with the attempt that they happened in', async () => {
    expect(await execute(mockActivity(), async () => 42)).toBe(42);
    const broken = async () => {
      throw new Error('unforeseen');
    };
    await expect(execute(mockActivity({ attempt: 2 }), broken)).rejects.toMatchObject({ nonRetryable: false });
    await expect(execute(mockActivity({ attempt: 3 }), broken)).rejects.toMatchObject({ nonRetryable: true });
  });

  test('a cancelled one ends as cancelled', async () => {
    const activity = mockActivity();
    const killed = execute(activity, async () => {
      activity.cancel();
      throw new Error('the child process was killed');
    });
    await expect(killed).rejects.toBeInstanceOf(CancelledFailure);
  });
});
