import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ERRORS, type ErrorCode, RefitError } from '../../core/spec/errors.ts';

const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
const codes = Object.keys(ERRORS) as ErrorCode[];

/** The rows of the page's table, in order: [code, when, cure, exit, tried again]. */
const rows = page
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) =>
    line
      .slice(1, -1)
      .split(' | ')
      .map((cell) => cell.trim().replace(/^`(REFIT_\w+)`$/, '$1')),
  );

test('the page has every code of the catalogue once, in its order, and no other', () => {
  expect(rows.map(([code]) => code)).toEqual(codes);
});

test.each(codes)('%s: cure, exit status and retry stand on the page as in the catalogue', (code) => {
  const { cure, exit, retryable } = ERRORS[code];
  const [, when, ...rest] = rows.find((row) => row[0] === code) ?? [];
  expect(rest).toEqual([cure, String(exit), retryable ? 'yes' : 'no']);
  expect(when, 'the page says when it happens').toMatch(/^\S.{15,}\.$/);
});

test('an error carries the cure, the exit status and the retry of its code, and its own details', () => {
  const error = new RefitError('REFIT_CONTRACT_TYPE', 'Column "hour" is text.', { column: 'hour' });
  expect(error).toMatchObject({ ...ERRORS.REFIT_CONTRACT_TYPE, message: 'Column "hour" is text.' });
  expect(error.details).toEqual({ column: 'hour' });
});
