import { describe, expect, it } from 'vitest';
import { publishSnapshot, type SnapshotInput } from '../../core/dataset/publish-snapshot.ts';
import { isWider } from '../../core/dataset/snapshot-columns.ts';
import { knownAtSql, newestEventOf, snapshotRelation } from '../../core/dataset/snapshot-sql.ts';
import type { Partition } from '../../core/spec/artifacts.ts';
import { ANYTHING, database, type Workplace, workplace } from './dataset.fixture.ts';

const CONTRACT = { properties: { id: { type: 'integer' }, delay: { type: ['integer', 'null'], maximum: 100 } } };
const SPEC = {
  contract: CONTRACT,
  eventTime: 'planned',
  knownAt: { '*': 'planned - INTERVAL 1 DAY', delay: 'planned + to_minutes(delay)' },
};
/** Ten flights a day from `first` on, in January 2013; every tenth has a delay that cannot be. */
const flights = (first: number, days: number) => `SELECT ${first * 10} + i AS id,
  TIMESTAMP '2013-01-01' + to_days((${first - 1} + i // 10)::INTEGER) + to_hours(i % 10) AS planned,
  CASE WHEN i % 10 = 9 THEN 1440 ELSE 5 END AS delay FROM range(${days * 10}) r(i)`;

async function partitions(place: Workplace): Promise<Partition[]> {
  const first = await place.extract(await place.write('d/1.parquet', flights(1, 2)), SPEC);
  return [first, await place.extract(await place.write('d/2.parquet', flights(3, 2)), SPEC)];
}

async function publish(place: Workplace, input: Partial<SnapshotInput> & Pick<SnapshotInput, 'partitions'>) {
  const whole = { source: 'flights', asOf: '2013-02-01T00:00:00Z', contract: CONTRACT, maxBadShare: 0.2, ...input };
  return publishSnapshot.run(whole, await place.context());
}

async function stored(place: Workplace): Promise<string[]> {
  const keys: string[] = [];
  for (const prefix of ['datasets', 'quarantine'])
    for await (const key of place.blobs.objects.list(`${prefix}/`)) keys.push(key);
  return keys;
}

describe('a snapshot', () => {
  it('counts what was known as of the date, and rejects nothing for a value still to come', async () => {
    const place = await workplace();
    const parts = await partitions(place);
    // On 2 January at noon: three days of flights planned; the first impossible delay (of the 1st, 09:00) is known at 09:00.
    const noon = await publish(place, { partitions: parts, asOf: '2013-01-02T12:00:00Z' });
    expect(noon).toMatchObject({ rows: 29, quarantined: 1, newestEvent: '2013-01-02T09:00:00Z' });
    expect(noon.rules).toEqual([{ rule: 'delay: maximum 100', column: 'delay', count: 1 }]);
    const before = await publish(place, { partitions: parts, asOf: '2013-01-02T08:00:00Z' });
    expect(before).toMatchObject({ rows: 29, quarantined: 0, rules: [], newestEvent: '2013-01-02T08:00:00Z' });
    const end = await publish(place, { partitions: parts });
    expect(end).toMatchObject({ rows: 36, quarantined: 4 });
    expect(end.id).toBe(noon.id);
  });

  it('is the same whatever the order of its partitions, and another when one changes', async () => {
    const place = await workplace();
    const parts = await partitions(place);
    const { id } = await publish(place, { partitions: parts });
    expect((await publish(place, { partitions: [...parts].reverse() })).id).toBe(id);
    const other = await place.extract(await place.write('d/2.parquet', flights(3, 1)), SPEC);
    expect((await publish(place, { partitions: [parts[0] as Partition, other] })).id).not.toBe(id);
  });

  it('publishes one manifest for the data and one for what was rejected, once', async () => {
    const place = await workplace();
    const parts = await partitions(place);
    const { id, manifest } = await publish(place, { partitions: parts, asOf: '2013-01-02T12:00:00Z' });
    const etag = (await place.blobs.objects.stat(manifest))?.etag;
    await publish(place, { partitions: parts });
    expect((await place.blobs.objects.stat(manifest))?.etag).toBe(etag);
    expect(await stored(place)).toEqual([manifest, `quarantine/flights/${id}/manifest.json`]);
    expect(manifest).toBe(`datasets/flights/${id}/manifest.json`);
    const body = await place.blobs.objects.get(`quarantine/flights/${id}/manifest.json`);
    const rejected = JSON.parse(new TextDecoder().decode(body?.body)) as { partitions: object[] };
    expect(rejected.partitions).toMatchObject([
      { name: 'd/1.parquet', badRows: 2, rules: [{ rule: 'delay: maximum 100', count: 2 }] },
      { name: 'd/2.parquet', badRows: 2 },
    ]);
  });

  it('fails when too many rows are bad, with counts and rules, and publishes nothing', async () => {
    const place = await workplace();
    const parts = await partitions(place);
    await expect(publish(place, { partitions: parts, maxBadShare: 0.05 })).rejects.toMatchObject({
      code: 'REFIT_CONTRACT_BAD_ROWS',
      message:
        'Source "flights": 4 of 40 rows (10 %) break the contract, more than the 5 % allowed; most often delay: maximum 100 (4).',
      details: {
        rules: [{ rule: 'delay: maximum 100', count: 4 }],
        quarantine: [{ name: 'd/1.parquet' }, { name: 'd/2.parquet' }],
      },
    });
    expect(await stored(place)).toEqual([]);
    // The same data was fine as of a day when little of that was known.
    await publish(place, { partitions: parts, maxBadShare: 0.05, asOf: '2013-01-02T12:00:00Z' });
  });

  it('fails when its newest event is older than freshness allows, judged as of the date', async () => {
    const place = await workplace();
    const parts = await partitions(place);
    await expect(publish(place, { partitions: parts, freshness: '7d' })).rejects.toMatchObject({
      code: 'REFIT_DATA_STALE',
      message: expect.stringMatching(
        /as of 2013-02-01T00:00:00Z has its newest event known at 2013-01-04T08:00:00Z, .* 7d/,
      ),
    });
    await publish(place, { partitions: parts, freshness: '7d', asOf: '2013-01-10T00:00:00Z' });
  });

  it('fails as of a date before its data, and says when that starts', async () => {
    const place = await workplace();
    const parts = await partitions(place);
    const early = (asOf: string, partitions = parts) =>
      expect(publish(place, { partitions, freshness: '7d', asOf })).rejects;
    // Flights are known a day ahead.
    await early('2012-01-01T00:00:00Z').toMatchObject({
      code: 'REFIT_WINDOW_EMPTY',
      message: 'Source "flights" has no data as of 2012-01-01T00:00:00Z: it starts at 2012-12-31T00:00:00Z.',
    });
    await early('2012-12-31T12:00:00Z').toMatchObject({
      code: 'REFIT_WINDOW_EMPTY',
      message: expect.stringContaining('it starts at 2013-01-01T00:00:00Z'),
    });
    await early('2012-01-01T00:00:00Z', []).toMatchObject({ code: 'REFIT_WINDOW_EMPTY' });
    expect(await stored(place)).toEqual([]);
    // Without a freshness, events still to come are as good as any.
    expect((await publish(place, { partitions: parts, asOf: '2012-12-31T12:00:00Z' })).newestEvent).toBeNull();
  });

  it('counts keys that several files share', async () => {
    const place = await workplace();
    const contract = { ...CONTRACT, 'x-unique': ['id'] };
    const one = await place.extract(await place.write('d/1.parquet', flights(1, 2)), { ...SPEC, contract });
    const two = await place.extract(await place.write('d/2.parquet', flights(1, 1)), { ...SPEC, contract });
    const found = await publish(place, { partitions: [one, two], contract, maxBadShare: 0.5 });
    expect(found.rules[0]).toEqual({ rule: 'across files: unique (id)', column: null, count: 9 });
    const strict = publish(place, { partitions: [one, two], contract, maxBadShare: 0.2 });
    await expect(strict).rejects.toMatchObject({
      code: 'REFIT_CONTRACT_BAD_ROWS',
      message: expect.stringContaining('12 of 30 rows'),
    });
  });

  it('takes decimals that grow wider, with their values, and none that lose a digit', async () => {
    const place = await workplace();
    const file = async (name: string, price: string) =>
      place.extract(await place.write(`d/${name}.parquet`, `SELECT ${price} AS price`), { contract: ANYTHING });
    const narrow = await file('1', '12345678.90::DECIMAL(10,2)');
    const whole = await file('0', '7::SMALLINT');
    const wide = await file('2', '1234567890.12::DECIMAL(12,2)');
    const snapshot = await publish(place, { partitions: [narrow, whole, wide] });
    expect(snapshot.columns).toMatchObject([{ name: 'price', type: 'DECIMAL(12,2)' }]);
    expect(isWider('DECIMAL(12,2)', 'DECIMAL(10,2)')).toBe(true);
    expect(isWider('DECIMAL(12,3)', 'DECIMAL(12,2)')).toBe(false);
    expect(isWider('DECIMAL(12,2)', 'BIGINT')).toBe(false);
    expect(isWider('DECIMAL(19,0)', 'BIGINT')).toBe(true);
    const finer = await file('3', '1.234::DECIMAL(12,3)');
    await expect(publish(place, { partitions: [wide, finer] })).rejects.toMatchObject({ code: 'REFIT_CONTRACT_TYPE' });
  });

  it('takes a column that comes later or grows wider, and none that goes away or changes its type', async () => {
    const place = await workplace();
    const [one] = (await partitions(place)) as [Partition];
    const file = async (name: string, extra: string) =>
      place.extract(await place.write(name, `SELECT *, ${extra} FROM (${flights(5, 1)})`), SPEC);
    const added = await file('d/3.parquet', '1::SMALLINT AS extra');
    const wider = await file('d/4.parquet', '70000 AS extra');
    const snapshot = await publish(place, { partitions: [one, added, wider] });
    expect(snapshot.columns.find(({ name }) => name === 'extra')?.type).toBe('INTEGER');
    const [row] = await database(place.root, async (db) =>
      db.rows(
        `SELECT sum(extra)::DOUBLE AS sum, count(extra)::DOUBLE AS n FROM ${await snapshotRelation(db, snapshot, place.blobs)}`,
      ),
    );
    expect(row).toEqual({ sum: 10 + 700_000, n: 20 });
    const gone = { ...one, name: 'd/9.parquet' };
    await expect(publish(place, { partitions: [one, added, gone] })).rejects.toMatchObject({
      code: 'REFIT_CONTRACT_TYPE',
      message:
        'Source "flights": column "extra" is SMALLINT in d/3.parquet and missing in d/9.parquet; name it in the contract.',
    });
    await expect(publish(place, { partitions: [added, await file('d/5.parquet', "'x' AS extra")] })).rejects.toThrow(
      /is SMALLINT in d\/3.parquet and VARCHAR in d\/5.parquet/,
    );
  });

  it('reads as one table of all rows, with the time from which columns are known', async () => {
    const place = await workplace();
    const parts = await partitions(place);
    const snapshot = await publish(place, { partitions: parts });
    const known = knownAtSql(snapshot.columns, ['id', 'delay']);
    const [row] = await database(place.root, async (db) =>
      db.rows(`SELECT count(*)::INTEGER AS n, count(*) FILTER (WHERE ${known} <= TIMESTAMP '2013-01-01 12:00')::INTEGER AS known,
        count(*) FILTER (WHERE __bad_known_at = 'infinity')::INTEGER AS good FROM ${await snapshotRelation(db, snapshot, place.blobs)}`),
    );
    expect(row).toEqual({ n: 40, known: 9, good: 36 });
    expect(newestEventOf(parts)).toBe('2013-01-04T08:00:00Z');
    expect(newestEventOf([{}, { eventRange: { oldest: 'x', newest: '2013-01-04T08:00:00.25Z' } }])).toBe(
      '2013-01-04T08:00:01Z',
    );
    expect(newestEventOf([{}])).toBeNull();
  });
});
