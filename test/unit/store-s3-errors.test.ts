import { expect, test } from 'vitest';
import { s3Error } from '../../core/store/s3-errors.ts';

test('a full disk of this machine is told as that, not as something that the server refuses', () => {
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  const told = s3Error(full, 's3://bucket/store', 'read blobs/sha256/00/00');
  expect(told).toMatchObject({ code: 'REFIT_STORE_FULL' });
  expect(told.message).toBe(
    'The disk is full: a local copy of what lies in s3://bucket/store could not be written (ENOSPC).',
  );
});
