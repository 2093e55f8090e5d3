import { mkdir, rm, writeFile } from 'node:fs/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createProject, type Project, refit, runJson } from '../support/project.ts';
import { freePorts, type Running, startPostgres } from './topology.fixture.ts';

let made: Project;
let env: NodeJS.ProcessEnv;
let server: Running;
let client: pg.Client;
beforeAll(async () => {
  made = await createProject({ months: 0 });
  const [port = 0] = await freePorts(1);
  server = await startPostgres(`${made.root}-pg`, port);
  const url = `postgres://temporal:topology@127.0.0.1:${port}/postgres`;
  env = { SHOP_URL: url };
  client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(`CREATE TABLE customers (id bigint, op text, lsn bigint, at timestamptz);
    INSERT INTO customers SELECT i, 'insert', i, '2023-01-01' FROM generate_series(0, 19) i;
    CREATE TABLE orders (id text, at timestamptz, customer bigint, amount float8, items int, returned boolean);
    INSERT INTO orders ${rowsOf('2024-01-01', '2024-05-31 20:00')}`);
  await mkdir(made.path('pipelines/shop'), { recursive: true });
  await writeFile(made.path('pipelines/shop/pipeline.ts'), SHOP);
  for (const [name, contract] of Object.entries(CONTRACTS))
    await writeFile(made.path(`pipelines/shop/${name}.schema.json`), JSON.stringify(contract));
});
afterAll(async () => {
  await client?.end();
  await server?.stop();
  await made.remove();
  await rm(`${made.root}-pg`, { recursive: true, force: true, maxRetries: 5 });
});

/** Two orders in three hours; the dear ones come back. */
const rowsOf = (
  from: string,
  to: string,
) => `SELECT 'o-' || extract(epoch FROM at), at, extract(epoch FROM at)::bigint / 3600 % 20,
    n % 200, n % 5 + 1, (n % 200 > 100) <> (n % 7 = 0)
  FROM (SELECT at, hashint8(extract(epoch FROM at)::bigint)::bigint & 65535 AS n
    FROM generate_series('${from}'::timestamptz, '${to}', INTERVAL '90 minutes') at) t`;

test('tables of PostgreSQL are run on: rows that come are new data, corrected ones do not change what was known, nor do keys that come later', async () => {
  const first = await runJson(made, ['shop', '--as-of', '2024-06-01'], env);
  expect(first).toMatchObject({ verdict: 'promoted' });
  const { rows: before = 0, details } = first.stages[0] ?? {};
  expect(details?.partitions).toEqual({ total: 6, extracted: 6 });
  expect(before).toBeGreaterThan(2_000);

  await client.query(`INSERT INTO orders ${rowsOf('2024-06-01', '2024-06-30')};
    UPDATE orders SET amount = amount + 1 WHERE at BETWEEN '2024-03-01' AND '2024-03-20';
    UPDATE orders SET customer = 99 WHERE at BETWEEN '2024-06-10' AND '2024-06-12';
    INSERT INTO customers VALUES (99, 'insert', 20, '2024-06-05')`);
  const second = await runJson(made, ['shop', '--as-of', '2024-07-01'], env);
  expect(second.stages[0]?.rows).toBe(before + 465);
  expect(second.stages[0]?.details?.partitions).toEqual({ total: 7, extracted: 3 });
  expect(second.model.sha256).not.toBe(first.model.sha256);

  const again = await runJson(made, ['shop', '--as-of', '2024-06-01'], env);
  expect(again.model.sha256).toBe(first.model.sha256);
  expect(again.stages.find(({ name }) => name === 'train')).toMatchObject({ cached: true });

  // Customer 99 is gone before the orders that name it.
  await client.query(`INSERT INTO customers VALUES (99, 'delete', 21, '2024-06-08')`);
  const { code, stdout } = await refit(made, ['data', 'check', 'shop', '--as-of', '2024-07-01', '--json'], env);
  expect(code).toBe(1);
  expect(stdout).toContain('customer: x-references customers.id');
});

const CONTRACTS = {
  orders: {
    'x-unique': ['id'],
    properties: {
      id: { type: 'string' },
      at: { type: 'string', format: 'date-time' },
      customer: { type: 'integer', 'x-references': 'customers.id' },
      amount: { type: 'number' },
      items: { type: 'integer' },
      returned: { type: 'boolean' },
    },
  },
  customers: {
    properties: {
      id: { type: 'integer' },
      op: { type: 'string' },
      lsn: { type: 'integer' },
      at: { type: 'string', format: 'date-time' },
    },
  },
};

const SHOP = `import { atLeast, definePipeline, fields, logistic, parity, postgres } from 'refit/spec';

export default definePipeline({
  name: 'shop',
  question: 'Will this order be sent back?',
  asOf: 'now',
  sources: {
    orders: postgres({
      url: 'SHOP_URL', table: 'orders', partitionBy: 'at', every: '1mo', contract: 'orders.schema.json',
      eventTime: '"at"', knownAt: { '*': '"at"', returned: '"at" + INTERVAL 1 HOUR' },
    }),
    customers: postgres({
      url: 'SHOP_URL', table: 'customers', contract: 'customers.schema.json',
      changes: { key: 'id', op: 'op', version: 'lsn', time: 'at' },
    }),
  },
  spine: { from: 'orders', key: ['id'], predictAt: '"at"', label: 'returned', labelKnownAt: '"at" + INTERVAL 1 HOUR' },
  features: [fields('orders', ['amount', 'items'])],
  split: { test: '30d', validate: '30d', train: { min: '30d', max: '300d' } },
  model: logistic(),
  gates: [atLeast('auc', 0.6), parity(1e-5)],
});
`;
