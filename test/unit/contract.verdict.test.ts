import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRecordCheck } from '../../core/dataset/check-record.ts';
import { checkContract, ruleSql } from '../../core/dataset/checked-table.ts';
import { compileContract } from '../../core/dataset/contract.ts';
import { type DuckDb, literal } from '../../core/dataset/duckdb.ts';
import { database } from './dataset.fixture.ts';

/** One contract, two ways to hold it against a row: SQL for batches, ajv for single records. */

type Row = Record<string, unknown>;
const COLUMNS = ['a', 'b', 'constructor', 'd'];

const integers = fc.oneof(
  fc.integer({ min: -6, max: 6 }),
  fc.constantFrom(0, -0, 1e3, 2 ** 53, 2 ** 53 + 2, 2 ** 62, -(2 ** 63), 2 ** 63, 2 ** 64, 1e21, 1e300),
);
const numbers = fc.oneof(
  integers,
  fc.constantFrom(0.07, 0.29, 1.15, 0.1 + 0.2, -0.5, 1e-9, 1.5, 5e-324, 1.7976931348623157e308),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const texts = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 4 }).filter((text) => !text.includes('\0')),
  fc.constantFrom('', 'é', 'éé', '🦆🦆', 'AB', 'a b', "O'Hare", '👨‍👩‍👧', '\u00a0', '12', 'a\nb'),
  fc.constantFrom(
    'ada@example.org',
    'ada@',
    'x@y',
    '10.0.0.1',
    '256.1.1.1',
    'http://a.b/c?d',
    'a b:c',
    'a.example',
    '-a',
  ),
  fc.constantFrom('123e4567-e89b-12d3-a456-426614174000', '12:30:00Z', '24:00:00Z', '12:30:00+02:00'),
);
const times = fc.oneof(
  fc.constantFrom('2013-02-28', '2013-02-29', '2012-02-29', '1900-02-29', '2013-13-01', '0000-01-01', '13-02-03'),
  fc.constantFrom('2013-02-28T10:00:00Z', '2013-02-28 10:00', '2013-02-28T10:00Z', '2013-02-28t24:00:00z'),
  fc.constantFrom('2013-02-28T10:00:00.123456789+02:00', '2013-02-28T10:00:00+0230', '2013-02-30T10:00:00+02'),
  fc.constantFrom('2013-02-28T10:00:00+15:00', '2013-02-28T10:00:60Z', '2013-02-28T10:00:00-14:59', 'soon'),
);
const anything = fc.oneof(
  integers,
  numbers,
  texts,
  times,
  fc.boolean(),
  fc.constant(null),
  fc.constant([1]),
  fc.constant({ a: 1 }),
);

/** Keywords of a column by its type. */
const ofNumbers = (value: fc.Arbitrary<number>) => ({
  minimum: value,
  maximum: value,
  exclusiveMinimum: value,
  exclusiveMaximum: value,
  multipleOf: fc.constantFrom(1, 2, 3, 0.01, 0.5, 2.5, 1e-7, 1000),
  enum: fc.array(value, { minLength: 1, maxLength: 3 }),
  const: value,
});
const ofTexts = {
  minLength: fc.integer({ min: 0, max: 3 }),
  maxLength: fc.integer({ min: 0, max: 3 }),
  pattern: fc.constantFrom('^[A-Z]{2}$', '\\d', '^.$', '^\\S+$', '🦆{2}', '@'),
  format: fc.constantFrom('uuid', 'email', 'ipv4', 'hostname', 'uri', 'time'),
  enum: fc.array(texts, { minLength: 1, maxLength: 3 }),
};
const some = <T>(keywords: Record<string, fc.Arbitrary<T>>) => fc.record(keywords, { requiredKeys: [] });
const nullable = (type: string) => fc.constantFrom<string | string[]>(type, [type, 'null']);
const withType = (type: string, keywords: fc.Arbitrary<object>) =>
  fc.tuple(nullable(type), keywords).map(([declared, rest]) => ({ type: declared, ...rest }));

const property = fc.oneof(
  withType('integer', some<unknown>(ofNumbers(integers.filter(Number.isFinite)))),
  // A whole number among an enum's fractions is a number all the same.
  withType('number', some<unknown>(ofNumbers(numbers))),
  withType('string', some<unknown>(ofTexts)),
  withType('boolean', some<unknown>({ const: fc.boolean() })),
  withType('string', fc.constantFrom({ format: 'date-time' }, { format: 'date' })),
);

/** A part of a condition: some columns, each with what its column's type allows. */
function condition(properties: Record<string, Row>): fc.Arbitrary<Row> {
  const keywords = Object.fromEntries(
    Object.entries(properties).map(([name, { type, format, ...rest }]) => [
      name,
      fc.constantFrom<Row>(rest, { type: 'null' }, { type: type as string }),
    ]),
  );
  const leaf = fc.record(
    {
      properties: fc.record(keywords, { requiredKeys: [] }),
      required: fc.subarray(COLUMNS),
      dependentRequired: fc.dictionary(fc.constantFrom(...COLUMNS), fc.subarray(COLUMNS), { maxKeys: 2 }),
    },
    { requiredKeys: [] },
  );
  const { node } = fc.letrec<{ node: Row }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 2 },
      leaf,
      fc.record({ anyOf: fc.array(tie('node'), { minLength: 1, maxLength: 2 }) }),
      fc.record({ oneOf: fc.array(tie('node'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ not: tie('node') }),
      fc
        .tuple(tie('node'), tie('node'), tie('node'))
        .map((parts) => Object.fromEntries(['if', 'then', 'else'].map((keyword, i) => [keyword, parts[i]]))),
      fc.record({ dependentSchemas: fc.dictionary(fc.constantFrom(...COLUMNS), tie('node'), { maxKeys: 1 }) }),
    ),
  }));
  return node;
}

const contracts = fc
  .tuple(...COLUMNS.map(() => property))
  .map((columns) => Object.fromEntries(COLUMNS.map((name, i) => [name, columns[i] as Row])))
  .chain((properties) =>
    fc.record({
      properties: fc.constant(properties),
      required: fc.subarray(COLUMNS),
      allOf: fc.array(condition(properties), { minLength: 1, maxLength: 2 }),
    }),
  );

/** Mostly values of the column's own type, so that rules are reached. */
const rowsOf = (properties: Record<string, Row>) => {
  const cell = ({ type, format }: Row) => {
    const kind = [type].flat()[0];
    const own = format?.toString().startsWith('date')
      ? times
      : kind === 'string'
        ? texts
        : kind === 'boolean'
          ? fc.boolean()
          : kind === 'integer'
            ? integers
            : numbers;
    return fc.oneof({ weight: 6, arbitrary: own as fc.Arbitrary<unknown> }, { weight: 1, arbitrary: anything });
  };
  const cells = Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, cell(one)]));
  return fc.array(fc.record(cells, { requiredKeys: [] }), { minLength: 1, maxLength: 12 });
};

/** All digits of large whole numbers: JSON.stringify rounds them to others that read back the same in JavaScript only. */
function exactJson(row: Row): string {
  const cells = Object.entries(row).map(([name, value]) => {
    const exact = typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < 1e20;
    return `${JSON.stringify(name)}:${exact ? String(BigInt(value)) : JSON.stringify(value)}`;
  });
  return `{${cells.join(',')}}`;
}

/** Rules that each row breaks, by SQL over a table whose `raw` is given. */
async function inBatch(db: DuckDb, contract: ReturnType<typeof compileContract>, raw: string): Promise<string[][]> {
  await db.run(`CREATE OR REPLACE TEMP TABLE lines AS ${raw}`);
  await db.run('DROP VIEW IF EXISTS checked');
  await db.run('CREATE OR REPLACE TEMP VIEW raw AS SELECT * FROM lines');
  const described = await db.rows<{ column_name: string; column_type: string }>('DESCRIBE lines');
  const columns = described.map(({ column_name: name, column_type: type }) => ({ name, type })).slice(0, -1);
  const place = { source: 's', file: 'f' };
  const { rules } = await checkContract(db, columns, contract, { zone: 'UTC', text: false, place });
  const flags = rules.map((_, i) => `${ruleSql(i)} AS __rule_${i}`);
  const rows = await db.rows(`SELECT ${['__row', ...flags].join(', ')} FROM checked ORDER BY __row`);
  return rows.map((row) =>
    rules
      .filter((_, i) => row[`__rule_${i}`] === true)
      .map(({ rule }) => rule)
      .sort(),
  );
}

const names = (broken: { rule: string }[]) => broken.map(({ rule }) => rule).sort();

describe('a contract in SQL and for single records', () => {
  it('comes to the same verdict on the same JSON, rule by rule', async () => {
    const cases = contracts.chain((contract) => fc.tuple(fc.constant(contract), rowsOf(contract.properties)));
    await database('/tmp', (db) =>
      fc.assert(
        fc.asyncProperty(cases, async ([schema, rows]) => {
          const contract = compileContract(schema);
          const lines = rows.map(exactJson);
          const cells = COLUMNS.map((name) => `json_extract(line, '$."${name}"') AS "${name}"`).join(', ');
          const values = lines.map((line, i) => `(${literal(line)}::JSON, ${i + 1}::BIGINT)`).join(', ');
          const batch = await inBatch(db, contract, `SELECT ${cells}, __row FROM (VALUES ${values}) t(line, __row)`);
          const check = createRecordCheck(contract);
          expect(batch).toEqual(lines.map((line) => names(check(JSON.parse(line) as Row))));
        }),
        { numRuns: 60 },
      ),
    );
  });

  it('agrees on what no JSON can hold: NaN, infinities, whole numbers beyond 2^53', async () => {
    const bigs = fc.oneof(
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.constantFrom(2n ** 53n + 1n, -(2n ** 60n) - 1n),
    );
    const floats = fc.oneof(numbers, fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY));
    const bounds = some<unknown>({ ...ofNumbers(fc.oneof(integers, fc.constantFrom(2 ** 53, -(2 ** 60)))) });
    const cases = fc.tuple(
      bounds,
      bounds,
      fc.array(fc.tuple(fc.option(bigs), fc.option(floats)), { minLength: 1, maxLength: 20 }),
    );
    await database('/tmp', (db) =>
      fc.assert(
        fc.asyncProperty(cases, async ([ofA, ofB, rows]) => {
          const contract = compileContract({
            properties: { a: { type: 'integer', ...ofA }, b: { type: 'number', ...ofB } },
            required: ['b'],
          });
          const sql = (value: unknown) => (value === null ? 'NULL' : `'${String(value)}'`);
          const values = rows.map(([a, b], i) => `(${sql(a)}::BIGINT, ${sql(b)}::DOUBLE, ${i + 1}::BIGINT)`).join(', ');
          const batch = await inBatch(db, contract, `SELECT * FROM (VALUES ${values}) t(a, b, __row)`);
          const check = createRecordCheck(contract);
          expect(batch).toEqual(rows.map(([a, b]) => names(check({ a, b }))));
        }),
        { numRuns: 60 },
      ),
    );
  });

  it('takes null and missing for one thing, and a value of the wrong type for one broken rule', () => {
    const contract = compileContract({
      required: ['a', 'b'],
      properties: { a: { type: 'integer', enum: [1, 2] }, b: { type: ['string', 'null'] }, c: { type: 'number' } },
      additionalProperties: false,
    });
    const check = createRecordCheck(contract);
    expect(check({ a: 1, b: null })).toEqual(check({ a: 1 }));
    expect(names(check({ a: 1 }))).toEqual([]);
    expect(names(check({ a: null, b: 'x' }))).toEqual(['a: required']);
    expect(names(check({ a: 'one', b: 'x', c: 'y', extra: 1 }))).toEqual([
      'a: type integer',
      'c: type number',
      'extra: additionalProperties false',
    ]);
  });
});
