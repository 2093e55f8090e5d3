import { describe, expect, it } from 'vitest';
import { checkSource } from '../../core/dataset/check-source.ts';
import { compareProfiles } from '../../core/dataset/compare-profiles.ts';
import { profileSnapshot } from '../../core/dataset/profile-snapshot.ts';
import { type PublishDeps, publishChecked } from '../../core/dataset/publish-checked.ts';
import type { BlobRef, Snapshot, SnapshotProfile } from '../../core/spec/artifacts.ts';
import type { SourceSpec } from '../../core/spec/pipeline.ts';
import { type Workplace, workplace } from './dataset.fixture.ts';

const ORDERS = {
  id: { type: 'integer' },
  price: { type: ['integer', 'null'] },
  country: { type: ['string', 'null'] },
};
const spec = (
  properties: object,
  options: { required?: string[]; version?: number; derive?: Record<string, string> } = {},
): SourceSpec => ({
  format: 'parquet',
  path: 'orders.parquet',
  contract: {
    properties,
    required: options.required ?? ['id'],
    ...(options.version === undefined ? {} : { 'x-version': options.version }),
  },
  zone: 'UTC',
  derive: options.derive ?? {},
  maxBadShare: 0,
});

/** One step after the other, without a cache. */
const depsIn = (place: Workplace): PublishDeps => ({
  blobs: place.blobs,
  step: async (step, input) => ({ output: await step.run(input, await place.context()), cached: false }),
});

async function source(place: Workplace, declared: SourceSpec, asOf: string, select: string) {
  const { contract, derive } = declared;
  const partition = await place.extract(await place.write('orders.parquet', select), { contract, derive });
  return { pipeline: 'shop', source: 'orders', spec: declared, asOf, partitions: [partition] };
}

async function publish(
  place: Workplace,
  declared: SourceSpec,
  asOf: string,
  select = "SELECT 1 AS id, 2 AS price, 'at' AS country",
): Promise<Snapshot> {
  return (await publishChecked(depsIn(place), await source(place, declared, asOf, select))).output;
}

describe('the columns of a source', () => {
  it('may be joined by optional ones and grow wider, which the snapshot records', async () => {
    const place = await workplace();
    expect((await publish(place, spec(ORDERS), '2020-01-01T00:00:00Z')).changes).toBeUndefined();
    const grown = spec({ ...ORDERS, price: { type: ['number', 'null'] }, gift: { type: 'boolean' } }, { required: [] });
    const changes = [
      { column: 'gift', change: 'added', from: null, to: 'boolean', compatible: true },
      { column: 'id', change: 'optional', from: 'integer', to: 'integer', compatible: true },
      { column: 'price', change: 'widened', from: 'integer', to: 'number', compatible: true },
    ];
    const snapshot = await publish(place, grown, '2020-02-01T00:00:00Z');
    expect(snapshot.changes).toEqual(changes);
    const manifest = await place.blobs.objects.get(snapshot.manifest);
    expect(JSON.parse(new TextDecoder().decode(manifest?.body))).toMatchObject({ changes });
    // The same date again, and the next one.
    expect((await publish(place, grown, '2020-02-01T00:00:00Z')).changes).toEqual(changes);
    expect((await publish(place, grown, '2020-03-01T00:00:00Z')).changes).toBeUndefined();
  });

  it.each([
    [
      'removed',
      { id: ORDERS.id, country: ORDERS.country },
      "SELECT 1 AS id, 'at' AS country",
      'price: removed (was integer)',
    ],
    ['narrowed', { ...ORDERS, price: { type: ['integer', 'null'] } }, undefined, 'price: number → integer (narrowed)'],
    [
      'retyped',
      { ...ORDERS, price: { type: ['string', 'null'] } },
      "SELECT 1 AS id, '2' AS price, 'at' AS country",
      'price: number → string (retyped)',
    ],
    ['required', { ...ORDERS, price: { type: 'number' } }, undefined, 'price: newly required'],
    [
      'made personal',
      { ...ORDERS, price: { type: ['number', 'null'], 'x-pii': 'drop' } },
      undefined,
      'price: number → number as drop (retyped)',
    ],
  ])('are refused when one was %s, with the difference', async (change, properties, select, words) => {
    const place = await workplace();
    const before = change === 'removed' ? ORDERS : { ...ORDERS, price: { type: ['number', 'null'] } };
    await publish(place, spec(before), '2020-01-01T00:00:00Z');
    const after = spec(properties, { required: change === 'required' ? ['id', 'price'] : ['id'] });
    const refused = {
      code: 'REFIT_SCHEMA_CHANGED',
      message: `Source "orders" does not have the columns it had as of 2020-01-01T00:00:00Z: ${words}.`,
    };
    await expect(publish(place, after, '2020-02-01T00:00:00Z', select)).rejects.toMatchObject(refused);
    // Of the same date, too; and who asks beforehand is told the same.
    await expect(publish(place, after, '2020-01-01T00:00:00Z', select)).rejects.toMatchObject(refused);
    const of = await source(
      place,
      after,
      '2020-02-01T00:00:00Z',
      select ?? "SELECT 1 AS id, 2 AS price, 'at' AS country",
    );
    const { complaints } = await checkSource(of, await place.context());
    expect(complaints[0]).toMatchObject(refused);
    // As of a date before there was anything to compare with, and when it is said to be meant.
    await publish(place, after, '2019-12-01T00:00:00Z', select);
    const meant = { ...after, contract: { ...after.contract, 'x-version': 2 } };
    const snapshot = await publish(place, meant, '2020-02-01T00:00:00Z', select);
    expect(snapshot.changes).toMatchObject([{ compatible: false }]);
    expect((await publish(place, meant, '2020-02-01T00:00:00Z', select)).changes).toEqual(snapshot.changes);
    expect((await publish(place, meant, '2020-03-01T00:00:00Z', select)).changes).toBeUndefined();
  });

  it('are those of the source: what a pipeline derives may come and go', async () => {
    const place = await workplace();
    await publish(place, spec(ORDERS, { derive: { twice: 'price * 2' } }), '2020-01-01T00:00:00Z');
    expect((await publish(place, spec(ORDERS), '2020-02-01T00:00:00Z')).changes).toBeUndefined();
  });
});

const MANY = `SELECT i AS id, (CASE WHEN i % 4 = 0 THEN NULL ELSE i % 100 END)::INTEGER AS price,
  CASE WHEN i % 3 = 0 THEN 'at' ELSE 'de' END AS country, TIMESTAMP '2020-01-01' + to_minutes(i::INTEGER) AS sold_at FROM range(120000) r(i)`;

describe('the profile of a snapshot', () => {
  it('tells counts, ranges, quantiles and frequent values, the same whoever computes it', async () => {
    const place = await workplace();
    const snapshot = await publish(place, spec(ORDERS), '2020-01-01T00:00:00Z', MANY);
    const profile = await place.blobs.json<SnapshotProfile>(snapshot.profile as BlobRef);
    expect(profile).toMatchObject({ source: 'orders', snapshot: snapshot.id, rows: 120_000 });
    expect(Math.abs(profile.sampled / 40_000 - 1)).toBeLessThan(0.05);
    const [id, price, country, soldAt] = profile.columns;
    expect(id).toMatchObject({ kind: 'number', nulls: 0, min: 0, max: 119_999, mean: 59_999.5 });
    expect(Math.abs((id?.distinct ?? 0) / 120_000 - 1)).toBeLessThan(0.15);
    expect(price).toMatchObject({ nulls: 30_000, min: 1, max: 99, mean: 50 });
    expect(price?.quantiles?.p50).toBeGreaterThan(45);
    expect(price?.quantiles?.p50).toBeLessThan(55);
    expect(country).toMatchObject({ kind: 'category', top: [{ value: 'de' }, { value: 'at' }] });
    expect(soldAt).toMatchObject({ kind: 'time', min: '2020-01-01T00:00:00Z', max: '2020-03-24T07:59:00Z', top: [] });
    const { source, id: of, partitions, columns } = snapshot;
    const again = await profileSnapshot.run(
      { source, snapshot: of, partitions, columns, personal: [] },
      await place.context(),
    );
    expect(again.profile).toEqual(snapshot.profile);
    const hidden = await profileSnapshot.run(
      { source, snapshot: of, partitions, columns, personal: ['country'] },
      await place.context(),
    );
    const [, , personal] = (await place.blobs.json<SnapshotProfile>(hidden.profile)).columns;
    expect(personal).toEqual({
      name: 'country',
      type: 'VARCHAR',
      kind: 'category',
      personal: true,
      nulls: 0,
      distinct: 2,
      top: [],
    });
  });

  it('is compared with the last one, in words', async () => {
    const place = await workplace();
    await publish(place, spec(ORDERS), '2020-01-01T00:00:00Z', MANY);
    const same = await publish(place, spec(ORDERS), '2020-01-02T00:00:00Z', MANY);
    expect(same.notable).toBeUndefined();
    const other = `SELECT * REPLACE ((price * 10)::INTEGER AS price, CASE WHEN id % 2 = 0 THEN 'fr' ELSE country END AS country) FROM (${MANY}) WHERE id < 60000`;
    const { notable } = await publish(place, spec(ORDERS), '2020-01-03T00:00:00Z', other);
    expect(notable).toEqual(
      expect.arrayContaining([
        'price: max 99 → 990',
        'price: mean 50 → 500',
        'rows 120000 → 60000',
        expect.stringMatching(/^country: "fr" 0 % → (49|50|51) %$/),
      ]),
    );
  });

  it('says no values of a column that holds personal data since', () => {
    const email = { name: 'email', type: 'VARCHAR', kind: 'category' as const, nulls: 0, distinct: 2 };
    const before: SnapshotProfile = {
      ...{ source: 's', snapshot: 'a', rows: 2, sampled: 2 },
      columns: [{ ...email, personal: false, top: [{ value: 'ada@example.com', share: 0.5 }] }],
    };
    const after = { ...before, snapshot: 'b', columns: [{ ...email, personal: true, top: [] }] };
    expect(compareProfiles(before, after)).toEqual([]);
  });

  it('takes numbers of any size', async () => {
    const place = await workplace();
    const huge = `SELECT i AS id, CASE i WHEN 0 THEN 1e200 WHEN 1 THEN -1e200 ELSE i END::DOUBLE AS price, 'de' AS country FROM range(5) r(i)`;
    const of = spec({ ...ORDERS, price: { type: 'number' } });
    expect((await publish(place, of, '2020-01-01T00:00:00Z', huge)).rows).toBe(5);
  });

  it.each([1, 2, 400])('of %d rows of whatever types and values Parquet can hold is a profile', async (rows) => {
    const place = await workplace();
    const EDGES = {
      largest: 'CASE i % 3 WHEN 0 THEN 1.7976931348623157e308 WHEN 1 THEN -1.7976931348623157e308 ELSE i END',
      huge: '1e200 + i * 1e190',
      odd: "CASE i % 3 WHEN 0 THEN 'nan'::DOUBLE WHEN 1 THEN 'inf'::DOUBLE ELSE i END",
      nothing: 'NULL::DOUBLE',
      same: '7::FLOAT',
      whole: 'CASE i % 2 WHEN 0 THEN 9223372036854775807 ELSE -9223372036854775807 END',
      unsigned: '18446744073709551615::UBIGINT',
      decimal: '12345678901234567890123456789012345.123::DECIMAL(38, 3)',
      '"quoted"": é"': "CASE i % 2 WHEN 0 THEN '🦆' || i ELSE '' END",
      flag: 'i % 2 = 0',
      list: '[i, NULL]',
      struct: "{'a': i, 'b': {'c': ['x']}}",
      map: 'map([i], [1.5])',
      blob: "'\\xAA'::BLOB",
      uuid: "'123e4567-e89b-12d3-a456-426614174000'::UUID",
      time: "TIME '12:30:00'",
      day: "CASE i % 2 WHEN 0 THEN DATE 'infinity' ELSE DATE '2020-01-01' END",
      moment: "CASE i % 2 WHEN 0 THEN TIMESTAMP '-infinity' ELSE TIMESTAMP '0044-03-15 (BC)' END",
      zoned: "TIMESTAMPTZ '2020-01-01 00:00:00+02'",
      nanos: "'2020-01-01 00:00:00.123456789'::TIMESTAMP_NS",
      interval: 'INTERVAL 3 DAY',
      choice: "'a'::ENUM('a', 'b')",
    };
    const columns = Object.entries(EDGES).map(([name, sql]) => `${sql} AS ${name}`);
    const select = `SELECT i AS id, 1 AS price, 'at' AS country, ${columns.join(', ')} FROM range(${rows}) r(i)`;
    const first = await publish(place, spec(ORDERS), '2020-01-01T00:00:00Z', select);
    const profile = await place.blobs.json<SnapshotProfile>(first.profile as BlobRef);
    expect(profile.columns).toHaveLength(3 + columns.length);
    expect(JSON.stringify(profile)).not.toMatch(/NaN|Infinity|:null/);
    const later = await publish(place, spec(ORDERS), '2020-02-01T00:00:00Z', `${select} LIMIT ${Math.ceil(rows / 2)}`);
    expect(JSON.stringify(later.notable ?? [])).not.toMatch(/NaN|Infinity|undefined/);
  });

  it('tells columns apart from its own names', async () => {
    const place = await workplace();
    const select = `SELECT i AS id, i % 2 AS value, 'a' || i % 2 AS n, 7 AS rows, 1 AS sampled, i AS quantiles FROM range(8) r(i)`;
    const { profile } = await publish(place, spec({ id: { type: 'integer' } }), '2020-01-01T00:00:00Z', select);
    const { columns } = await place.blobs.json<SnapshotProfile>(profile as BlobRef);
    const top = Object.fromEntries(columns.map((column) => [column.name, column.top.slice(0, 2)]));
    expect(top).toMatchObject({
      value: [
        { value: '0', share: 0.5 },
        { value: '1', share: 0.5 },
      ],
      n: [{ value: 'a0' }, { value: 'a1' }],
      rows: [{ value: '7', share: 1 }],
    });
  });

  it('of nothing at all is a profile', () => {
    const empty: SnapshotProfile = { source: 's', snapshot: 'a', rows: 0, sampled: 0, columns: [] };
    expect(compareProfiles(empty, { ...empty, snapshot: 'b' })).toEqual([]);
  });
});
