/** What people are told of online features in Redis: by the worker that starts, and by the gateway after each materialisation. */
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RefitClient } from '../../client/index.ts';
import { type Services, startServices, until } from '../support/own-server.ts';
import { createEmptyProject, type Project } from '../support/project.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { addTinyPipeline } from '../support/tiny-pipeline.ts';
import { type RunningGateway, startGateway } from './gateway.fixture.ts';

const CONTRACT = {
  ...{
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    required: ['country', 'set_at', 'rate'],
  },
  properties: {
    ...{ country: { type: 'string' }, set_at: { type: 'string', format: 'date-time' }, rate: { type: 'number' } },
  },
};
const SOURCE = { format: 'csv', zone: 'UTC', derive: {}, maxBadShare: 0.01 };
const orders = {
  ...{ ...SOURCE, path: 'data/shop/orders.csv', contract: 'orders.schema.json', eventTime: 'ordered_at' },
  knownAt: { '*': 'ordered_at', returned: 'ordered_at + INTERVAL 1 HOUR' },
};
const rates = {
  ...{ ...SOURCE, path: 'data/shop/rates.csv', contract: 'rates.schema.json', eventTime: 'set_at' },
  knownAt: { '*': 'set_at' },
};
const features = [
  { kind: 'fields', name: 'own', source: 'orders', fields: ['amount', 'items'].map((name) => ({ name, expr: name })) },
  {
    ...{ kind: 'latest', name: 'rate', source: 'rates', by: { country: 'country' } },
    fields: [{ name: 'rate', expr: 'rate' }],
  },
  {
    ...{ kind: 'window', name: 'sales', source: 'orders', by: { country: 'country' }, over: '7d' },
    aggregate: [{ name: 'sold', fn: 'count' }],
  },
];

let [project, redis, services, gateway]: [Project?, RedisServer?, Services?, RunningGateway?] = [];
beforeAll(async () => {
  redis = await startRedis({ options: ['--maxmemory-policy', 'allkeys-lru'] });
  project = await createEmptyProject();
  await addTinyPipeline(project, 'shop', {
    asOf: 'latest',
    extra: { sources: { orders, rates }, features, gates: [] },
  });
  await writeFile(project.path('pipelines/shop/rates.schema.json'), JSON.stringify(CONTRACT));
  await writeFile(project.path('data/shop/rates.csv'), 'country,set_at,rate\nat,2020-12-30T12:00:00Z,1\n');
  services = await startServices(project, { REFIT_ONLINE: redis.url });
});
afterAll(async () => {
  await gateway?.end();
  await services?.stop();
  await Promise.all([project?.remove(), redis?.remove()]);
});

test('a worker that starts tells that its Redis throws features away, and the cure', async () => {
  const log = await until(async () => {
    const text = await readFile(String(project?.path('.refit/logs/worker.log')), 'utf8');
    return text.includes('REFIT_ONLINE_EVICTS') ? text : undefined;
  }, 'the worker has told');
  expect(log).toMatch(/refit worker: REFIT_ONLINE_EVICTS: .*maxmemory-policy allkeys-lru.*noeviction/);
});

test('after each materialisation by workflow the gauges are of its date, and of the newest event of each view', async () => {
  const { root, path } = project as Project;
  const client = new RefitClient((services as Services).client);
  expect((await client.run({ pipeline: 'shop' })).verdict).toBe('promoted');
  gateway = await startGateway(root, { REFIT_ONLINE: (redis as RedisServer).url });
  await expectTold('2020-12-31T20:00:00Z', '2020-12-30T12:00:00Z', '2020-12-31T20:00:00Z');

  await appendFile(path('data/shop/orders.csv'), 'o-new,2021-01-01T06:00:00Z,10,1,at,0\n');
  await appendFile(path('data/shop/rates.csv'), 'at,2021-01-01T03:00:00Z,2\nat,2021-01-02T00:00:00Z,3\n');
  const done = await client.materialize({ pipeline: 'shop' });
  expect(done).toMatchObject({ asOf: '2021-01-01T06:00:00Z', store: `redis://127.0.0.1:${redis?.port}/0` });
  // The rate of the second is not known yet.
  await expectTold(done.asOf, '2021-01-01T03:00:00Z', '2021-01-01T06:00:00Z');

  // Nothing is new but the date.
  await client.materialize({ pipeline: 'shop', asOf: '2021-01-01T12:00:00Z' });
  await expectTold('2021-01-01T12:00:00Z', '2021-01-01T03:00:00Z', '2021-01-01T06:00:00Z');
});

/** Times that the ages have to be told from: of the materialisation, then of the views `rate` and `sales`. */
async function expectTold(asOf: string, rate: string, sales: string): Promise<void> {
  const before = Date.now();
  const page = await (await fetch(`${gateway?.url}/metrics`)).text();
  const after = Date.now();
  const gauges = {
    'refit_online_materialized_age_seconds{model="shop"} ': asOf,
    'refit_online_view_age_seconds{model="shop",view="rate"} ': rate,
    'refit_online_view_age_seconds{model="shop",view="sales"} ': sales,
  };
  for (const [gauge, time] of Object.entries(gauges)) {
    const line = page.split('\n').find((one) => one.startsWith(gauge));
    const age = Number(line?.slice(gauge.length)) * 1000;
    expect(age, `${line} for ${time}`).toBeGreaterThanOrEqual(before - Date.parse(time) - 1);
    expect(age, `${line} for ${time}`).toBeLessThanOrEqual(after - Date.parse(time) + 1);
  }
}
