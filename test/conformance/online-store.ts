import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { unpackRow } from '../../core/features/online-row-bytes.ts';
import type { OnlineRow, OnlineStore } from '../../core/features/online-store.ts';

export interface OnlineStoreFixture {
  /** Opens the store; opened twice, both see the same rows, as two processes do. */
  open(): OnlineStore;
  /** How another process opens the same store. */
  elsewhere: { module: string; factory: string; argument: string };
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

    test('gives back bytes as bytes', async () => {
      await store.put('v', [row('a', [Uint8Array.of(0, 255, 128), 'text', new Uint8Array(0)])]);
      const [found] = await store.get('v', ['a']);
      const [bytes, text, none] = found?.values ?? [];
      expect([...(bytes as Uint8Array)]).toEqual([0, 255, 128]);
      expect([text, (none as Uint8Array).length]).toEqual(['text', 0]);
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

    test('lets one of those who write the same times strictly, and none after a newer one', async () => {
      const writers = [store, open(), open(), open()];
      const turns = await Promise.all(
        writers.map((one, i) => one.put('turns', [row('p', [`writer ${i}`], 7)], 'strictly')),
      );
      expect(turns.toSorted((a, b) => a - b)).toEqual([0, 0, 0, 1]);
      expect((await store.get('turns', ['p']))[0]?.values).toEqual([`writer ${turns.indexOf(1)}`]);
      expect(await store.put('turns', [row('p', ['older'], 6)], 'strictly')).toBe(0);
      expect(await store.put('turns', [row('p', ['done'], 7, 8)], 'strictly')).toBe(1);
    });

    test('hands over the bytes of many rows, each with its place', async () => {
      const keys = Array.from({ length: 1_200 }, (_, i) => `k${i}`);
      await store.put(
        'v',
        keys.filter((_key, i) => i % 3 > 0).map((key) => row(key, [key, 'x'.repeat(key.length)])),
      );
      const seen = new Map<number, OnlineRow>();
      await store.scan('v', keys, (bytes, place) => {
        seen.set(place, unpackRow(keys[place] as string, Buffer.from(bytes.subarray(0, bytes.length))));
      });
      expect(seen.size).toBe(800);
      for (const [place, found] of seen) {
        expect(found).toEqual(row(`k${place}`, [`k${place}`, 'x'.repeat(`k${place}`.length)]));
      }
    });

    test.each(['p', `a-pipeline-with-a-long-name/${'0123456789abcdef'.repeat(5)}`])(
      'names the views that begin with %s, and clears one of them and no other',
      async (p) => {
        const many = Array.from({ length: 5_000 }, (_, i) => row(`${i}`, [i]));
        const special = [`${p}/1*?[a]/x`, `${p}/1*?[a]/ü:%`];
        const others = [`${p}/1`, `${p}/12`, p];
        for (const view of [...special, ...others, 'q']) await store.put(view, [row('a', [view])]);
        await store.put(`${p}/1*?[a]/x`, many);
        expect((await store.views(`${p}/1*?[a]/`)).toSorted()).toEqual(special.toSorted());
        expect((await store.views(p)).toSorted()).toEqual([...special, ...others].toSorted());
        expect(await store.views('none')).toEqual([]);
        await store.clear(`${p}/1*?[a]/x`);
        await store.clear(`${p}/1*?[a]/x`);
        await store.clear(p);
        expect((await open().views(p)).toSorted()).toEqual([`${p}/1`, `${p}/1*?[a]/ü:%`, `${p}/12`].toSorted());
        expect(await store.get(`${p}/1*?[a]/x`, ['1', 'a'])).toEqual([undefined, undefined]);
        expect((await store.get(`${p}/1`, ['a']))[0]?.values).toEqual([`${p}/1`]);
      },
    );

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

    test('ends with the newest of four racing processes, whatever was written late', async () => {
      const keys = Array.from({ length: 20 }, (_, i) => `k${i}`);
      // 60 writes with 30 event times, each known twice; every process has every fourth, in an order of its own.
      const writes = Array.from({ length: 60 }, (_, i) => {
        const place = (i * 37) % 60;
        return [Math.floor(place / 2), place % 2] as [number, number];
      });
      const written = await race(
        fixture,
        [0, 1, 2, 3].map((part) => ({ view: 'v', keys, writes: writes.filter((_, i) => i % 4 === part) })),
      );
      const found = await store.get('v', keys);
      expect(found.map((one) => one?.values.slice(0, 2))).toEqual(keys.map(() => [29, 1]));
      expect(found.map((one) => [one?.eventAtUs, one?.knownAtUs])).toEqual(keys.map(() => [29, 1]));
      // Each key's newest was written once, and late ones were turned away.
      expect(written).toBeGreaterThanOrEqual(keys.length);
      expect(written).toBeLessThan(60 * keys.length);
    });

    test('is still there after it was closed', async () => {
      await store.put('v', [row('a', ['kept'])]);
      await Promise.all(opened.splice(0).map((made) => made.close()));
      expect(await open().get('v', ['a'])).toEqual([row('a', ['kept'])]);
    });

    test('takes keys of any length, and many rows at once', async () => {
      const long = 'x'.repeat(5000);
      const many = Array.from({ length: 5000 }, (_, i) => row(`${i}`, [i]));
      expect(await store.put('v', [row(`${long}1`, [1]), row(`${long}2`, [2]), ...many])).toBe(5002);
      expect((await store.get('v', [`${long}1`, `${long}2`, '4999'])).map((found) => found?.values[0])).toEqual([
        1, 2, 4999,
      ]);
    });
  });
}

/** Lets processes write at once, started as nearly together as can be. @returns how many rows they wrote */
async function race({ elsewhere }: OnlineStoreFixture, plans: object[]): Promise<number> {
  const script = fileURLToPath(new URL('racing-online-writer.ts', import.meta.url));
  const { module, factory, argument } = elsewhere;
  const children = plans.map((plan) => {
    const args = ['--import', 'tsx', script, module, factory, argument, JSON.stringify(plan)];
    return spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  });
  // One that fails tells why on standard error, and says nothing here.
  const says = async (child: (typeof children)[number]) => {
    const ended = once(child, 'close').then(() => Promise.reject(new Error('A process that writes ended early.')));
    const [said] = (await Promise.race([once(child.stdout, 'data'), ended])) as [Buffer];
    return String(said);
  };
  try {
    expect(await Promise.all(children.map(says))).toEqual(children.map(() => 'ready\n'));
    const written = children.map(says);
    for (const child of children) child.stdin.write('go\n');
    return (await Promise.all(written)).reduce((sum, count) => sum + Number(count), 0);
  } finally {
    for (const child of children) child.kill('SIGKILL');
  }
}
