import { describe, expect, it } from 'vitest';
import { foundSource } from '../../core/dataset/found-source.ts';
import { publishSource, sourceAsOf } from '../../core/dataset/publish-source.ts';
import type { Partition, SnapshotChecks } from '../../core/spec/artifacts.ts';
import type { SourceSpec } from '../../core/spec/pipeline.ts';
import { digestOf } from '../../core/store/digest.ts';
import type { Step } from '../../core/store/step.ts';
import { type Workplace, workplace } from './dataset.fixture.ts';

const time = { type: 'string', format: 'date-time' };
const BASE = { format: 'parquet', zone: 'UTC', derive: {}, maxBadShare: 0.5 } as const;
const ORDERS: SourceSpec = {
  ...BASE,
  path: 'orders/*.parquet',
  contract: {
    properties: { id: { type: 'integer' }, shop: { type: 'string', 'x-references': 'shops.name' }, at: time },
  },
  eventTime: '"at"',
  knownAt: { '*': '"at"' },
};
const SHOPS: SourceSpec = {
  ...BASE,
  path: 'shops/*.parquet',
  contract: { 'x-unique': ['name'], properties: { name: { type: 'string' }, at: time } },
  eventTime: '"at"',
  knownAt: { '*': '"at"' },
};
const CHANGES: SourceSpec = {
  ...BASE,
  path: 'shops/*.parquet',
  contract: { properties: { name: { type: 'string' }, op: { type: 'string' }, lsn: { type: 'integer' }, at: time } },
  changes: { key: ['name'], op: 'op', version: 'lsn', time: 'at' },
};

type Rows = Record<string, string | number>[];

const sqlOf = (rows: Rows): string =>
  rows
    .map((row) => {
      const items = Object.entries(row).map(([name, value]) => {
        const sql =
          typeof value === 'number' ? `${value}::BIGINT` : name === 'at' ? `TIMESTAMP '${value}'` : `'${value}'`;
        return `${sql} AS "${name}"`;
      });
      return `SELECT ${items.join(', ')}`;
    })
    .join(' UNION ALL ');

/** Orders that refer to shops, published by runs that see files of both. */
async function shop(shops: SourceSpec) {
  const place = await workplace();
  const sources = { orders: ORDERS, shops };
  const ran: string[] = [];
  const kept = new Map<string, unknown>();
  const step = async <Input, Output>(one: Step<Input, Output>, input: Input) => {
    const key = digestOf([one.name, input]);
    if (!kept.has(key)) {
      ran.push(one.name);
      kept.set(key, await one.run(input, await place.context()));
    }
    return { output: kept.get(key) as Output, cached: true };
  };
  const deps = { blobs: place.blobs, step };
  const found = (source: string, asOf: string, seenAt: string, partitions: Record<string, Partition[]>) =>
    foundSource({}, { name: 'p', sources }, source, {
      asOf,
      seenAt,
      partitions,
      refers: source === 'orders' ? ['shops'] : undefined,
    });
  return {
    ran,
    file: (name: string, rows: Rows) => extract(place, sources[name.split('/')[0] as 'orders' | 'shops'], name, rows),
    /** One run: both sources as of a date. @returns the values without a match */
    async run(asOf: string, seenAt: string, partitions: Record<string, Partition[]>): Promise<string[]> {
      await publishSource(deps, found('shops', asOf, seenAt, partitions), { fresh: true });
      try {
        const { output } = await publishSource(deps, found('orders', asOf, seenAt, partitions), { fresh: true });
        const { rules } = await place.blobs.json<SnapshotChecks>(output.checks as never);
        expect(rules.at(-1)).toMatchObject({ rule: 'shop: x-references shops.name', passed: true });
        return [];
      } catch (error) {
        const { code, details } = error as {
          code: string;
          details: { rules: { samples: { values: { shop: string } }[] }[] };
        };
        expect(code).toBe('REFIT_CONTRACT_TABLE');
        return details.rules.flatMap(({ samples }) => samples.map(({ values }) => values.shop));
      }
    },
    /** The partitions of the shops that orders are held against. */
    references: async (asOf: string, partitions: Record<string, Partition[]>) =>
      (await sourceAsOf(deps, found('orders', asOf, '2024-03-01T00:00:00Z', partitions))).references,
  };
}

async function extract(place: Workplace, spec: SourceSpec, name: string, rows: Rows): Promise<Partition> {
  const { contract, eventTime, knownAt, changes } = spec;
  const times = {
    ...(eventTime ? { eventTime } : {}),
    ...(knownAt ? { knownAt } : {}),
    ...(changes ? { changes } : {}),
  };
  return place.extract(await place.write(`${name}.parquet`, sqlOf(rows)), { contract, ...times });
}

const JANUARY = [
  { id: 1, shop: 'a', at: '2024-01-10' },
  { id: 2, shop: 'b', at: '2024-01-11' },
];

describe('a reference to another source', () => {
  it('is not satisfied by a key that a correction brought later, nor broken by one that it took away', async () => {
    const { file, run } = await shop(SHOPS);
    const orders = [await file('orders/01', JANUARY)];
    const both = await file('shops/all', [
      { name: 'a', at: '2024-01-01' },
      { name: 'b', at: '2024-01-20' },
    ]);
    expect(await run('2024-01-15T00:00:00Z', '2024-01-21T00:00:00Z', { orders, shops: [both] })).toEqual(['b']);
    expect(await run('2024-01-21T00:00:00Z', '2024-01-21T00:00:00Z', { orders, shops: [both] })).toEqual([]);
    // "b" is backdated, "a" is gone: seen in February, and so known from then.
    const corrected = await file('shops/all', [{ name: 'b', at: '2024-01-02' }]);
    const partitions = { orders, shops: [corrected] };
    expect(await run('2024-01-15T00:00:00Z', '2024-02-05T00:00:00Z', partitions)).toEqual(['b']);
    expect(await run('2024-01-21T00:00:00Z', '2024-02-05T00:00:00Z', partitions)).toEqual([]);
    expect(await run('2024-02-05T00:00:00Z', '2024-02-05T00:00:00Z', partitions)).toEqual(['a']);
  });

  it('is held against what was known of new partitions, which may bring new columns', async () => {
    const { file, run } = await shop({ ...SHOPS, contract: { properties: {} } });
    const orders = [await file('orders/01', JANUARY)];
    const shops = [await file('shops/1', [{ name: 'a', at: '2024-01-01' }])];
    expect(await run('2024-01-15T00:00:00Z', '2024-01-15T00:00:00Z', { orders, shops })).toEqual(['b']);
    shops.push(await file('shops/2', [{ name: 'b', at: '2024-01-16', town: 'x' }]));
    expect(await run('2024-01-15T00:00:00Z', '2024-02-01T00:00:00Z', { orders, shops })).toEqual(['b']);
    expect(await run('2024-01-16T00:00:00Z', '2024-02-01T00:00:00Z', { orders, shops })).toEqual([]);
  });

  it('is held against change data as it was: a deleted key is not there', async () => {
    const { file, run } = await shop(CHANGES);
    const orders = [await file('orders/01', JANUARY)];
    const shops = [
      await file('shops/1', [
        { name: 'a', op: 'insert', lsn: 1, at: '2024-01-01' },
        { name: 'b', op: 'insert', lsn: 2, at: '2024-01-20' },
      ]),
      await file('shops/2', [{ name: 'a', op: 'delete', lsn: 3, at: '2024-02-01' }]),
    ];
    const seen = '2024-02-10T00:00:00Z';
    expect(await run('2024-01-15T00:00:00Z', seen, { orders, shops })).toEqual(['b']);
    expect(await run('2024-01-31T00:00:00Z', seen, { orders, shops })).toEqual([]);
    expect(await run('2024-02-01T00:00:00Z', seen, { orders, shops })).toEqual(['a']);
  });

  it('is held against change rows that a log grew by, from when they say they were made', async () => {
    const { file, run } = await shop(CHANGES);
    const orders = [await file('orders/01', JANUARY)];
    const log: Rows = [{ name: 'a', op: 'insert', lsn: 1, at: '2024-01-01' }];
    const first = { orders, shops: [await file('shops/log', log)] };
    expect(await run('2024-01-12T00:00:00Z', '2024-01-12T00:00:00Z', first)).toEqual(['b']);
    log.push(
      { name: 'b', op: 'insert', lsn: 2, at: '2024-01-20' },
      { name: 'a', op: 'delete', lsn: 3, at: '2024-02-01' },
    );
    const grown = { orders, shops: [await file('shops/log', log)] };
    const seen = '2024-03-01T00:00:00Z';
    expect(await run('2024-01-19T00:00:00Z', seen, grown)).toEqual(['b']);
    expect(await run('2024-01-20T00:00:00Z', seen, grown)).toEqual([]);
    expect(await run('2024-02-01T00:00:00Z', seen, grown)).toEqual(['a']);
    // A change that is put in among the old ones later is a correction.
    log.push({ name: 'a', op: 'insert', lsn: 4, at: '2024-01-25' });
    const mended = { orders, shops: [await file('shops/log', log)] };
    expect(await run('2024-02-02T00:00:00Z', '2024-04-01T00:00:00Z', mended)).toEqual(['a']);
    expect(await run('2024-04-01T00:00:00Z', '2024-04-01T00:00:00Z', mended)).toEqual([]);
  });

  it('is found in the cache again by a rerun, whatever has come since', async () => {
    const { file, run, ran, references } = await shop(SHOPS);
    const orders = [await file('orders/01', JANUARY)];
    const shops = [
      await file(
        'shops/all',
        ['a', 'b'].map((name) => ({ name, at: '2024-01-05' })),
      ),
    ];
    const asOf = '2024-01-15T00:00:00Z';
    await run(asOf, asOf, { orders, shops });
    const before = await references('2024-01-05T00:00:00Z', { orders, shops });
    ran.length = 0;
    await run(asOf, '2024-02-01T00:00:00Z', { orders, shops });
    expect(ran).toEqual([]);
    const corrected = [
      await file(
        'shops/all',
        ['a', 'b', 'c'].map((name) => ({ name, at: '2024-01-05' })),
      ),
    ];
    await run('2024-02-01T00:00:00Z', '2024-02-01T00:00:00Z', { orders, shops: corrected });
    expect(await references('2024-01-05T00:00:00Z', { orders, shops: corrected })).toEqual(before);
  });

  it('is held against a list without any times as it is: what it lacked can be mended', async () => {
    const { file, run } = await shop({ ...BASE, path: 'shops/*.parquet', contract: { properties: {} } });
    const orders = [await file('orders/01', JANUARY)];
    const asOf = '2024-01-15T00:00:00Z';
    expect(
      await run(asOf, '2024-02-01T00:00:00Z', { orders, shops: [await file('shops/1', [{ name: 'a' }])] }),
    ).toEqual(['b']);
    const mended = [await file('shops/1', [{ name: 'a' }, { name: 'b' }])];
    expect(await run(asOf, '2024-02-02T00:00:00Z', { orders, shops: mended })).toEqual([]);
  });

  it('names the source of which nothing was known yet', async () => {
    const { file, references } = await shop(SHOPS);
    const orders = [await file('orders/01', JANUARY)];
    await expect(references('2024-01-15T00:00:00Z', { orders, shops: [] })).rejects.toMatchObject({
      code: 'REFIT_WINDOW_EMPTY',
      message: expect.stringContaining('"shops"') as string,
    });
  });
});
