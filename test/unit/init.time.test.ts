import { describe, expect, test } from 'vitest';
import { chance, csvOf, day, draftCsv, draftSql, trainingSetOf } from './init.fixture.ts';

const rows = (time: (index: number) => string, separator = ',') =>
  csvOf(['t', 'x', 'y'].join(separator), 200, (i) =>
    [time(i), chance(i).toFixed(4), chance(i * 7) < 0.4 ? 1 : 0].join(separator),
  );

describe('the time column', () => {
  const [year = '', month = '', date = ''] = day(45).split('-');
  test.each<[what: string, time: (index: number) => string, sql: string]>([
    ['dates', day, 't'],
    ['ISO times with an offset', (i) => `${day(i)}T10:00:00+02:00`, 't'],
    ['times with a space', (i) => `${day(i)} 10:30`, 't'],
    ['seconds since 1970', (i) => String(1_700_000_000 + i * 3600), 'to_timestamp(t)'],
    ['milliseconds since 1970', (i) => String(1_700_000_000_000 + i * 36e5), 'epoch_ms(t::BIGINT)'],
    ['German dates', (i) => day(i).split('-').reverse().join('.'), "try_strptime(t, '%d.%m.%Y')"],
    [
      'American dates with a clock',
      (i) => `${day(i).slice(5).replace('-', '/')}/2024 1:05 PM`,
      "try_strptime(t, '%m/%d/%Y %I:%M %p')",
    ],
    ['days as numbers', (i) => day(i).replaceAll('-', ''), "try_strptime((t::BIGINT)::VARCHAR, '%Y%m%d')"],
    [
      'dates and times mixed',
      (i) => (i % 2 ? day(i) : `${day(i)} 10:00:00`),
      "timezone('UTC', try_cast(t AS TIMESTAMPTZ))",
    ],
  ])('%s are read', async (_, time, sql) => {
    const drafted = await draftCsv(rows(time));
    expect(drafted.draft.derive.event_time?.sql ?? drafted.draft.at).toBe(sql);
    const { set } = await trainingSetOf(drafted);
    expect(set.rows.train + set.rows.validate + set.rows.test).toBe(200);
  });

  test('text that could be two dates is refused with both readings', async () => {
    const both = rows((i) => `0${1 + (i % 9)}/0${1 + (Math.floor(i / 9) % 9)}/2024`);
    await expect(draftCsv(both)).rejects.toMatchObject({
      code: 'REFIT_USAGE',
      message: expect.stringMatching(/%d\/%m\/%Y and as %m\/%d\/%Y/) as string,
    });
  });

  test('an expression that reads it is taken', async () => {
    const both = rows((i) => `0${1 + (i % 9)}/0${1 + (Math.floor(i / 9) % 9)}/2024`);
    const { draft } = await draftCsv(both, { time: "try_strptime(t, '%d/%m/%Y')" });
    expect(draft.split.from).toBe('2024-01-01T00:00:00Z');
  });

  test('text that is no time, and a column that is not there, are refused by name', async () => {
    await expect(draftCsv(rows((i) => `week ${i}`))).rejects.toMatchObject({
      code: 'REFIT_USAGE',
      message: expect.stringMatching(/holds no times.*week/) as string,
    });
    await expect(draftCsv(rows(day), { time: 'tt' })).rejects.toMatchObject({
      message: expect.stringMatching(/did you mean "t"/) as string,
    });
  });

  test.each([
    ['one single time', () => day(0), /one single time/],
    ['two times', (i: number) => day(i % 2), /two times/],
  ])('%s cannot be split', async (_, time, message) => {
    await expect(draftCsv(rows(time))).rejects.toMatchObject({
      code: 'REFIT_USAGE',
      message: expect.stringMatching(message) as string,
    });
  });

  test('local times of a zone become UTC', async () => {
    const { draft } = await draftCsv(
      rows((i) => `${day(i)} 00:30`),
      { zone: 'Europe/Berlin' },
    );
    expect(draft.split.from).toBe('2023-12-31T23:30:00Z');
    await expect(draftCsv(rows(day), { zone: 'Europe/Bonn' })).rejects.toMatchObject({ code: 'REFIT_USAGE' });
  });

  test.each([
    ['Europe/Berlin', '2023-12-31T19:30:00Z'],
    ['UTC', '2023-12-31T19:30:00Z'],
  ])('where some values are no times, too (%s); an offset goes before the zone', async (zone, from) => {
    const time = (i: number) => (i === 7 ? 'n.n.' : `${day(i)} 00:30:00${i === 0 ? '+05:00' : ''}`);
    const drafted = await draftCsv(rows(time), { zone });
    const { split } = drafted.draft;
    expect(split.from).toBe(from);
    expect(split.to).toMatch(zone === 'UTC' ? /T00:30:00Z$/ : /T2[23]:30:00Z$/);
    const { set } = await trainingSetOf(drafted);
    expect(set.rows.train + set.rows.validate + set.rows.test).toBe(199);
  });

  test('a number that stands for no time is none, and does not end the run', async () => {
    const time = (i: number) => (i === 7 ? '9223372036854775807' : String(1_700_000_000 + i * 3600));
    const text = csvOf('t,x,y', 1000, (i) => [time(i), chance(i), chance(i * 7) < 0.4 ? 1 : 0].join(','));
    const drafted = await draftCsv(text);
    const { set } = await trainingSetOf(drafted);
    expect(set.rows.train + set.rows.validate + set.rows.test).toBe(999);
  });

  test('Parquet brings its own types', async () => {
    const select = (type: string) =>
      `SELECT (TIMESTAMP '${year}-${month}-${date}' + to_hours(i::INT))::${type} AS t, random() AS x, i % 3 = 0 AS y FROM range(300) r(i)`;
    for (const type of ['TIMESTAMP', 'TIMESTAMPTZ', 'TIMESTAMP_NS', 'TIMESTAMP_MS']) {
      expect((await draftSql(select(type))).draft.split.from).toBe(`${year}-${month}-${date}T00:00:00Z`);
    }
  });
});

describe('the split', () => {
  test.each<[what: string, sql: string]>([
    ['a day', "SELECT TIMESTAMP '2024-05-05' + to_minutes(i::INT * 2) AS t"],
    ['two minutes', "SELECT TIMESTAMP '2024-05-05 10:00:00.5' + to_milliseconds(i * 200) AS t"],
    ['twenty years', "SELECT DATE '2004-01-01' + i::INT * 12 AS t"],
    ['three months, each a date', 'SELECT make_date(2024, 1 + (i % 3)::INT, 1) AS t'],
    ['whole hours', "SELECT TIMESTAMP '2024-05-05' + to_hours((i // 20)::INT) AS t"],
  ])('%s: a run counts the rows that were promised', async (_, select) => {
    const drafted = await draftSql(`${select}, (i * 7919) % 101 AS x, (i * 7919) % 10 < 3 AS y FROM range(600) r(i)`);
    const { split } = drafted.draft;
    const { asOf, set } = await trainingSetOf(drafted);
    expect(asOf).toBe(split.asOf);
    expect(set.rows).toEqual({ train: split.train.rows, validate: split.validate.rows, test: split.test.rows });
    expect(set.positives.test).toBe(split.test.positives);
    expect(set.rows.train).toBeGreaterThanOrEqual(200);
    // The newest rows are there: a run as of the end of the data does not lose its last day.
    expect(set.rows.train + set.rows.validate + set.rows.test).toBe(600);
  });

  test('rows whose label comes later are counted by when it came', async () => {
    const text = csvOf(
      't,x,paid,y',
      400,
      (i) => `${day(i)},${chance(i)},${day(i + 20)},${chance(i * 3) < 0.5 ? 1 : 0}`,
    );
    const drafted = await draftCsv(text, { labelKnownAt: 'paid' });
    const { split, features } = drafted.draft;
    const { set } = await trainingSetOf(drafted);
    expect(set.rows).toEqual({ train: split.train.rows, validate: split.validate.rows, test: split.test.rows });
    expect(set.excluded.labelLate).toBeGreaterThan(0);
    expect(features.map(({ name }) => name)).toEqual(['x']);
  });

  test('rows without a label yet at the end leave enough labelled ones to test on', async () => {
    const text = csvOf('t,x,y', 400, (i) => `${day(i)},${chance(i)},${i > 300 ? '' : chance(i * 3) < 0.5 ? 1 : 0}`);
    const { draft } = await draftCsv(text);
    expect(draft.split.test.rows).toBeGreaterThan(30);
    expect(draft.notes.join(' ')).toMatch(/99 rows have no label/);
  });

  test('outcomes that do not overlap in time are refused', async () => {
    const text = csvOf('t,x,y', 300, (i) => `${day(i)},${chance(i)},${i < 150 ? 1 : 0}`);
    await expect(draftCsv(text)).rejects.toMatchObject({ code: 'REFIT_LABEL_ONE_CLASS' });
  });

  test('a handful of rows is refused', async () => {
    await expect(draftCsv(csvOf('t,x,y', 20, (i) => `${day(i)},${chance(i)},${i % 2}`))).rejects.toMatchObject({
      code: 'REFIT_USAGE',
      message: expect.stringMatching(/20 labelled rows/) as string,
    });
  });
});
