import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Materialized, MaterializeInput } from '../../core/features/materialize.ts';
import { entityKey, readLayout } from '../../core/features/online-layout.ts';
import { createRedisOnlineStore } from '../../core/features/redis-online-store.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { type Bench, createBench, iso, type Shape } from '../unit/features.fixture.ts';
import type { Plan } from './online.kill.fixture.ts';

const KEYS = 24_000;
const SHAPE: Shape = {
  id: ['VARCHAR', '__known_0'],
  due: ['TIMESTAMP', '__known_0'],
  value: ['DOUBLE', '__known_0'],
};

let bench: Bench;
let redis: RedisServer;
let input: MaterializeInput;
beforeAll(async () => {
  [bench, redis] = await Promise.all([createBench(), startRedis({ options: ['--appendonly', 'no'] })]);
  const rows = `SELECT 'k' || i AS id, TIMESTAMP '2024-01-01' + to_hours(CASE WHEN i < 50 THEN 30 ELSE 1 END) AS due, i / 7.0 AS value,
    TIMESTAMP '2024-01-01' AS __known_0, TIMESTAMP '2024-01-01' + to_minutes(i % 600) AS __event_at, 'infinity'::TIMESTAMP AS __bad_known_at
    FROM range(${KEYS}) t(i)`;
  input = {
    pipeline: 'items',
    spine: { source: 'items', key: ['id'], predictAt: 'due', label: 'value > 1', labelKnownAt: 'due' },
    views: [
      { kind: 'latest', name: 'last', source: 'items', by: { id: 'id' }, fields: [{ name: 'value', expr: 'value' }] },
      {
        ...{ kind: 'window', name: 'day', source: 'items', by: { id: 'id' }, over: '24h' },
        aggregate: [{ name: 'total', fn: 'sum', expr: 'value' }],
      },
    ],
    snapshots: { items: await bench.publish('items', SHAPE, [rows]) },
    asOf: iso(12),
  };
});
afterAll(() => Promise.all([bench?.remove(), redis?.remove()]));

/** Starts a process that materialises; `lines` are what it says. */
async function materializing(name: string, database: number, more: Partial<Plan> = {}) {
  const scratch = path.join(bench.scratch, name);
  await mkdir(scratch);
  const objects = path.join(bench.scratch, '../store');
  const plan: Plan = { objects, scratch, redis: redis.url.replace(/0$/, String(database)), input, ...more };
  const script = fileURLToPath(new URL('online.kill.fixture.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', script, JSON.stringify(plan)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
}

async function resultOf({ lines }: Awaited<ReturnType<typeof materializing>>): Promise<Materialized> {
  let last = '';
  for (;;) {
    const { value, done } = await lines.next();
    if (done) return (JSON.parse(last) as { done: Materialized }).done;
    last = value;
  }
}

test('a materialisation that is killed goes on where it was: nothing is lost, done twice, or taken back', async () => {
  const killed = await materializing('killed', 1);
  // Until some batches of the first view are in.
  for (let batches = 0; batches < 4; batches++) await killed.lines.next();
  const ended = once(killed.child, 'exit');
  killed.child.kill('SIGKILL');
  expect((await ended)[1]).toBe('SIGKILL');

  const store = createRedisOnlineStore(redis.url.replace(/0$/, '1'));
  const whole = createRedisOnlineStore(redis.url.replace(/0$/, '2'));
  try {
    // What is there so far is not served: the layout comes last.
    const fresh = await resultOf(await materializing('whole', 2));
    expect(await readLayout(store, fresh.namespace)).toBeUndefined();

    // Meanwhile somebody writes a newer row of a key.
    const layout = await readLayout(whole, fresh.namespace);
    const [view, window] = layout?.lookups.map(({ id }) => id) ?? [];
    const key = entityKey(['k7']) as string;
    const newer = { key, values: ['newer'], eventAtUs: Date.parse(iso(13)) * 1000, knownAtUs: 0 };
    await store.put(String(window), [newer]);

    const resumed = await resultOf(await materializing('resumed', 1));
    expect(resumed.resumed).toBeGreaterThanOrEqual(2_000);
    expect(resumed.rows + resumed.resumed).toBe(fresh.rows);
    expect(resumed.written).toBe(resumed.rows - 1);

    const keys = Array.from({ length: KEYS }, (_, i) => entityKey([`k${i}`]) as string);
    expect(await store.get(String(view), keys)).toEqual(await whole.get(String(view), keys));
    const [rows, expected] = [await store.get(String(window), keys), await whole.get(String(window), keys)];
    expect(rows[7]).toEqual(newer);
    expect(rows.toSpliced(7, 1)).toEqual(expected.toSpliced(7, 1));
    expect(await readLayout(store, fresh.namespace)).toEqual(layout);
  } finally {
    await Promise.all([store.close(), whole.close()]);
  }
});

test('one that is killed when it has published, and before it could close its books, is built upon by the next', async () => {
  const killed = await materializing('published', 3, { diesAfter: 'materialized' });
  expect((await once(killed.child, 'exit'))[1]).toBe('SIGKILL');
  // Nothing changed meanwhile but the date: entities are written, and no rows of views.
  const asOf = iso(12.25);
  const next = await resultOf(await materializing('next', 3, { input: { ...input, asOf } }));
  expect(next).toMatchObject({ incremental: true, rows: next.entities });

  const store = createRedisOnlineStore(redis.url.replace(/0$/, '3'));
  try {
    expect(await readLayout(store, next.namespace)).toMatchObject({ asOf });
  } finally {
    await store.close();
  }
});
