import { execFile } from 'node:child_process';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { DuckDBInstance } from '@duckdb/node-api';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { withDuckDbTable } from '../../core/dataset/duckdb-table.ts';
import { withPostgresTable } from '../../core/dataset/postgres-table.ts';
import { createSourceFiles } from '../../core/dataset/source-files.ts';
import type { TableContext, WithTable } from '../../core/dataset/table-port.ts';
import { duckdb, postgres, type SourceDraft } from '../../core/spec/define.ts';
import type { TableSpec } from '../../core/spec/pipeline.ts';
import { createFileCache } from '../../core/store/file-cache.ts';
import { freePorts, type Running, startPostgres } from '../e2e/topology.fixture.ts';

const PASSWORD = 'topology';
let folder: string;
let server: Running;
let port: number;
let client: pg.Client;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'refit-databases-'));
  [port = 0] = await freePorts(1);
  server = await startPostgres(`${folder}-pg`, port);
  client = new pg.Client({ connectionString: url() });
  await client.connect();
});
afterAll(async () => {
  await client?.end();
  await server?.stop();
  for (const name of [folder, `${folder}-pg`]) await rm(name, { recursive: true, force: true, maxRetries: 5 });
});

const url = (password = PASSWORD, database = 'postgres') =>
  `postgres://temporal:${password}@127.0.0.1:${port}/${database}`;

let cache = 0;
beforeEach(() => {
  cache += 1;
});

/** The partitions of a source by name, with the digest of their rows. */
async function list(source: SourceDraft, env: NodeJS.ProcessEnv = { SHOP_URL: url() }) {
  const files = createSourceFiles(folder, createFileCache(path.join(folder, `cache-${cache}`), 1e9), env);
  const found = await files.list('orders', source as never);
  return {
    files,
    names: found.map(({ name }) => name),
    digests: Object.fromEntries(found.map(({ name, sha256 }) => [name.split('/').at(-1) ?? '', sha256 ?? ''])),
  };
}

async function rowsOf({ files, names, digests }: Awaited<ReturnType<typeof list>>, label: string) {
  return parquet(await files.path(names.find((name) => name.endsWith(label)) ?? '', digests[label] ?? ''));
}

async function parquet(file: string) {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const rows = (await connection.runAndReadAll(`SELECT * FROM read_parquet('${file}')`)).getRowObjectsJson();
  const types = (await connection.runAndReadAll(`DESCRIBE SELECT * FROM read_parquet('${file}')`)).getRowObjectsJson();
  connection.closeSync();
  instance.closeSync();
  return { rows, types: types.map(({ column_name, column_type }) => `${String(column_name)} ${String(column_type)}`) };
}

const OPTIONS = { contract: 'orders.schema.json', partitionBy: 'at', every: '1mo' } as const;
const ORDERS = postgres({ url: 'SHOP_URL', table: 'shop.orders', ...OPTIONS });

describe('a table of PostgreSQL', () => {
  beforeEach(async () => {
    await client.query(`DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop;
      CREATE TABLE shop.orders (id bigint, at timestamptz, amount numeric(10, 2), free numeric, paid boolean, note text,
        day date, local timestamp, tags text[], score double precision, updated bigint);
      INSERT INTO shop.orders VALUES
        (1, '2024-01-31T23:30:00Z', 10.50, 0.1, true, E'a "b", c\\nü', '2024-01-31', '2024-01-31 10:00', '{x,y}', 1e-7, 1),
        (2, '2024-02-01T00:30:00Z', -3, NULL, NULL, '', NULL, NULL, NULL, 'NaN', 2),
        (3, NULL, NULL, NULL, false, NULL, NULL, NULL, NULL, NULL, 3)`);
  });

  test('is cut into periods and keeps its values and types', async () => {
    const found = await list(ORDERS);
    expect(found.names).toEqual(
      ['2024-01', '2024-02', 'without-at'].map((label) => `postgres://$SHOP_URL/shop.orders/${label}`),
    );
    const january = await rowsOf(found, '2024-01');
    expect(january.types).toEqual(
      'id BIGINT,at TIMESTAMP WITH TIME ZONE,amount DECIMAL(10,2),free DOUBLE,paid BOOLEAN,note VARCHAR,day DATE,local TIMESTAMP,tags VARCHAR,score DOUBLE,updated BIGINT'
        .replace('(10,2)', '(10;2)')
        .split(',')
        .map((one) => one.replace(';', ',')),
    );
    expect(january.rows).toEqual([
      expect.objectContaining({
        id: '1',
        amount: '10.50',
        free: 0.1,
        paid: true,
        note: 'a "b", c\nü',
        day: '2024-01-31',
        local: '2024-01-31 10:00:00',
        tags: '{x,y}',
        score: 1e-7,
      }),
    ]);
    expect(String(january.rows[0]?.at)).toContain('2024-01-31 23:30:00');
    expect((await rowsOf(found, '2024-02')).rows).toEqual([
      expect.objectContaining({ id: '2', amount: '-3.00', paid: null, note: '', day: null }),
    ]);
    expect((await rowsOf(found, 'without-at')).rows).toEqual([expect.objectContaining({ id: '3', note: null })]);
  });

  test('changes only the partitions whose rows change, whatever order they lie in', async () => {
    const before = (await list(ORDERS)).digests;
    await client.query('UPDATE shop.orders SET note = note');
    await client.query('VACUUM FULL shop.orders');
    expect((await list(ORDERS)).digests).toEqual(before);
    await client.query(
      `INSERT INTO shop.orders (id, at) VALUES (9, '2024-03-05T00:00:00Z'); UPDATE shop.orders SET amount = 4 WHERE id = 2`,
    );
    const after = (await list(ORDERS)).digests;
    expect(Object.keys(after)).toEqual(['2024-01', '2024-02', '2024-03', 'without-at']);
    expect(after['2024-01']).toBe(before['2024-01']);
    expect(after['2024-02']).not.toBe(before['2024-02']);
  });

  test('with a version is not copied again while count and highest version stay', async () => {
    const versioned = postgres({ url: 'SHOP_URL', table: 'shop.orders', version: 'updated', ...OPTIONS });
    const before = (await list(versioned)).digests;
    // Against the promise: so it is seen that nothing was read.
    await client.query(`UPDATE shop.orders SET amount = 99 WHERE id = 1`);
    expect((await list(versioned)).digests).toEqual(before);
    await client.query(`UPDATE shop.orders SET updated = 4 WHERE id = 1`);
    expect((await list(versioned)).digests['2024-01']).not.toBe(before['2024-01']);
  });

  test('may be a query, and one partition', async () => {
    const found = await list(
      postgres({
        url: 'SHOP_URL',
        query: 'SELECT id, amount * 2 AS twice FROM shop.orders WHERE id < 3; ',
        contract: 'c.json',
      }),
    );
    expect(found.names).toEqual(['postgres://$SHOP_URL/query']);
    expect((await rowsOf(found, 'query')).rows).toEqual([
      { id: '1', twice: 21 },
      { id: '2', twice: -6 },
    ]);
  });

  test('that cannot be read is told without the password', async () => {
    const refuse = async (source: SourceDraft, message: RegExp, env?: NodeJS.ProcessEnv) => {
      const error: unknown = await list(source, env).catch((caught: unknown) => caught);
      expect(error).toMatchObject({
        code: 'REFIT_SOURCE_UNREACHABLE',
        message: expect.stringMatching(message) as string,
      });
      expect(JSON.stringify([error, String(error), (error as Error).stack])).not.toContain('secret');
    };
    await refuse(ORDERS, /SHOP_URL, which is not set/, {});
    await refuse(ORDERS, /holds no address of PostgreSQL/, { SHOP_URL: 'user:secret@host' });
    await refuse(ORDERS, /password authentication failed for user "temporal"/, { SHOP_URL: url('secret') });
    await refuse(ORDERS, /database "nowhere" does not exist/, { SHOP_URL: url(PASSWORD, 'nowhere') });
    await refuse(
      postgres({ url: 'SHOP_URL', table: 'shop.ordres', ...OPTIONS }),
      /relation "shop.ordres" does not exist/,
    );
    await refuse(
      postgres({ url: 'SHOP_URL', table: 'shop.orders', contract: 'c', partitionBy: 'att' }),
      /column q.att does not exist/,
    );
    await refuse(postgres({ url: 'SHOP_URL', query: 'DELETE FROM shop.orders RETURNING *', contract: 'c' }), /./);
    expect((await client.query('SELECT 1 FROM shop.orders')).rowCount).toBe(3);
    await refuse(ORDERS, /ECONNREFUSED/, { SHOP_URL: 'postgres://u:secret@127.0.0.1:9/x' });
    expect(() => postgres({ url: 'postgres://u:secret@host/x', table: 't', contract: 'c' })).toThrow(/^(?!.*secret)/);
  });
});

test('a value of PostgreSQL that has no type here is told by its column, and nothing of its row', async () => {
  await client.query(`DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop;
    CREATE TABLE shop.orders (id bigint, amount numeric(10, 2), email text);
    INSERT INTO shop.orders VALUES (1, 'NaN', 'planted@example.com')`);
  const error: unknown = await list(postgres({ url: 'SHOP_URL', table: 'shop.orders', contract: 'c' })).catch(
    (caught: unknown) => caught,
  );
  expect(error).toMatchObject({
    code: 'REFIT_SOURCE_UNREADABLE',
    message: expect.stringContaining('a value of its column "amount" does not fit its type') as string,
  });
  expect(JSON.stringify([error, String(error), (error as Error).stack, (error as Error).cause])).not.toContain(
    'planted',
  );
});

test('a query that fails on a value tells nothing of it, whichever database it is of', async () => {
  await client.query(`DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop;
    CREATE TABLE shop.orders (id bigint, email text); INSERT INTO shop.orders VALUES (1, 'planted INTERRUPT@example.com')`);
  await write(`CREATE OR REPLACE TABLE people AS SELECT 'planted INTERRUPT@example.com' AS email`);
  const failing = [
    postgres({ url: 'SHOP_URL', query: 'SELECT email::bigint FROM shop.orders', contract: 'c' }),
    postgres({ url: 'SHOP_URL', query: 'SELECT email::timestamptz AS at FROM shop.orders', ...OPTIONS }),
    duckdb(FILE, { query: 'SELECT email::BIGINT FROM people', contract: 'c' }),
    duckdb(FILE, { query: 'SELECT email AS at FROM people', ...OPTIONS }),
    duckdb(FILE, { query: 'SELECT error(email) FROM people', contract: 'c' }),
  ];
  for (const source of failing) {
    const error: unknown = await list(source).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ message: expect.stringContaining('withheld') as string });
    const told = [JSON.stringify(error), (error as Error).stack, String((error as Error).cause)].join(' ');
    expect(told).not.toContain('planted');
  }
});

test('a copy that made room for others is made again', async () => {
  await client.query(`DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop;
    CREATE TABLE shop.orders (id bigint, updated bigint); INSERT INTO shop.orders VALUES (1, 1)`);
  const orders = postgres({ url: 'SHOP_URL', table: 'shop.orders', version: 'updated', contract: 'c' });
  const { digests } = await list(orders);
  const copy = digests['shop.orders'] ?? '';
  await rm(path.join(folder, `cache-${cache}`, 'files', copy.slice(0, 2), copy));
  const again = await list(orders);
  expect(again.digests).toEqual(digests);
  expect((await rowsOf(again, 'shop.orders')).rows).toHaveLength(1);
});

const FILE = 'shop.duckdb';
async function write(sql: string, file = FILE): Promise<void> {
  const instance = await DuckDBInstance.create(path.join(folder, file));
  const connection = await instance.connect();
  await connection.run(sql);
  connection.closeSync();
  instance.closeSync();
}

describe('a table that is written to while it is read', () => {
  const table = { name: 'orders', by: 'at', every: '1mo' } as TableSpec;
  const two = `VALUES (1, TIMESTAMP '2024-01-15'), (2, TIMESTAMP '2024-02-15')`;
  let scratch: string;
  beforeEach(async () => {
    scratch = await mkdtemp(path.join(folder, 'scratch-'));
  });

  /** Rows of all periods, copied after somebody wrote between the look at the periods and the copies. */
  async function disturbed(withTable: WithTable, place: Partial<TableContext>, disturb: () => Promise<unknown>) {
    const context = { root: folder, source: 'orders', path: FILE, table, env: { SHOP_URL: url() }, scratch, ...place };
    return withTable(context, async (reader) => {
      const rows: string[] = [];
      const periods = await reader.periods();
      for (const [index, period] of periods.entries()) {
        await disturb();
        const to = path.join(scratch, `${index}.parquet`);
        await reader.copy(period, to);
        const copied = await parquet(to);
        expect(copied.rows).toHaveLength(period.rows);
        rows.push(...copied.rows.map(({ id, at }) => `${String(id)} ${String(at).slice(0, 10)}`));
      }
      return rows;
    });
  }

  test('is read as it was, in PostgreSQL', async () => {
    await client.query(`DROP TABLE IF EXISTS orders; CREATE TABLE orders (id bigint, at timestamp);
      INSERT INTO orders ${two}`);
    const write = () => client.query(`UPDATE orders SET at = at + INTERVAL '1 month'; INSERT INTO orders ${two}`);
    const rows = await disturbed(withPostgresTable, { table: { ...table, url: 'SHOP_URL' }, path: 'pg' }, write);
    expect(rows).toEqual(['1 2024-01-15', '2 2024-02-15']);
  });

  test('is read as it was, in a DuckDB file that another takes the place of', async () => {
    const made = (name: string, rows: string) =>
      write(`CREATE TABLE orders AS SELECT * FROM (${rows}) t(id, "at")`, name);
    await made('busy.duckdb', two);
    const rows = await disturbed(withDuckDbTable, { path: 'busy.duckdb' }, async () => {
      await made('next.duckdb', `VALUES (9, TIMESTAMP '2024-02-01'), (8, TIMESTAMP '2024-02-02')`);
      await rename(path.join(folder, 'next.duckdb'), path.join(folder, 'busy.duckdb'));
    });
    expect(rows).toEqual(['1 2024-01-15', '2 2024-02-15']);
  });

  test('keeps another process from writing to a DuckDB file, and only as long', async () => {
    await write(`CREATE TABLE orders AS SELECT * FROM (${two}) t(id, "at")`, 'held.duckdb');
    const file = path.join(folder, 'held.duckdb');
    const script = `import { DuckDBInstance } from '@duckdb/node-api';
      const connection = await (await DuckDBInstance.create(process.argv[1])).connect();
      await connection.run("INSERT INTO orders VALUES (3, TIMESTAMP '2024-01-20')");`;
    const insert = () =>
      promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, file]).then(
        () => 'written',
        ({ stderr }: { stderr: string }) => /Conflicting lock/.exec(stderr)?.[0] ?? stderr,
      );
    const told: string[] = [];
    const rows = await disturbed(withDuckDbTable, { path: 'held.duckdb' }, async () => told.push(await insert()));
    expect(rows).toEqual(['1 2024-01-15', '2 2024-02-15']);
    expect(told).toEqual(['Conflicting lock', 'Conflicting lock']);
    expect(await insert()).toBe('written');
  });
});

describe('a table of DuckDB', () => {
  test('is cut into periods, and only what changes is another partition', async () => {
    await write(
      `CREATE TABLE orders AS SELECT i AS id, TIMESTAMP '2024-01-15' + to_days(i::INTEGER * 20) AS at, 'n' || i AS note FROM range(3) t(i)`,
    );
    const orders = duckdb(FILE, { table: 'orders', ...OPTIONS });
    const before = await list(orders);
    expect(before.names).toEqual(['2024-01', '2024-02'].map((label) => `shop.duckdb/orders/${label}`));
    expect((await rowsOf(before, '2024-02')).rows).toEqual([
      { id: '1', at: '2024-02-04 00:00:00', note: 'n1' },
      { id: '2', at: '2024-02-24 00:00:00', note: 'n2' },
    ]);
    await write(`UPDATE orders SET note = 'x' WHERE id = 2; INSERT INTO orders VALUES (7, '2024-03-01', 'n')`);
    const after = await list(orders);
    expect(after.digests['2024-01']).toBe(before.digests['2024-01']);
    expect(after.digests['2024-02']).not.toBe(before.digests['2024-02']);
    expect(Object.keys(after.digests)).toEqual(['2024-01', '2024-02', '2024-03']);
    // What a run was pinned to can still be read.
    expect((await rowsOf(before, '2024-02')).rows).toHaveLength(2);
  });

  test('that is not there is told', async () => {
    const options = { contract: 'c' };
    await expect(list(duckdb('no.duckdb', { table: 't', ...options }))).rejects.toMatchObject({
      code: 'REFIT_SOURCE_MISSING',
    });
    await expect(list(duckdb(FILE, { table: 'ordres', ...options }))).rejects.toMatchObject({
      code: 'REFIT_SOURCE_UNREADABLE',
      message: expect.stringMatching(/ordres/) as string,
    });
    expect(() => duckdb(FILE, options)).toThrow(/a table or a query/);
  });
});
