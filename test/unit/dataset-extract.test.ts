import { appendFile, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { createExtractPartition } from '../../core/dataset/extract-partition.ts';
import { createInspectPartition } from '../../core/dataset/inspect-partition.ts';
import { fingerprintFile } from '../../core/dataset/partitions.ts';
import type { Partition } from '../../core/spec/artifacts.ts';
import { ANYTHING, workplace } from './dataset.fixture.ts';

/** Two flights: one has landed, one was cancelled; planned thirty days ahead. */
const FLIGHTS = `SELECT * FROM (VALUES
  ('UA', TIMESTAMPTZ '2013-01-01 10:00:00Z', 15, 20, 100), ('AA', TIMESTAMPTZ '2013-01-02 10:00:00Z', 0, NULL, NULL))
  t(carrier, time_hour, minute, dep_delay, air_time)`;
const TIMES = {
  derive: {
    // Named so that the alphabet and the order of need disagree.
    a_landed_at: 'b_departed_at + to_minutes(air_time)',
    b_departed_at: 'c_departs_at + to_minutes(dep_delay)',
    c_departs_at: 'time_hour + to_minutes(minute)',
    slot: "upper(carrier) || '-' || minute",
  },
  eventTime: 'c_departs_at',
  knownAt: { '*': 'c_departs_at - INTERVAL 30 DAY', dep_delay: 'b_departed_at', air_time: 'a_landed_at' },
};
const columnsOf = (partition: Partition) =>
  Object.fromEntries(partition.columns.map(({ name, type, known }) => [name, [type, ...known]]));

describe('extraction', () => {
  it('tells for every column when its values became known, derived columns by what they are made of', async () => {
    const place = await workplace();
    const partition = await place.extract(await place.write('f.parquet', FLIGHTS), TIMES);
    const known = columnsOf(partition);
    const [star] = known.carrier?.slice(1) ?? [];
    const [delay] = known.dep_delay?.slice(1) ?? [];
    const [air] = known.air_time?.slice(1) ?? [];
    expect(new Set([star, delay, air]).size).toBe(3);
    expect(known.time_hour).toEqual(['TIMESTAMP', star]);
    expect(known.slot).toEqual(['VARCHAR', star]);
    expect([known.b_departed_at?.length, known.a_landed_at?.length]).toEqual([3, 4]);
    expect(known.b_departed_at?.slice(1)).toEqual(expect.arrayContaining([star, delay]));
    expect(known.a_landed_at?.slice(1)).toEqual(expect.arrayContaining([star, delay, air]));
    expect(await place.rows(partition.data, `carrier, __event_at, ${star}, ${delay}, ${air}, __bad_known_at`)).toEqual([
      {
        ...{ carrier: 'UA', __event_at: '2013-01-01 10:15:00', __bad_known_at: 'infinity' },
        ...{
          [`${star}`]: '2012-12-02 10:15:00',
          [`${delay}`]: '2013-01-01 10:35:00',
          [`${air}`]: '2013-01-01 12:15:00',
        },
      },
      {
        ...{ carrier: 'AA', __event_at: '2013-01-02 10:00:00', __bad_known_at: 'infinity' },
        ...{ [`${star}`]: '2012-12-03 10:00:00', [`${delay}`]: 'infinity', [`${air}`]: 'infinity' },
      },
    ]);
    expect(partition.eventRange).toEqual({ oldest: '2013-01-01T10:15:00Z', newest: '2013-01-02T10:00:00Z' });
    expect(partition.knownFrom).toBe('2012-12-02T10:15:00Z');
  });

  it('does not depend on the order in which derived columns are written', async () => {
    const place = await workplace();
    const file = await place.write('f.parquet', FLIGHTS);
    const reversed = { ...TIMES, derive: Object.fromEntries(Object.entries(TIMES.derive).reverse()) };
    expect((await place.extract(file, reversed)).data).toEqual((await place.extract(file, TIMES)).data);
  });

  it('knows a row recorded late no earlier than it was recorded', async () => {
    const place = await workplace();
    const rows = `VALUES (TIMESTAMP '2013-01-01', TIMESTAMP '2013-03-01'), (TIMESTAMP '2013-01-02', NULL)`;
    const file = await place.write('f.parquet', `SELECT * FROM (${rows}) t(event, seen)`);
    const partition = await place.extract(file, { eventTime: 'event', knownAt: { '*': 'event' }, recordedAt: 'seen' });
    expect((await place.rows(partition.data)).map((row) => row.__known_0)).toEqual([
      '2013-03-01 00:00:00',
      '2013-01-02 00:00:00',
    ]);
    const always = await place.extract(file, { recordedAt: 'seen' });
    expect((await place.rows(always.data)).map((row) => row.__known_0)).toEqual(['2013-03-01 00:00:00', '-infinity']);
  });

  it('takes times without a zone as local, and times with one as they are', async () => {
    const place = await workplace();
    const time = { type: 'string', format: 'date-time' };
    const sql = `SELECT TIMESTAMP '2013-07-01 08:00:00' AS local, TIMESTAMP_NS '2013-01-01 08:00:00.123456789' AS fine,
      TIMESTAMPTZ '2013-07-01 08:00:00Z' AS zoned, '2013-07-01T08:00:00-07:00' AS text, '2013-07-01 08:00' AS plain`;
    const partition = await place.extract(await place.write('f.parquet', sql), {
      zone: 'America/New_York',
      contract: { properties: { zoned: time, text: time, plain: time } },
      derive: { later: 'local + INTERVAL 1 HOUR' },
    });
    expect(await place.rows(partition.data, 'local, fine, zoned, text, plain, later')).toEqual([
      {
        ...{ local: '2013-07-01 12:00:00', fine: '2013-01-01 13:00:00.123456', zoned: '2013-07-01 08:00:00' },
        ...{ text: '2013-07-01 15:00:00', plain: '2013-07-01 12:00:00', later: '2013-07-01 13:00:00' },
      },
    ]);
  });

  it('takes a day for its first moment where the contract wants a time', async () => {
    const place = await workplace();
    const contract = { properties: { at: { type: 'string', format: 'date-time' } } };
    const file = await place.write('f.parquet', `SELECT DATE '2013-07-04' AS "at"`);
    const partition = await place.extract(file, { contract, zone: 'America/New_York' });
    expect(await place.rows(partition.data, '"at"')).toEqual([{ at: '2013-07-04 04:00:00' }]);
  });

  it('takes local times on the days the clocks change: the gap an hour on, the doubled hour as the later one', async () => {
    const place = await workplace();
    const sql = `SELECT unnest(['2013-03-10 01:59', '2013-03-10 02:30', '2013-03-10 03:00', '2013-11-03 00:59',
      '2013-11-03 01:30', '2013-11-03 02:00'])::TIMESTAMP AS local`;
    const partition = await place.extract(await place.write('f.parquet', sql), { zone: 'America/New_York' });
    expect((await place.rows(partition.data)).map(({ local }) => local?.slice(5, 16))).toEqual([
      ...['03-10 06:59', '03-10 07:30', '03-10 07:00'],
      ...['11-03 04:59', '11-03 06:30', '11-03 07:00'],
    ]);
  });

  it('gives the same bytes for the same input, in the order of the file', async () => {
    const place = await workplace();
    const file = await place.write(
      'f.parquet',
      'SELECT (i * 7919) % 150001 AS i, md5(i::VARCHAR) AS t FROM range(150001) r(i)',
    );
    const [first, again] = [await place.extract(file), await place.extract(file)];
    expect(again).toEqual(first);
    expect((await place.rows(first.data, 'list(i)[1:3] AS head')).map(({ head }) => head)).toEqual([
      '[0, 7919, 15838]',
    ]);
  });

  it('reads an empty table, and a CSV by its contract', async () => {
    const place = await workplace();
    const empty = await place.extract(await place.write('empty.parquet', `${FLIGHTS} WHERE false`), TIMES);
    expect([empty.rows, empty.badRows, empty.eventRange]).toEqual([0, 0, undefined]);
    await writeFile(
      path.join(place.root, 'f.csv'),
      'n,x,at,day,ok\n1,1.5,2013-01-01T00:00:00Z,2013-01-01,true\n2.5,,,,\n3,NaN,soon,2013-02-30,maybe\n',
    );
    const types = { n: 'integer', x: 'number', at: 'date-time', day: 'date', ok: 'boolean' };
    const properties = Object.fromEntries(
      Object.entries(types).map(([name, type]) => [
        name,
        /^da/.test(type) ? { type: 'string', format: type } : { type },
      ]),
    );
    const csv = await place.extract('f.csv', { format: 'csv', contract: { properties } });
    expect(columnsOf(csv)).toMatchObject({
      n: ['BIGINT', '__known_0'],
      x: ['DOUBLE', '__known_0'],
      at: ['TIMESTAMP', '__known_0'],
    });
    expect(csv.rules.map(({ rule, count }) => [rule, count])).toEqual([
      ['n: type integer', 1],
      ['x: type number', 1],
      ['at: format date-time', 1],
      ['day: format date', 1],
      ['ok: type boolean', 1],
    ]);
    expect((await place.rows(csv.data, 'n, x'))[0]).toEqual({ n: '1', x: '1.5' });
  });

  it('inspects a file without writing: no row that breaks the contract is its newest event, any may be its first known', async () => {
    const place = await workplace();
    const broken = (day: string) => `UNION ALL SELECT 'XX', TIMESTAMPTZ '${day} 00:00:00Z', 99, 0, 0`;
    const name = await place.write('f.parquet', `${FLIGHTS} ${broken('2099-01-01')} ${broken('2013-01-01')}`);
    const contract = { properties: { minute: { type: 'integer', maximum: 59 } } };
    const file = { name, sha256: await fingerprintFile(path.join(place.root, name)) };
    const input = { source: 'flights', spec: { format: 'parquet' as const, zone: 'UTC', ...TIMES, contract }, file };
    expect(await createInspectPartition(place).run(input, await place.context())).toEqual({
      ...{ rows: 4, knownFrom: '2012-12-02T01:39:00Z', newestEvent: '2013-01-02T10:00:00Z' },
    });
  });
});

describe('extraction refuses', () => {
  const contract = { required: ['carrier'], properties: { carrier: { type: 'string' }, minute: { type: 'integer' } } };

  it.each([
    [
      'SELECT 1 AS minute',
      contract,
      'REFIT_CONTRACT_MISSING_COLUMN',
      /f\.parquet of source "flights" has no column "carrier"/,
    ],
    ["SELECT 'UA' AS Carrier", contract, 'REFIT_CONTRACT_MISSING_COLUMN', /did you mean "Carrier"/],
    [
      "SELECT 'UA' AS carrier, 'x' AS minute",
      contract,
      'REFIT_CONTRACT_TYPE',
      /"minute" of f\.parquet .* is VARCHAR; .* integer/,
    ],
    ['SELECT 5 AS carrier', contract, 'REFIT_CONTRACT_TYPE', /is INTEGER; its contract wants string/],
    [
      "SELECT 'UA' AS carrier, 1 AS __known_0",
      contract,
      'REFIT_SOURCE_UNREADABLE',
      /"__known_0" has a name that is reserved/,
    ],
    ['SELECT 1 AS x', { properties: {}, allOf: [] }, 'REFIT_CONTRACT_INVALID', /allOf/],
    [
      "SELECT 'a' AS x",
      { properties: { x: { type: 'string', pattern: '((a{900}){900})' } } },
      'REFIT_CONTRACT_INVALID',
      /cannot be checked/,
    ],
  ])('%s', async (sql, schema, code, message) => {
    const place = await workplace();
    const file = await place.write('f.parquet', sql);
    await expect(place.extract(file, { contract: schema })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });

  it.each<[string, object, RegExp]>([
    [
      'an unknown column',
      { derive: { y: 'minut + 1' } },
      /sources\.flights\.derive\.y .* no column "minut" \(did you mean "minute"/,
    ],
    ['the clock', { derive: { y: 'now()' } }, /now\(\) gives another value each time/],
    ['a circle', { derive: { y: 'z + 1', z: 'y + 1' } }, /derive\.y .* depends on itself \(y, z\)/],
    ['a name that is taken', { derive: { MINUTE: '1' } }, /derive\.MINUTE .* column of that name already/],
    ['types that do not fit', { derive: { y: "time_hour + 'x'::BLOB" } }, /derive\.y /],
    ['an event that is no time', { eventTime: 'minute' }, /sources\.flights\.eventTime .* gives INTEGER, not a time/],
    ['a known-at that is no time', { knownAt: { '*': 'carrier' } }, /knownAt\.\* .* gives VARCHAR, not a time/],
    [
      'a known-at for no column',
      { knownAt: { dep_dlay: 'time_hour' } },
      /knownAt\.dep_dlay .*did you mean "dep_delay"/,
    ],
    ['a recordedAt that is not there', { recordedAt: 'seen' }, /recordedAt .* no column "seen"/],
    [
      'an expression that fails on a good row',
      { derive: { y: 'CAST(carrier AS INTEGER)' } },
      /derive\.y fails on a row.*'UA'/,
    ],
  ])('%s in an expression', async (_, spec, message) => {
    const place = await workplace();
    const file = await place.write('f.parquet', FLIGHTS);
    const error = { code: 'REFIT_EXPRESSION_INVALID', message: expect.stringMatching(message) };
    await expect(place.extract(file, spec)).rejects.toMatchObject(error);
  });

  it('a CSV without even a header', async () => {
    const place = await workplace();
    await writeFile(path.join(place.root, 'e.csv'), '');
    await expect(place.extract('e.csv', { format: 'csv' })).rejects.toMatchObject({
      code: 'REFIT_SOURCE_UNREADABLE',
      message: 'e.csv of source "flights" cannot be read: it is empty, and has no header.',
    });
  });

  it('a zone that does not exist', async () => {
    const place = await workplace();
    const error = { code: 'REFIT_PIPELINE_INVALID', message: expect.stringContaining('America/Nowhere') };
    await expect(
      place.extract(await place.write('f.parquet', FLIGHTS), { zone: 'America/Nowhere' }),
    ).rejects.toMatchObject(error);
  });

  it.each([
    ['nothing', (file: string) => truncate(file, 0)],
    ['half of it', async (file: string) => truncate(file, Math.floor((await readFile(file)).length / 2))],
    ['text', (file: string) => writeFile(file, 'carrier,minute\nUA,1\n')],
    [
      'damaged pages',
      async (file: string) => {
        const bytes = await readFile(file);
        await writeFile(file, bytes.fill(0xff, 4, bytes.length - 2000));
      },
    ],
  ])('a Parquet file that is %s', async (_, damage) => {
    const place = await workplace();
    const name = await place.write('2013-01.parquet', 'SELECT i, md5(i::VARCHAR) AS text FROM range(50000) r(i)');
    await damage(path.join(place.root, name));
    const error = {
      code: 'REFIT_SOURCE_UNREADABLE',
      message: expect.stringMatching(/^2013-01\.parquet of source "flights" cannot be read: /),
    };
    await expect(place.extract(name)).rejects.toMatchObject(error);
  });

  it('a file that changed after it was looked at: those bytes will not come back', async () => {
    const place = await workplace();
    const name = await place.write('f.parquet', FLIGHTS);
    const file = { name, sha256: await fingerprintFile(path.join(place.root, name)) };
    await appendFile(path.join(place.root, name), 'x');
    const input = {
      source: 'flights',
      spec: { format: 'parquet' as const, contract: ANYTHING, zone: 'UTC', derive: {} },
      file,
    };
    const extract = createExtractPartition(place);
    await expect(extract.run(input, await place.context())).rejects.toMatchObject({
      code: 'REFIT_SOURCE_CHANGED',
      retryable: false,
    });
    const gone = { ...input, file: { ...file, name: 'gone.parquet' } };
    await expect(extract.run(gone, await place.context())).rejects.toMatchObject({ code: 'REFIT_SOURCE_MISSING' });
  });

  it('to go on when it is cancelled', async () => {
    const place = await workplace();
    const stopped = AbortSignal.abort(new Error('stopped'));
    const name = await place.write('f.parquet', FLIGHTS);
    const file = { name, sha256: await fingerprintFile(path.join(place.root, name)) };
    const input = {
      source: 'flights',
      spec: { format: 'parquet' as const, contract: ANYTHING, zone: 'UTC', derive: {} },
      file,
    };
    await expect(createExtractPartition(place).run(input, await place.context(stopped))).rejects.toThrow('stopped');
  });
});
