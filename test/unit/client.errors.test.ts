import { WorkflowFailedError, WorkflowUpdateFailedError } from '@temporalio/client';
import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  RetryState,
  TerminatedFailure,
  WorkflowNotFoundError,
} from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { asRefitError, RefitError } from '../../client/index.ts';

const stale = ApplicationFailure.create({
  type: 'REFIT_DATA_STALE',
  message: 'The newest flight is 40 days older than asOf.',
  nonRetryable: true,
  details: [{ code: 'REFIT_DATA_STALE', cure: '…', details: { source: 'flights' } }],
});

describe('errors that a service meets', () => {
  test('a failed activity comes out as its code, sentence, cure and details', () => {
    const activity = new ActivityFailure(
      'Activity task failed',
      'extract',
      '1',
      RetryState.NON_RETRYABLE_FAILURE,
      '',
      stale,
    );
    const error = asRefitError(new WorkflowFailedError('Workflow failed', activity, RetryState.NON_RETRYABLE_FAILURE));
    expect(error).toBeInstanceOf(RefitError);
    expect(error).toMatchObject({
      code: 'REFIT_DATA_STALE',
      message: 'The newest flight is 40 days older than asOf.',
      details: { source: 'flights' },
      exit: 1,
    });
    expect(error.cure).toContain('--as-of');
  });

  test('a refused decision keeps its code', () => {
    const refused = ApplicationFailure.create({ type: 'REFIT_NOT_WAITING', message: 'It waits for nobody.' });
    expect(asRefitError(new WorkflowUpdateFailedError('Update failed', refused))).toMatchObject({
      code: 'REFIT_NOT_WAITING',
      message: 'It waits for nobody.',
      details: {},
    });
  });

  test.each([
    ['a cancelled run', new CancelledFailure('x'), 'REFIT_CANCELLED', 'The run was cancelled.'],
    ['a terminated run', new TerminatedFailure('x', undefined), 'REFIT_CANCELLED', 'The run was terminated.'],
    [
      'an unknown run',
      new WorkflowNotFoundError('x', 'train/p/1', undefined),
      'REFIT_RUN_UNKNOWN',
      'There is no run "train/p/1".',
    ],
    [
      'a failure with a code of nobody',
      ApplicationFailure.create({ type: 'toString', message: 'boo' }),
      'REFIT_INTERNAL',
      'boo',
    ],
    ['anything else, by its first line', new Error('one\ntwo'), 'REFIT_INTERNAL', 'one'],
    ['what is no error', 'text', 'REFIT_INTERNAL', 'text'],
  ])('%s', (_, thrown, code, message) => {
    expect(asRefitError(thrown)).toMatchObject({ code, message });
  });

  test('an error of the catalogue is handed on as it is', () => {
    const known = new RefitError('REFIT_USAGE', 'So not.');
    expect(asRefitError(known)).toBe(known);
  });
});
