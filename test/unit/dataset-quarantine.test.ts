import { describe, expect, it } from 'vitest';
import type { Partition } from '../../core/spec/artifacts.ts';
import { type Workplace, workplace } from './dataset.fixture.ts';

const CONTRACT = {
  required: ['id', 'planned'],
  properties: {
    id: { type: 'integer' },
    planned: { type: 'string', format: 'date-time' },
    delay: { type: ['integer', 'null'], maximum: 100 },
    gate: { type: ['string', 'null'], pattern: '^[A-Z]\\d+$' },
    cost: { type: 'number' },
  },
};
/** Known when planned; the delay when it has happened. */
const SPEC = {
  contract: CONTRACT,
  eventTime: 'planned',
  knownAt: { '*': 'planned - INTERVAL 30 DAY', delay: 'planned + to_minutes(delay)' },
};

const rows = (...values: string[]) =>
  `SELECT * REPLACE (cost::DOUBLE AS cost) FROM (VALUES ${values.join(', ')}) t(id, planned, delay, gate, cost)`;
const GOOD = `(1, TIMESTAMP '2013-02-01 10:00', 5, 'A1', '1.5')`;

async function badKnownAt(place: Workplace, partition: Partition): Promise<(string | null | undefined)[]> {
  return (await place.rows(partition.data, '__bad_known_at')).map((row) => row.__bad_known_at);
}

describe('a row that breaks its contract', () => {
  it('is kept, marked, and laid aside as it was read with the rules it broke', async () => {
    const place = await workplace();
    const file = await place.write('f.parquet', rows(GOOD, `(2, TIMESTAMP '2013-02-02 10:00', 500, 'a1', 'NaN')`));
    const partition = await place.extract(file, SPEC);
    expect([partition.rows, partition.badRows]).toEqual([2, 1]);
    expect(partition.rules).toEqual([
      { rule: 'delay: maximum 100', column: 'delay', count: 1 },
      { rule: 'gate: pattern ^[A-Z]\\d+$', column: 'gate', count: 1 },
      { rule: 'cost: type number', column: 'cost', count: 1 },
    ]);
    const [aside] = await place.rows(partition.quarantine ?? partition.data);
    expect(aside).toMatchObject({
      id: '2',
      delay: '500',
      cost: 'nan',
      __rules: expect.stringContaining('delay: maximum 100'),
    });
    expect((await place.rows(partition.data, 'id, cost')).map(({ id, cost }) => [id, cost])).toEqual([
      ['1', '1.5'],
      ['2', null],
    ]);
  });

  it('is not bad before the broken value was known', async () => {
    const place = await workplace();
    const late = `(2, TIMESTAMP '2013-02-02 10:00', 500, 'A1', '1.0')`;
    const both = `(3, TIMESTAMP '2013-02-03 10:00', 500, 'a1', '1.0')`;
    const partition = await place.extract(await place.write('f.parquet', rows(GOOD, late, both)), SPEC);
    // 500 minutes after the plan; where the gate is wrong too, that was known with the plan.
    expect(await badKnownAt(place, partition)).toEqual(['infinity', '2013-02-02 18:20:00', '2013-01-04 10:00:00']);
  });

  it('whose missing value is never known is bad once the row is known and its event is past, not beforehand', async () => {
    const place = await workplace();
    const contract = {
      ...CONTRACT,
      required: ['delay'],
      properties: { ...CONTRACT.properties, delay: { type: 'integer' } },
    };
    const missing = `(2, TIMESTAMP '2013-02-02 10:00', NULL, 'A1', '1.0')`;
    const file = await place.write('f.parquet', rows(GOOD, missing));
    expect(await badKnownAt(place, await place.extract(file, { ...SPEC, contract }))).toEqual([
      'infinity',
      '2013-02-02 10:00:00',
    ]);
  });

  it('is not bad for a value that is there but never known', async () => {
    const place = await workplace();
    const spec = { ...SPEC, knownAt: { '*': 'planned - INTERVAL 30 DAY', gate: 'planned + to_minutes(delay)' } };
    const never = `(2, TIMESTAMP '2013-02-02 10:00', NULL, 'a1', '1.0')`;
    const partition = await place.extract(await place.write('f.parquet', rows(GOOD, never)), spec);
    expect(await badKnownAt(place, partition)).toEqual(['infinity', 'infinity']);
    expect(partition).toMatchObject({ rows: 2, badRows: 0, rules: [] });
    expect(partition.quarantine).toBeUndefined();
  });

  it('is bad with its row where a value is so wrong that the time it was known cannot be told', async () => {
    const place = await workplace();
    const sql = `SELECT * FROM (VALUES ('1', '2013-02-01T10:00', '5', 'A1'), ('2', '2013-02-02T10:00', 'soon', 'A1'),
      ('3', '2013-02-03T10:00', '', 'A1')) t(id, planned, delay, gate)`;
    const file = await place.write('f.csv', sql);
    const contract = { properties: { ...CONTRACT.properties, cost: { type: ['number', 'null'] } } };
    const partition = await place.extract(file, { ...SPEC, contract, format: 'csv' });
    expect(partition.rules).toEqual([{ rule: 'delay: type integer', column: 'delay', count: 1 }]);
    expect(await badKnownAt(place, partition)).toEqual(['infinity', '2013-02-02 10:00:00', 'infinity']);
    // Of a value whose time hangs on another one, nobody knows.
    const other = {
      ...SPEC,
      knownAt: { '*': 'planned - INTERVAL 30 DAY', delay: 'planned + to_minutes(length(gate))' },
    };
    const gateless = `SELECT '2' AS id, '2013-02-02T10:00' AS planned, 'soon' AS delay, NULL AS gate`;
    const never = await place.extract(await place.write('g.csv', gateless), { ...other, contract, format: 'csv' });
    expect(await badKnownAt(place, never)).toEqual(['infinity']);
  });

  it('without any time is bad when the newest row of its file was known', async () => {
    const place = await workplace();
    const timeless = `(2, NULL, 5, 'A1', '1.0')`;
    const partition = await place.extract(await place.write('f.parquet', rows(timeless, GOOD)), SPEC);
    expect(partition.rules.map(({ rule }) => rule)).toEqual(['planned: required']);
    expect(await badKnownAt(place, partition)).toEqual(['2013-01-02 10:00:00', 'infinity']);
  });

  it('does not fail the file where an expression cannot digest it', async () => {
    const place = await workplace();
    const file = await place.write('f.parquet', rows(GOOD, `(2, TIMESTAMP '2013-02-02 10:00', 5, 'broken', '1.0')`));
    const derive = { gate_number: 'CAST(substr(gate, 2) AS INTEGER)' };
    const partition = await place.extract(file, { ...SPEC, derive });
    expect((await place.rows(partition.data, 'gate_number')).map((row) => row.gate_number)).toEqual(['1', null]);
  });

  it('may be one that repeats a key: the first known row stays', async () => {
    const place = await workplace();
    const again = `(1, TIMESTAMP '2013-01-15 10:00', 5, 'A1', '1.0')`;
    const file = await place.write('f.parquet', rows(GOOD, again, `(3, TIMESTAMP '2013-02-01', 5, 'A1', '1.0')`));
    const partition = await place.extract(file, { ...SPEC, contract: { ...CONTRACT, 'x-unique': ['id'] } });
    expect(partition.rules).toEqual([{ rule: 'unique (id)', column: null, count: 1 }]);
    expect(await badKnownAt(place, partition)).toEqual(['2013-01-02 10:00:00', 'infinity', 'infinity']);
    expect((await place.rows(partition.data, 'cost')).map(({ cost }) => cost)).toEqual(['1.5', '1.0', '1.0']);
  });

  it('repeats a key whatever is found out later about either row', async () => {
    const place = await workplace();
    const spec = { ...SPEC, contract: { ...CONTRACT, 'x-unique': ['id'] } };
    const bad = async (first: string, second: string) => {
      // The same key twice: known on 2 and on 5 January, the delay with its flight in February.
      const sql = rows(`(1, TIMESTAMP '2013-02-01', ${first}, '1.0')`, `(1, TIMESTAMP '2013-02-04', ${second}, '1.0')`);
      return badKnownAt(place, await place.extract(await place.write('f.parquet', sql), spec));
    };
    const second = '2013-01-05 00:00:00';
    expect(await bad(`5, 'A1'`, `5, 'A1'`)).toEqual(['infinity', second]);
    expect(await bad(`500, 'A1'`, `5, 'A1'`)).toEqual(['2013-02-01 08:20:00', second]);
    expect(await bad(`5, 'A1'`, `500, 'A1'`)).toEqual(['infinity', second]);
    // Broken from the start: the second is the first good one.
    expect(await bad(`5, 'a1'`, `5, 'A1'`)).toEqual(['2013-01-02 00:00:00', 'infinity']);
  });

  it('counts once though several rules are broken, and all rules are counted', async () => {
    const place = await workplace();
    const sql = `SELECT i AS id, TIMESTAMP '2013-02-01' AS planned, CASE WHEN i % 2 = 0 THEN 500 ELSE 5 END AS delay,
      CASE WHEN i % 3 = 0 THEN 'a1' ELSE 'A1' END AS gate, 1.0 AS cost FROM range(600) r(i)`;
    const partition = await place.extract(await place.write('f.parquet', sql), SPEC);
    expect(partition.badRows).toBe(400);
    expect(partition.rules.map(({ count }) => count)).toEqual([300, 200]);
  });
});

describe('types', () => {
  const typed = (type: object) => ({ contract: { properties: { x: type } } });

  it.each([
    [
      'whole numbers in a DOUBLE column',
      `SELECT unnest([1.0, 2.5, 1e30, NULL]::DOUBLE[]) AS x`,
      { type: 'integer' },
      'BIGINT',
      2,
    ],
    [
      'a HUGEINT beyond 64 bits',
      `SELECT unnest([1, 170141183460469231731687303715884105727]::HUGEINT[]) AS x`,
      { type: 'integer' },
      'BIGINT',
      1,
    ],
    ['a DECIMAL', `SELECT unnest([999.6, 2.0]::DECIMAL(5, 2)[]) AS x`, { type: 'integer' }, 'BIGINT', 1],
    ['integers as numbers', `SELECT 9007199254740993 AS x UNION ALL SELECT 5`, { type: 'number' }, 'DOUBLE', 1],
    ['a column without a single value', `SELECT NULL::INTEGER AS x`, { type: ['string', 'null'] }, 'VARCHAR', 0],
    ['an ENUM', `SELECT 'a'::ENUM('a', 'b') AS x`, { type: 'string' }, 'VARCHAR', 0],
    [
      'a date in text',
      `SELECT unnest(['2013-01-01', '2013-02-30', '1.1.2013']) AS x`,
      { type: 'string', format: 'date' },
      'DATE',
      2,
    ],
  ])('%s', async (_, sql, type, sqlType, bad) => {
    const place = await workplace();
    const partition = await place.extract(await place.write('f.parquet', sql), typed(type));
    expect([partition.columns[0]?.type, partition.badRows]).toEqual([sqlType, bad]);
  });

  it('gives a missing optional column as NULL and keeps columns the contract does not name', async () => {
    const place = await workplace();
    const partition = await place.extract(
      await place.write('f.parquet', 'SELECT 1 AS y'),
      typed({ type: 'integer', minimum: 5 }),
    );
    expect(await place.rows(partition.data, 'x, y')).toEqual([{ x: null, y: '1' }]);
    expect(partition.badRows).toBe(0);
  });
});
