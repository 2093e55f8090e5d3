import { describe, expect, it } from 'vitest';
import { compileContract } from '../../core/dataset/contract.ts';
import { RefitError } from '../../core/spec/errors.ts';
import { database } from './dataset.fixture.ts';

const column = (property: unknown, required = false) => ({
  type: 'object',
  properties: { x: property },
  ...(required ? { required: ['x'] } : {}),
});

/** Which of the values (SQL, of the column's type) break the contract, and how. */
async function broken(property: unknown, values: string[], required = false): Promise<Record<string, string[]>> {
  const contract = compileContract(column(property, required));
  const type = contract.columns[0]?.sqlType ?? '';
  const flags = ['true', ...contract.rules.map(({ brokenSql }, i) => `${brokenSql} AS r${i}`)];
  return database('/tmp', async (db) => {
    const found: Record<string, string[]> = {};
    for (const value of values) {
      const [row = {}] = await db.rows(`SELECT ${flags.join(', ')} FROM (SELECT ${value}::${type} AS x)`);
      const rules = contract.rules.filter((_, i) => row[`r${i}`] === true).map(({ rule }) => rule);
      if (rules.length > 0) found[value] = rules;
    }
    return found;
  });
}

function refusal(schema: Record<string, unknown>): string {
  try {
    compileContract(schema);
  } catch (error) {
    if (error instanceof RefitError && error.code === 'REFIT_CONTRACT_INVALID') return error.message;
    throw error;
  }
  return 'accepted';
}

describe('a compiled contract', () => {
  it('holds numbers against their bounds and says which one is broken', async () => {
    const found = await broken({ type: 'integer', minimum: -60, maximum: 2000 }, [
      '-61',
      '-60',
      '2000',
      '2001',
      'NULL',
    ]);
    expect(found).toEqual({ '-61': ['x: minimum -60'], '2001': ['x: maximum 2000'] });
    expect(
      await broken({ type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 0.3 }, ['0', '1e-9', '0.3', '0.29']),
    ).toEqual({
      '0': ['x: exclusiveMinimum 0'],
      '0.3': ['x: exclusiveMaximum 0.3'],
    });
  });

  it('counts characters, not bytes', async () => {
    const found = await broken({ type: 'string', minLength: 2, maxLength: 3 }, ["'é'", "'éé'", "'🦆🦆🦆'", "'abcd'"]);
    expect(found).toEqual({ "'é'": ['x: minLength 2'], "'abcd'": ['x: maxLength 3'] });
  });

  it('finds a pattern anywhere in the text, as JSON Schema does', async () => {
    expect(await broken({ type: 'string', pattern: '[0-9]{2}' }, ["'ab12cd'", "'a1b2'"])).toEqual({
      "'a1b2'": ['x: pattern [0-9]{2}'],
    });
  });

  it('compares with enum and const by value, quotes included', async () => {
    expect(await broken({ enum: ["O'Hare", 'JFK'] }, ["'O''Hare'", "'LGA'", 'NULL'])).toEqual({ "'LGA'": ['x: enum'] });
    expect(await broken({ const: true }, ['true', 'false'])).toEqual({ false: ['x: const true'] });
    expect(await broken({ type: 'number', enum: [1, 2.5] }, ['1', '2.5', '2'])).toEqual({ 2: ['x: enum'] });
  });

  it('tells a missing value from an allowed null', async () => {
    expect(await broken({ type: 'integer' }, ['NULL', '1'], true)).toEqual({ NULL: ['x: required'] });
    expect(await broken({ type: ['integer', 'null'] }, ['NULL'], true)).toEqual({});
    expect(await broken({ type: ['string', 'null'], enum: ['a'] }, ['NULL'], true)).toEqual({ NULL: ['x: required'] });
    expect(await broken({ type: 'integer', minimum: 0 }, ['NULL'])).toEqual({});
  });

  it('names the columns with the types they will have', () => {
    const contract = compileContract({
      required: ['id', 'at'],
      'x-unique': ['id', 'at'],
      properties: {
        id: { type: 'string' },
        at: { type: 'string', format: 'date-time' },
        day: { type: ['string', 'null'], format: 'date' },
      },
    });
    expect(
      contract.columns.map(({ name, sqlType, nullable, required }) => [name, sqlType, nullable, required]),
    ).toEqual([
      ['id', 'VARCHAR', false, true],
      ['at', 'TIMESTAMP', false, true],
      ['day', 'DATE', true, false],
    ]);
    expect(contract.unique).toEqual(['id', 'at']);
  });

  it('takes whole numbers and others for numbers, and letters that only Unicode calls alike for two', () => {
    expect(compileContract(column({ enum: [1, 1.5, null] })).columns).toMatchObject([
      { type: 'number', nullable: true },
    ]);
    expect(compileContract(column({ type: ['integer', 'number'] })).columns).toMatchObject([{ type: 'number' }]);
    expect(refusal({ properties: { é: { type: 'integer' }, É: { type: 'integer' } } })).toBe('accepted');
  });

  it('lets annotations pass', () => {
    const words = { title: 't', description: 'd', $comment: 'c', examples: [1], default: 1, readOnly: true };
    expect(
      refusal({ $schema: 's', $id: 'i', additionalProperties: false, ...column({ type: 'integer', ...words }) }),
    ).toBe('accepted');
  });

  it.each([
    [
      'a keyword of other values',
      column({ type: 'integer', uniqueItems: true }),
      /properties\.x\.uniqueItems .*"uniqueItems" is not supported/,
    ],
    ['a misspelt keyword', column({ type: 'integer', minimun: 2 }), /did you mean "minimum"/],
    ['$ref', column({ $ref: '#/$defs/x' }), /properties\.x\.\$ref/],
    ['an empty allOf', { properties: {}, allOf: [] }, /allOf .* list of schemas/],
    ['no type', column({ description: 'anything' }), /properties\.x\.type/],
    ['two types', column({ type: ['integer', 'string'] }), /properties\.x\.type/],
    ['only null', column({ type: 'null' }), /properties\.x\.type/],
    ['an unknown format', column({ type: 'string', format: 'idn-email' }), /properties\.x\.format .*uuid, email/],
    ['a bound on text', column({ type: 'string', minimum: 1 }), /minimum does not apply to a column of type string/],
    ['a pattern on a time', column({ type: 'string', format: 'date-time', pattern: 'x' }), /pattern does not apply/],
    ['a bound that is text', column({ type: 'integer', minimum: '1' }), /must be a number/],
    ['an enum of another type', column({ type: 'integer', enum: [1, 'a'] }), /"a" is not of the column's type/],
    [
      'required without a property',
      { ...column({ type: 'integer' }), required: ['y'] },
      /"y" has no entry in properties/,
    ],
    ['x-unique without a property', { ...column({ type: 'integer' }), 'x-unique': ['y'] }, /x-unique/],
    ['a reserved name', { properties: { __known_0: { type: 'integer' } } }, /reserved/],
    ['look-around', column({ type: 'string', pattern: '(?=a)' }), /look-around cannot be checked in SQL/],
    ['a broken pattern', column({ type: 'string', pattern: '(' }), /properties\.x\.pattern/],
    ['an array', { type: 'array' }, /must be "object"/],
    ['no object at all', null as never, /contract's root .*must be an object/],
    ['text for a contract', 'x' as never, /contract's root .*must be an object/],
    ['names that SQL takes for one', { properties: { a: { type: 'integer' }, A: { type: 'integer' } } }, /from "A"/],
    ['a column without a name', { properties: { '': { type: 'integer' } } }, /a column has a name/],
    ['a bound without end', column({ type: 'number', maximum: Number.POSITIVE_INFINITY }), /must be a number/],
  ])('refuses %s by name', (_, schema, message) => {
    expect(refusal(schema)).toMatch(message);
  });
});
