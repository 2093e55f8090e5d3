import fc from 'fast-check';
import { expect, test } from 'vitest';
import { placesOf } from '../../core/compose/refit.ts';
import { packRow, unpackRow } from '../../core/features/online-row-bytes.ts';
import { redisAddress } from '../../core/features/redis-address.ts';

test.each([
  ['redis://cache', 'redis://cache:6379/0'],
  ['redis://cache:7000/', 'redis://cache:7000/0'],
  ['redis://:secret@cache:7000/3', 'redis://cache:7000/3'],
  ['rediss://me:secret@[::1]:7000/12', 'rediss://[::1]:7000/12'],
])('%s is shown without its password', (text, shown) => {
  expect(redisAddress(text)).toEqual({ url: text, shown });
  expect(placesOf('/p', { REFIT_ONLINE: text }).online).toBe(text);
});

test.each(['redis://', 'redis:///3', 'redis://cache/three', 'redis://:secret@cache:port', 'redis:cache'])(
  '%s is no address, and its password is not repeated',
  (text) => {
    expect(() => placesOf('/p', { REFIT_ONLINE: text })).toThrow(
      expect.objectContaining({ code: 'REFIT_USAGE', message: expect.not.stringContaining('secret') }),
    );
  },
);

test('what is neither a folder nor Redis is refused with both', () => {
  expect(() => placesOf('/p', { REFIT_ONLINE: 'memcached://cache' })).toThrow(/lmdb:<folder> or redis:/);
  expect(placesOf('/p', { REFIT_ONLINE: 'lmdb:online' }).online).toBe('/p/online');
});

test('rows come back from their bytes as they were, and cut ones are noticed', () => {
  const value = fc.oneof(
    fc.constant(null),
    fc.string({ unit: 'grapheme' }),
    fc.double({ noNaN: true }),
    fc.float({ noNaN: true }),
  );
  const time = fc.oneof(fc.constantFrom(-Infinity, 0), fc.maxSafeInteger());
  fc.assert(
    fc.property(fc.array(value), time, time, (values, eventAtUs, knownAtUs) => {
      const row = { key: 'k', values, eventAtUs, knownAtUs };
      expect(unpackRow('k', packRow(row))).toEqual(row);
    }),
  );
  const bytes = packRow({ key: 'k', values: ['a text'], eventAtUs: 1, knownAtUs: 2 });
  for (const length of [0, 10, 16, 18, bytes.length - 1]) {
    expect(() => unpackRow('k', bytes.subarray(0, length))).toThrow(
      expect.objectContaining({ code: 'REFIT_STORE_CORRUPT' }),
    );
  }
});
