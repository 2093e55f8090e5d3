import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { OnlineRow, OnlineStore } from '../../core/features/online-store.ts';
import { createRedisOnlineStore } from '../../core/features/redis-online-store.ts';
import { onlineServing } from '../conformance/online-serving.ts';
import { onlineStoreConformance } from '../conformance/online-store.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';

const PASSWORD = 'p@ss/wörd';
const MODULE = fileURLToPath(new URL('../../core/features/redis-online-store.ts', import.meta.url));
let server: RedisServer;
beforeAll(async () => {
  server = await startRedis({ password: PASSWORD, options: ['--databases', '64'] });
});
afterAll(async () => {
  await Promise.all(served.map((store) => store.close()));
  await server?.remove();
});

const opened: OnlineStore[] = [];
const served: OnlineStore[] = [];
const open = (url: string) => {
  const store = createRedisOnlineStore(url);
  opened.push(store);
  return store;
};
afterEach(async () => {
  await Promise.all(opened.splice(0).map((store) => store.close()));
});

const row = (key: string, value: string, at = 1): OnlineRow => ({
  key,
  values: [value],
  eventAtUs: at,
  knownAtUs: at,
});

let database = 0;
onlineStoreConformance('Redis', async () => {
  // Each test has a database of its own.
  const url = server.url.replace(/\/0$/, `/${++database}`);
  return {
    open: () => createRedisOnlineStore(url),
    elsewhere: { module: MODULE, factory: 'createRedisOnlineStore', argument: url },
    remove: async () => undefined,
  };
});

onlineServing(
  'Redis',
  async () => {
    const store = createRedisOnlineStore(server.url.replace(/\/0$/, `/${++database}`));
    served.push(store);
    return store;
  },
  2,
);

describe('an online store in Redis', () => {
  test('says when it throws features away, and nothing when it may not ask', async () => {
    const { createClient } = await import('@redis/client');
    const client = await createClient({ url: server.url }).connect();
    const store = open(server.url);
    const evicts = { code: 'REFIT_ONLINE_EVICTS', message: expect.stringContaining('maxmemory-policy allkeys-lru') };
    try {
      expect(await store.hazard()).toBeUndefined();
      await client.sendCommand(['CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru']);
      expect(await store.hazard()).toMatchObject({ ...evicts, cure: expect.stringContaining('noeviction') });
      const user = ['ACL', 'SETUSER', 'modest', 'on', '>secret', '~*', '+@all', '-config'];
      await client.sendCommand(user);
      const modest = server.url.replace(/\/\/.*@/, '//modest:secret@');
      expect(await open(modest).hazard()).toMatchObject(evicts);
      await client.sendCommand([...user, '-info']);
      expect(await open(modest).hazard()).toBeUndefined();
    } finally {
      await client.sendCommand(['CONFIG', 'SET', 'maxmemory-policy', 'noeviction']);
      await client.close();
    }
  });

  test('does not show its password', () => {
    expect(open(server.url).address).toBe(`redis://127.0.0.1:${server.port}/0`);
  });

  test('is there again after Redis was killed and started, with nobody doing anything', async () => {
    const store = open(server.url);
    await store.put('v', [row('a', 'before')]);
    await server.kill();
    const waiting = store.put('v', [row('b', 'meanwhile')]);
    await server.start();
    expect(await waiting).toBe(1);
    expect((await store.get('v', ['a', 'b'])).map((found) => found?.values[0])).toEqual(['before', 'meanwhile']);
  });

  test('that cannot be reached says so, after a bounded time, and recovers', async () => {
    const store = open(server.url);
    await store.put('v', [row('a', 'kept')]);
    await server.kill();
    const unreachable = {
      code: 'REFIT_ONLINE_UNREACHABLE',
      message: expect.stringMatching(`redis://127.0.0.1:${server.port}/0 cannot be reached: .*ECONNREFUSED`),
      retryable: true,
      cure: expect.stringContaining('Start the Redis server'),
    };
    await expect(store.get('v', ['a'])).rejects.toMatchObject(unreachable);
    // Who comes after that does not wait again.
    const asked = Array.from({ length: 20 }, () => store.get('v', ['a']));
    await Promise.all(asked.map((answer) => expect(answer).rejects.toMatchObject(unreachable)));
    await server.start();
    await expect.poll(() => store.get('v', ['a']).catch(() => [])).toMatchObject([{ values: ['kept'] }]);
  });

  test('that does not answer is given up, and found again when it does', async () => {
    const store = open(server.url);
    await store.put('v', [row('a', 'kept')]);
    server.freeze(true);
    try {
      await expect(store.get('v', ['a'])).rejects.toMatchObject({
        code: 'REFIT_ONLINE_UNREACHABLE',
        message: expect.stringContaining('does not answer'),
      });
    } finally {
      server.freeze(false);
    }
    await expect.poll(() => store.get('v', ['a']).catch(() => [])).toMatchObject([{ values: ['kept'] }]);
  });

  test('with another password or database is refused with the words of Redis', async () => {
    const wrong = server.url.replace(encodeURIComponent(PASSWORD), 'wrong');
    for (const [url, words] of [
      [wrong, 'WRONGPASS'],
      [server.url.replace('/0', '/9999'), 'DB index is out of range'],
      [`redis://127.0.0.1:${server.port}`, 'NOAUTH'],
    ] as const) {
      const error = await open(url)
        .get('v', ['a'])
        .catch((thrown: Error) => thrown);
      expect(error).toMatchObject({
        code: 'REFIT_ONLINE_REFUSED',
        message: expect.stringContaining(words),
        retryable: false,
      });
      expect(JSON.stringify([error, (error as Error).message])).not.toContain(encodeURIComponent(PASSWORD));
    }
  });

  test('knows its script again after Redis forgot it', async () => {
    const store = open(server.url);
    await store.put('v', [row('s', 'first')]);
    await server.kill();
    await server.start();
    expect(await store.put('v', [row('s', 'second', 2), row('s', 'late', 1)])).toBe(1);
  });

  test('leaves keys of others alone, and damaged ones are named', async () => {
    const store = open(server.url);
    await store.put('plain', [row('x', 'ok')]);
    const { createClient } = await import('@redis/client');
    const client = createClient({ url: server.url });
    await client.connect();
    try {
      expect(await client.keys('*plain*')).toEqual(['refit:plain']);
      await client.hSet('refit:plain', 'x', 'overwritten by a person');
    } finally {
      await client.close();
    }
    await expect(store.get('plain', ['x'])).rejects.toMatchObject({ code: 'REFIT_STORE_CORRUPT' });
  });
});
