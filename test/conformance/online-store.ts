import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { OnlineRow, OnlineStore } from '../../core/features/online-store.ts';

export interface OnlineStoreFixture {
  /** Opens the store; opened twice, both see the same rows, as two processes do. */
  open(): OnlineStore;
  remove(): Promise<void>;
}

const row = (key: string, values: OnlineRow['values'], eventAtUs = 1, knownAtUs = eventAtUs): OnlineRow => ({
  key,
  values,
  eventAtUs,
  knownAtUs,
});

/** What every online store promises; each adapter's test calls this. */
export function onlineStoreConformance(name: string, create: () => Promise<OnlineStoreFixture>): void {
  describe(`${name} keeps the promises of an online store`, () => {
    let fixture: OnlineStoreFixture;
    let store: OnlineStore;
    const opened: OnlineStore[] = [];
    const open = () => {
      const made = fixture.open();
      opened.push(made);
      return made;
    };
    beforeEach(async () => {
      fixture = await create();
      store = open();
    });
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((made) => made.close()));
      await fixture.remove();
    });

    test('gives back what was put, in the order asked for, and nothing for the unknown', async () => {
      const values = [1.5, 0, null, 'JFK', '', 'ünïcödé \u0000 ✈', 3.4028234663852886e38];
      expect(await store.put('v', [row('a', values), row('b', [])])).toBe(2);
      const found = await store.get('v', ['b', 'nobody', 'a', 'a']);
      expect(found).toEqual([row('b', []), undefined, row('a', values), row('a', values)]);
    });

    test('keeps views apart', async () => {
      await store.put('p/v', [row('a', [1])]);
      await store.put('p', [row('v/a', [2])]);
      expect(await store.get('p', ['a'])).toEqual([undefined]);
      expect(await store.get('p/v', ['a'])).toEqual([row('a', [1])]);
    });

    test('never lets a late write win: by event time, then by when it was known', async () => {
      await store.put('v', [row('a', ['newest'], 10, 20)]);
      expect(await store.put('v', [row('a', ['older event'], 9, 99), row('a', ['known earlier'], 10, 19)])).toBe(0);
      expect((await store.get('v', ['a']))[0]?.values).toEqual(['newest']);
      expect(await store.put('v', [row('a', ['corrected'], 10, 21)])).toBe(1);
      expect(await store.put('v', [row('a', ['repeated'], 10, 21)])).toBe(1);
      expect((await store.get('v', ['a']))[0]?.values).toEqual(['repeated']);
    });

    test('judges rows of one call against each other', async () => {
      await store.put('v', [row('a', ['new'], 5), row('a', ['old'], 4)]);
      expect((await store.get('v', ['a']))[0]?.values).toEqual(['new']);
    });

    test('keeps rows that have no event time or were known always', async () => {
      const always = row('a', [1], -Infinity, -Infinity);
      await store.put('v', [always]);
      expect(await store.get('v', ['a'])).toEqual([always]);
      expect(await store.put('v', [row('a', [2], -Infinity, 0)])).toBe(1);
    });

    test('ends with the newest of many writers, and shows it to all', async () => {
      const writers = [store, open(), open()];
      const keys = Array.from({ length: 50 }, (_, i) => `k${i}`);
      const rounds = Array.from({ length: 12 }, (_, i) => i);
      await Promise.all(
        rounds.map((i) =>
          (writers[i % 3] as OnlineStore).put(
            'v',
            keys.map((key) => row(key, [(i * 7) % 12], (i * 7) % 12)),
          ),
        ),
      );
      for (const reader of writers) {
        expect((await reader.get('v', keys)).map((found) => found?.values[0])).toEqual(keys.map(() => 11));
      }
    });

    test('is still there after it was closed', async () => {
      await store.put('v', [row('a', ['kept'])]);
      await Promise.all(opened.splice(0).map((made) => made.close()));
      expect(await open().get('v', ['a'])).toEqual([row('a', ['kept'])]);
    });

    test('takes keys of any length, and many rows at once', async () => {
      const long = 'x'.repeat(5000);
      const many = Array.from({ length: 5000 }, (_, i) => row(`${i}`, [i]));
      await store.put('v', [row(`${long}1`, [1]), row(`${long}2`, [2]), ...many]);
      expect((await store.get('v', [`${long}1`, `${long}2`, '4999'])).map((found) => found?.values[0])).toEqual([
        1, 2, 4999,
      ]);
    });
  });
}
