import { describe, expect, it } from 'vitest';
import { literal } from '../../core/dataset/duckdb.ts';
import { publishSource } from '../../core/dataset/publish-source.ts';
import { declarationOf } from '../../core/dataset/sightings.ts';
import type { Partition, Snapshot } from '../../core/spec/artifacts.ts';
import type { SourceSpec } from '../../core/spec/pipeline.ts';
import type { Step } from '../../core/store/step.ts';
import { database, type Workplace, workplace } from './dataset.fixture.ts';

const CONTRACT = {
  type: 'object',
  required: ['id', 'at'],
  properties: {
    id: { type: 'integer' },
    at: { type: 'string', format: 'date-time' },
    amount: { type: ['number', 'null'], minimum: 0 },
    paid_at: { type: 'string', format: 'date-time' },
    paid: { type: 'boolean' },
    recorded: { type: 'string', format: 'date-time' },
  },
};
const ORDERS: SourceSpec = {
  format: 'parquet',
  path: 'orders/*.parquet',
  contract: { ...CONTRACT, 'x-unique': ['id'] },
  zone: 'UTC',
  derive: {},
  eventTime: '"at"',
  knownAt: { '*': '"at"', paid: 'paid_at', paid_at: 'paid_at' },
  maxBadShare: 0.5,
};

interface Row {
  id: number;
  at: string;
  amount?: number | null;
  paidAt?: string;
  paid?: boolean;
  recorded?: string;
}

/** Rows as a SELECT; times without a zone. */
function rowsSql(rows: Row[]): string {
  const time = (value?: string) => (value === undefined ? 'NULL::TIMESTAMP' : `TIMESTAMP '${value}'`);
  return rows
    .map(
      ({ id, at, amount = null, paidAt, paid = null, recorded }) =>
        `SELECT ${id}::BIGINT AS id, ${time(at)} AS "at", ${amount}::DOUBLE AS amount, ${time(paidAt)} AS paid_at, ${paid}::BOOLEAN AS paid, ${time(recorded)} AS recorded`,
    )
    .join(' UNION ALL ');
}

/** A source whose files are written, looked at by runs, and written again. */
async function source(spec: SourceSpec = ORDERS) {
  const place = await workplace();
  const steps: string[] = [];
  const step = async <Input, Output>(one: Step<Input, Output>, input: Input) => {
    steps.push(one.name);
    return { output: await one.run(input, await place.context()), cached: false };
  };
  const extract = async (name: string, rows: Row[]): Promise<Partition> => {
    await place.write(`orders/${name}.parquet`, `SELECT * FROM (${rowsSql(rows)})`);
    const { contract, eventTime, knownAt, recordedAt } = spec;
    return place.extract(`orders/${name}.parquet`, {
      contract,
      ...(eventTime ? { eventTime } : {}),
      ...(knownAt ? { knownAt } : {}),
      ...(recordedAt ? { recordedAt } : {}),
    });
  };
  const run = (asOf: string, seenAt: string, partitions: Partition[]): Promise<Snapshot> =>
    publishSource(
      { blobs: place.blobs, step },
      {
        pipeline: 'shop',
        source: 'orders',
        spec,
        declaration: declarationOf({}, 'orders', spec),
        asOf,
        partitions,
        seenAt,
      },
      { fresh: false },
    ).then(({ output }) => output);
  return { place, extract, run, steps };
}

/** What a reader at a time sees: `id amount`, with `paid` where that is known. */
async function seen({ root, blobs }: Workplace, snapshot: Snapshot, at: string): Promise<string[]> {
  const files = await Promise.all(snapshot.partitions.map(({ data }) => blobs.path(data)));
  const rows = await database(root, (db) =>
    db.rows<{
      row: string;
    }>(`SELECT concat_ws(' ', id, coalesce(amount::VARCHAR, '-'), CASE WHEN __known_1 <= TIMESTAMP '${at}' THEN paid END) AS row
      FROM (SELECT *, ${snapshot.ends ? '__gone_at' : "'infinity'::TIMESTAMP"} AS gone FROM read_parquet([${files.map(literal).join(', ')}], union_by_name = true))
      WHERE __known_0 <= TIMESTAMP '${at}' AND coalesce(gone, 'infinity') > TIMESTAMP '${at}' ORDER BY id, amount`),
  );
  return rows.map(({ row }) => row);
}

const JANUARY: Row[] = [
  { id: 1, at: '2024-01-02', amount: 10, paidAt: '2024-01-03', paid: true },
  { id: 2, at: '2024-01-05', amount: 20 },
  { id: 3, at: '2024-01-10', amount: 30 },
];

describe('a corrected partition', () => {
  it('is seen as it was before by a run as of an earlier date, and corrected by a later one', async () => {
    const { place, extract, run, steps } = await source();
    const first = await extract('01', JANUARY);
    const before = await run('2024-01-31T00:00:00Z', '2024-01-31T00:00:00Z', [first]);
    expect(before.ends).toBeUndefined();
    const corrected = await extract('01', [
      { id: 1, at: '2024-01-02', amount: 11, paidAt: '2024-01-03', paid: true },
      { id: 3, at: '2024-01-10', amount: 30 },
      { id: 4, at: '2024-01-08', amount: 40 },
    ]);
    const after = await run('2024-02-10T00:00:00Z', '2024-02-05T00:00:00Z', [corrected]);
    expect(after).toMatchObject({ rows: 3, ends: true });
    expect(await seen(place, after, '2024-01-31')).toEqual(['1 10.0 true', '2 20.0', '3 30.0']);
    expect(await seen(place, after, '2024-02-04 23:59:59')).toEqual(['1 10.0 true', '2 20.0', '3 30.0']);
    expect(await seen(place, after, '2024-02-05')).toEqual(['1 11.0 true', '3 30.0', '4 40.0']);
    expect(await seen(place, after, '2024-01-09')).toEqual(['1 10.0 true', '2 20.0']);
    // The very snapshot of then, whatever lies in the folder now.
    steps.length = 0;
    expect(await run('2024-01-10T00:00:00Z', '2024-02-06T00:00:00Z', [corrected])).toMatchObject({ id: before.id });
    expect(steps).not.toContain('fold-versions');
    // Between the end of the old data and the correction, its rows are as they were, too.
    const between = await run('2024-01-31T00:00:00Z', '2024-02-06T00:00:00Z', [corrected]);
    expect(between.rows).toBe(3);
    expect(await seen(place, between, '2024-01-31')).toEqual(['1 10.0 true', '2 20.0', '3 30.0']);
  });

  it('may grow: new rows and values learned meanwhile are no corrections', async () => {
    const { place, extract, run } = await source();
    await run('2024-01-11T00:00:00Z', '2024-01-11T00:00:00Z', [await extract('01', JANUARY)]);
    const grown = await extract('01', [
      ...JANUARY.slice(0, 2),
      { id: 3, at: '2024-01-10', amount: 30, paidAt: '2024-01-12', paid: true },
      { id: 5, at: '2024-01-11 08:00:00', amount: 50 },
    ]);
    const after = await run('2024-01-20T00:00:00Z', '2024-01-20T00:00:00Z', [grown]);
    expect(await seen(place, after, '2024-01-11')).toEqual(['1 10.0 true', '2 20.0', '3 30.0']);
    expect(await seen(place, after, '2024-01-12')).toEqual(['1 10.0 true', '2 20.0', '3 30.0 true', '5 50.0']);
    expect(after.rows).toBe(4);
  });

  it('of rows without a key is told by their values', async () => {
    const { place, extract, run } = await source({ ...ORDERS, contract: CONTRACT });
    const twice = [...JANUARY, { id: 2, at: '2024-01-05', amount: 20 }];
    await run('2024-01-31T00:00:00Z', '2024-01-31T00:00:00Z', [await extract('01', twice)]);
    const corrected = await extract('01', [...JANUARY.slice(1), { id: 1, at: '2024-01-02', amount: 12 }]);
    const after = await run('2024-02-10T00:00:00Z', '2024-02-05T00:00:00Z', [corrected]);
    expect(await seen(place, after, '2024-02-01')).toEqual(['1 10.0 true', '2 20.0', '2 20.0', '3 30.0']);
    expect(await seen(place, after, '2024-02-05')).toEqual(['1 12.0', '2 20.0', '3 30.0']);
  });

  it('is believed where its rows say when they were recorded', async () => {
    const { place, extract, run } = await source({ ...ORDERS, recordedAt: 'recorded' });
    await run('2024-01-31T00:00:00Z', '2024-01-31T00:00:00Z', [await extract('01', JANUARY)]);
    const corrected = await extract('01', [
      { id: 1, at: '2024-01-02', amount: 11, recorded: '2024-01-20' },
      ...JANUARY.slice(1),
      { id: 4, at: '2024-01-08', amount: 40, recorded: '2024-01-15' },
      { id: 6, at: '2024-01-08', amount: 60 },
    ]);
    const after = await run('2024-02-10T00:00:00Z', '2024-02-05T00:00:00Z', [corrected]);
    expect(await seen(place, after, '2024-01-14')).toEqual(['1 10.0 true', '2 20.0', '3 30.0']);
    expect(await seen(place, after, '2024-01-20')).toEqual(['1 11.0', '2 20.0', '3 30.0', '4 40.0']);
    expect(await seen(place, after, '2024-02-05')).toEqual(['1 11.0', '2 20.0', '3 30.0', '4 40.0', '6 60.0']);
  });

  it('may be corrected again, and back', async () => {
    const { place, extract, run } = await source();
    const amount = async (value: number) => extract('01', [{ id: 1, at: '2024-01-02', amount: value }]);
    for (const [value, day] of [
      [10, '03'],
      [11, '05'],
      [12, '07'],
      [10, '09'],
    ] as const) {
      await run(`2024-01-${day}T00:00:00Z`, `2024-01-${day}T00:00:00Z`, [await amount(value)]);
    }
    const end = await run('2024-02-01T00:00:00Z', '2024-01-20T00:00:00Z', [await amount(10)]);
    const states = ['02', '05', '06', '08', '09', '30'].map((day) => seen(place, end, `2024-01-${day}`));
    expect((await Promise.all(states)).flat()).toEqual(['1 10.0', '1 11.0', '1 11.0', '1 12.0', '1 10.0', '1 10.0']);
    expect(end.rows).toBe(1);
  });

  it('counts its broken rows while they are there', async () => {
    const { place, extract, run } = await source();
    const broken = await extract('01', [...JANUARY, { id: 9, at: '2024-01-04', amount: -1 }]);
    expect(await run('2024-01-31T00:00:00Z', '2024-01-31T00:00:00Z', [broken])).toMatchObject({
      quarantined: 1,
      rows: 3,
    });
    const mended = await extract('01', [...JANUARY, { id: 9, at: '2024-01-04', amount: 1 }]);
    const after = await run('2024-02-10T00:00:00Z', '2024-02-05T00:00:00Z', [mended]);
    expect(after).toMatchObject({ quarantined: 0, rows: 4, rules: [] });
    const before = await run('2024-02-01T00:00:00Z', '2024-02-05T00:00:00Z', [mended]);
    expect(before).toMatchObject({ quarantined: 1, rows: 3, rules: [{ rule: 'amount: minimum 0', count: 1 }] });
    expect((await seen(place, after, '2024-02-05')).at(-1)).toBe('9 1.0');
  });

  it('that breaks its contract is refused at once, though a run as of that date would not see it', async () => {
    const { place, extract, run } = await source({ ...ORDERS, maxBadShare: 0.1 });
    await run('2024-01-31T00:00:00Z', '2024-01-31T00:00:00Z', [await extract('01', JANUARY)]);
    const broken = await extract(
      '01',
      JANUARY.map((row) => ({ ...row, amount: -1 })),
    );
    await expect(run('2024-01-31T00:00:00Z', '2024-02-05T00:00:00Z', [broken])).rejects.toMatchObject({
      code: 'REFIT_CONTRACT_BAD_ROWS',
    });
    expect(await keys(place)).toHaveLength(1);
  });

  it('replaces the old one for every date where the source says so', async () => {
    const { extract, run } = await source({ ...ORDERS, corrections: 'replace' });
    await run('2024-01-31T00:00:00Z', '2024-01-31T00:00:00Z', [await extract('01', JANUARY)]);
    const fewer = await extract('01', JANUARY.slice(1));
    expect(await run('2024-01-31T00:00:00Z', '2024-02-05T00:00:00Z', [fewer])).toMatchObject({ rows: 2 });
  });
});

describe('what was seen when', () => {
  it('is recorded when, and only when, a snapshot is published', async () => {
    const { place, extract, run } = await source({ ...ORDERS, maxBadShare: 0 });
    const broken = await extract('01', [...JANUARY, { id: 9, at: '2024-01-04', amount: -1 }]);
    await expect(run('2024-01-31T00:00:00Z', '2024-01-31T00:00:00Z', [broken])).rejects.toMatchObject({
      code: 'REFIT_CONTRACT_BAD_ROWS',
    });
    // The mended file is the first that counts.
    const mended = await extract('01', JANUARY);
    const first = await run('2024-01-31T00:00:00Z', '2024-02-05T00:00:00Z', [mended]);
    expect(first).toMatchObject({ rows: 3 });
    expect(first.ends).toBeUndefined();
    await run('2024-03-31T00:00:00Z', '2024-03-31T00:00:00Z', [mended]);
    expect(await keys(place)).toHaveLength(1);
  });

  it('with rows that break the contract says nothing to a run as of an earlier date, where nothing has a known-at', async () => {
    const { eventTime: _, knownAt: __, ...timeless } = ORDERS;
    const { extract, run } = await source(timeless);
    await run('2024-01-31T00:00:00Z', '2024-01-31T00:00:00Z', [await extract('01', JANUARY)]);
    const broken = await extract('01', [{ id: 1, at: '2024-01-02', amount: -1 }, ...JANUARY.slice(1)]);
    const after = await run('2024-03-31T00:00:00Z', '2024-03-01T00:00:00Z', [broken]);
    expect(after).toMatchObject({ rows: 2, quarantined: 1 });
    expect(await run('2024-02-15T00:00:00Z', '2024-03-02T00:00:00Z', [broken])).toMatchObject({
      rows: 3,
      quarantined: 0,
    });
  });

  it('is agreed on by runs at once', async () => {
    const { place, extract, run } = await source();
    await run('2024-01-31T00:00:00Z', '2024-01-31T00:00:00Z', [await extract('01', JANUARY)]);
    const corrected = await extract('01', JANUARY.slice(1));
    const days = ['10', '11', '12', '13'];
    const all = await Promise.all(
      days.map((day) => run('2024-03-01T00:00:00Z', `2024-02-${day}T00:00:00Z`, [corrected])),
    );
    expect(new Set(all.map(({ id }) => id)).size).toBe(1);
    expect(await keys(place)).toHaveLength(2);
  });

  it('keeps the order it was recorded in, by clocks that are apart or go back, and stays what it was', async () => {
    const { place, extract, run, steps } = await source();
    const amount = async (value: number) => extract('01', [{ id: 1, at: '2024-01-02', amount: value }]);
    await run('2024-01-03T00:00:00Z', '2024-01-03T00:00:00Z', [await amount(10)]);
    await run('2024-01-10T00:00:00Z', '2024-01-10T00:00:00Z', [await amount(11)]);
    // The clock of this one is five days behind, or it was due then and came to it late.
    const third = await amount(12);
    const found = await run('2024-01-05T00:00:00Z', '2024-01-05T00:00:00Z', [third]);
    expect(await seen(place, found, '2024-01-05')).toEqual(['1 10.0']);
    const later = await run('2024-01-11T00:00:00Z', '2024-01-05T00:00:00Z', [third]);
    const states = ['04', '06', '09', '10'].map((day) => seen(place, later, `2024-01-${day}`));
    expect((await Promise.all(states)).flat()).toEqual(['1 10.0', '1 10.0', '1 10.0', '1 12.0']);
    // What was recorded gives the same to whoever reads it next, whatever its clock.
    steps.length = 0;
    for (const clock of ['2024-01-04', '2024-01-12', '2030-01-01'])
      expect(await run('2024-01-11T00:00:00Z', `${clock}T00:00:00Z`, [third])).toMatchObject({ id: later.id });
    expect(await keys(place)).toHaveLength(3);
  });

  it('does not touch other partitions, new or late ones', async () => {
    const { place, extract, run } = await source();
    const first = await extract('02', [{ id: 20, at: '2024-02-02', amount: 1 }]);
    await run('2024-02-10T00:00:00Z', '2024-02-10T00:00:00Z', [first]);
    const late = await extract('01', JANUARY);
    const after = await run('2024-02-10T00:00:00Z', '2024-02-12T00:00:00Z', [late, first]);
    expect(after.ends).toBeUndefined();
    expect(after.partitions.map(({ data }) => data.sha256)).toEqual([late.data.sha256, first.data.sha256]);
    expect(await seen(place, after, '2024-01-04')).toEqual(['1 10.0 true']);
  });
});

async function keys({ blobs }: Workplace): Promise<string[]> {
  const found: string[] = [];
  for await (const key of blobs.objects.list('sightings/')) found.push(key);
  return found;
}
