import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chanceAuc } from '../../core/pipeline/draft/choose-model.ts';
import { isNamedAsId } from '../../core/pipeline/draft/entity-key.ts';
import { isPlainName, nameGiver, sourceName } from '../../core/pipeline/draft/names.ts';
import { comment, property, text } from '../../core/pipeline/draft/typescript.ts';
import { chance, csvOf, day, draftCsv, draftSql, loaded, trainingSetOf } from './init.fixture.ts';

const label = (i: number) => (chance(i * 13) < 0.4 ? 1 : 0);
const table = (header: string, row: (i: number) => string, count = 400) =>
  csvOf(`t,y,${header}`, count, (i) => `${day(i)},${label(i)},${row(i)}`);

describe('names', () => {
  test('a name that is one stays, others give way, none comes twice', () => {
    const give = nameGiver(['id']);
    expect(
      ['Größe (cm)', '2nd visit', '年齢', 'tenure', 'Tenure', 'ID', '__x'].map((name, i) => give(name, i + 1)),
    ).toEqual(['grosse_cm', 'col_2nd_visit', 'col_3', 'tenure', 'Tenure_2', 'ID_2', 'x']);
  });

  test('whatever a column is called, its name can stand in a pipeline', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', minLength: 1 }), { maxLength: 8 }), (columns) => {
        const give = nameGiver([]);
        const names = columns.map((name, i) => give(name, i + 1));
        expect(names.every(isPlainName)).toBe(true);
        expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(names.length);
      }),
    );
  });

  test('a source is called after its file', () => {
    expect(
      ['data/Customers 2024.csv.gz', '2024-01.parquet', '/x/Kündigungen.CSV', 'data/flights/*.parquet'].map(sourceName),
    ).toEqual(['customers_2024', 'data_2024_01', 'kundigungen', 'flights']);
  });

  test('any text comes out of its TypeScript as it went in, and no comment leaves its line', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        expect(runInNewContext(text(value))).toBe(value);
        expect(Object.keys(runInNewContext(`({ ${property(`k${value}`)}: 1 })`) as object)).toEqual([`k${value}`]);
        for (const line of comment(value, '')) expect(line).not.toMatch(/[\n\r\u2028\u2029]/);
      }),
    );
  });

  test.each([
    ['customer_id', true],
    ['CustomerID', true],
    ['orderKey', true],
    ['userid', true],
    ['Unnamed: 0', true],
    ['paid', false],
    ['valid', false],
    ['monkey', false],
    ['grid', false],
  ])('%s is named as an identifier: %s', (name, is) => expect(isNamedAsId(name)).toBe(is));
});

describe('features', () => {
  test('numbers however they are written, and categories; each with a reading that a run understands', async () => {
    const drafted = await draftCsv(
      table('plain,na,euro,dollar,share,zip,kind', (i) => {
        const value = 1000 + chance(i) * 9000;
        const us = value.toFixed(2).replace(/(\d)(?=(\d{3})+\.)/g, '$1,');
        const euro = us.replaceAll(',', '_').replace('.', ',').replaceAll('_', '.');
        return `${value.toFixed(2)},${i % 9 ? i : 'NA'},"${euro}","$${us}",${(value / 100).toFixed(1)}%,0${1000 + (i % 20)},${'abc'[i % 3]}`;
      }),
    );
    const { draft } = drafted;
    expect(Object.fromEntries(draft.features.map(({ name, kind, sql }) => [name, `${kind}: ${sql}`]))).toEqual({
      plain: 'number: plain',
      na: 'number: try_cast(na AS DOUBLE)',
      euro: "number: try_cast(replace(replace(euro, '.', ''), ',', '.') AS DOUBLE)",
      dollar: "number: try_cast(regexp_replace(dollar, '[^0-9.+-]', '', 'g') AS DOUBLE)",
      share: "number: try_cast(regexp_replace(share, '[^0-9.+-]', '', 'g') AS DOUBLE)",
      zip: 'category: zip',
      kind: 'category: kind',
    });
    // All four say the same number of the newest row.
    const { plain, euro, dollar } = draft.sample;
    expect([euro, dollar]).toEqual([plain, plain]);
    const { set } = await trainingSetOf(drafted);
    expect(set.features).toHaveLength(7);
  });

  test('what cannot be learned from is left out, each with its reason', async () => {
    const drafted =
      await draftSql(`SELECT DATE '2024-01-01' + i::INT AS t, hash(i) % 10 < 4 AS y, 1 AS constant, NULL::INT AS nothing,
      'n' || i AS name, 'a long text of its own, number ' || i || ' of all' AS remark, i * 3 AS order_id, i AS counter, [i] AS list, {'a': i} AS struct,
      DATE '2020-01-01' + (hash(i) % 900)::INT AS since, 'x'::BLOB AS bytes, TIME '10:00' AS clock, hash(i) % 10 < 4 AS copy,
      CASE WHEN hash(i) % 10 < 4 THEN (hash(i * 3) % 50)::DOUBLE END AS refund, (hash(i * 7) % 100) / 10.0 AS honest FROM range(400) r(i)`);
    const { features, leftOut, key } = drafted.draft;
    expect(features.map(({ name }) => name)).toEqual(['honest']);
    expect(key.name).toBe('order_id');
    expect(Object.fromEntries(leftOut.map(({ column, why }) => [column, why]))).toMatchObject({
      constant: 'it is the same in every row',
      nothing: 'it is empty',
      name: 'it differs in nearly every row',
      remark: 'it is free text',
      counter: 'it only counts the rows',
      list: expect.stringMatching(/^a model takes no/) as string,
      struct: expect.stringMatching(/^a model takes no/) as string,
      since: expect.stringMatching(/time by itself/) as string,
      bytes: expect.stringMatching(/^a model takes no/) as string,
      copy: expect.stringMatching(/alone tells the label/) as string,
      refund: expect.stringMatching(/alone tells the label/) as string,
    });
    const { sources } = await loaded(drafted);
    const contract = sources.table?.contract.properties as object;
    expect(Object.keys(contract).toSorted()).toEqual(['honest', 'order_id', 't', 'y']);
  });

  test('a measure whose limit parts the outcomes stays, with a warning', async () => {
    const { draft } = await draftCsv(
      csvOf('t,usage,x,y', 400, (i) => `${day(i)},${chance(i)},${chance(i * 3)},${chance(i) > 0.6 ? 1 : 0}`),
    );
    expect(draft.features.map(({ name }) => name)).toContain('usage');
    expect(draft.notes.join(' ')).toMatch(/usage alone tells the label/);
  });

  test('a table with the label and the time only is refused', async () => {
    await expect(draftCsv(csvOf('t,y', 300, (i) => `${day(i)},${label(i)}`))).rejects.toMatchObject({
      code: 'REFIT_USAGE',
      message: expect.stringMatching(/No column is left to learn from/) as string,
    });
  });

  test('names that are no names: SQL words, quotes, code, other alphabets', async () => {
    const columns = [
      'order',
      'Select',
      'a "quoted" name',
      "it's",
      '2nd',
      '年齢',
      'a*/ $1 `x`',
      'constructor',
      'predict_at',
      'DROP TABLE x; --',
    ];
    const drafted = await draftCsv(
      table(columns.map((name) => `"${name.replaceAll('"', '""')}"`).join(','), (i) =>
        columns.map((_, c) => chance(i * (c + 1)).toFixed(3)).join(','),
      ),
    );
    const { set } = await trainingSetOf(drafted);
    expect(set.features.map(({ name }) => name)).toEqual([
      'order',
      'Select',
      'a_quoted_name',
      'it_s',
      'col_2nd',
      'col_8',
      'a_1_x',
      'constructor',
      'predict_at_2',
      'drop_table_x',
    ]);
  });

  test('numbers that no contract can hold go on without one', async () => {
    const drafted =
      await draftSql(`SELECT DATE '2024-01-01' + i::INT AS t, hash(i) % 10 < 4 AS y, i::HUGEINT * 18446744073709551615 AS huge,
      CASE WHEN i % 3 = 0 THEN 'nan'::DOUBLE WHEN i % 50 = 0 THEN 'inf'::DOUBLE ELSE hash(i * 5) % 100 END AS gaps FROM range(400) r(i)`);
    const { set } = await trainingSetOf(drafted);
    expect(set.features.map(({ name }) => name)).toEqual(['huge', 'gaps']);
    expect(set.rows.train + set.rows.validate + set.rows.test).toBe(400);
  });
});

describe('the key', () => {
  const row = (i: number) => `${chance(i).toFixed(3)},${'abc'[i % 3]}`;

  test.each<[what: string, header: string, value: (i: number) => string, key: string]>([
    ['a column that is called like one', 'customer_id', (i) => `C${i}`, 'customer_id'],
    ['one that comes again', 'userId', (i) => String(i % 80), 'userId'],
    ['short texts that all differ', 'licence', (i) => `X-${i}`, 'licence'],
    ['an awkward name', 'Kunden-ID', (i) => String(i + 7), 'kunden_id'],
    ['nothing that names a row', 'colour', (i) => ['red', 'blue'][i % 2] ?? '', 'row_id'],
  ])('%s', async (_, header, value, key) => {
    const drafted = await draftCsv(table(`x,kind,${header}`, (i) => `${row(i)},${value(i)}`));
    expect(drafted.draft.key.name).toBe(key);
    expect((await trainingSetOf(drafted)).set.rows.train).toBe(drafted.draft.split.train.rows);
  });

  test('may be given; one that is empty in places may not', async () => {
    const text = table('x,kind,part', (i) => `${row(i)},${i % 5 === 0 ? '' : `p${i}`}`);
    expect((await draftCsv(text, { key: 'kind' })).draft.key.name).toBe('kind');
    await expect(draftCsv(text, { key: 'part' })).rejects.toMatchObject({
      code: 'REFIT_USAGE',
      message: expect.stringMatching(/empty in 80 of 400/) as string,
    });
    await expect(draftCsv(text, { key: 'kinds' })).rejects.toMatchObject({
      message: expect.stringMatching(/did you mean "kind"/) as string,
    });
  });

  test('rows that repeat key and time are all used', async () => {
    const drafted = await draftCsv(
      csvOf('t,y,user_id,x', 600, (i) => `${day(Math.floor(i / 6))},${label(i)},u${i % 2 ? 7 : i % 120},${chance(i)}`),
    );
    const { set } = await trainingSetOf(drafted);
    expect(set.rows.train + set.rows.validate + set.rows.test).toBe(600);
  });
});

describe('files', () => {
  test('semicolons, a byte order mark, Windows line ends', async () => {
    const text = `\ufeff${table('x', (i) => String(chance(i)))
      .replaceAll(',', ';')
      .replaceAll('\n', '\r\n')}`;
    expect((await draftCsv(text)).draft.features.map(({ name }) => name)).toEqual(['x']);
  });

  test('wildcards in a file name mean themselves', async () => {
    const drafted = await draftCsv(
      table('x', (i) => String(chance(i))),
      {},
      'table[1].csv',
    );
    expect(drafted.draft.source).toBe('table_1');
    expect((await trainingSetOf(drafted)).set.rows.test).toBeGreaterThan(0);
  });

  test('other encodings, kinds of file and empty files are refused with what to do', async () => {
    const latin1 = Buffer.from(
      table('Straße', (i) => `Köln${i % 3}`),
      'latin1',
    );
    await expect(draftCsv(latin1)).rejects.toMatchObject({
      code: 'REFIT_USAGE',
      message: expect.stringMatching(/iconv/) as string,
    });
    await expect(draftCsv('t,y\n')).rejects.toMatchObject({
      code: 'REFIT_USAGE',
      message: expect.stringMatching(/no rows/) as string,
    });
    await expect(draftCsv('{}', {}, 'table.json')).rejects.toMatchObject({
      code: 'REFIT_USAGE',
      message: expect.stringMatching(/neither Parquet nor CSV/) as string,
    });
  });
});

test('the least AUC is three standard errors of guessing below a half', () => {
  expect(chanceAuc({ rows: 100, positives: 50 })).toBe(0.32);
  expect(chanceAuc({ rows: 10_000, positives: 5_000 })).toBe(0.48);
  expect(chanceAuc({ rows: 20, positives: 1 })).toBe(0);
});
