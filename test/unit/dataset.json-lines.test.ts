import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { workplace } from './dataset.fixture.ts';

const CONTRACT = {
  type: 'object',
  required: ['id', 'at'],
  properties: {
    id: { type: 'integer' },
    at: { type: 'string', format: 'date-time' },
    amount: { type: 'number' },
    paid: { type: 'boolean' },
    note: { type: 'string' },
  },
};

describe('JSON lines', () => {
  it('are read with the types of the contract', async () => {
    const place = await workplace();
    const lines = [
      '\ufeff{"id":1,"at":"2024-01-01T00:00:00Z","amount":1.5,"paid":true,"note":"a \\"b\\" ü, c","other":[1]}',
      '',
      '{"note":"","amount":2,"at":"2024-01-01T02:00:00+01:00","id":2.0}\r',
      '{"id":3,"at":"2024-01-02T00:00:00Z","amount":null}',
    ];
    await writeFile(path.join(place.root, 'a.jsonl'), lines.join('\n'));
    const partition = await place.extract('a.jsonl', { format: 'jsonl', contract: CONTRACT });
    expect(partition).toMatchObject({ rows: 3, badRows: 0 });
    expect(partition.columns.map(({ name, type }) => `${name} ${type}`)).toEqual([
      'id BIGINT',
      'at TIMESTAMP',
      'amount DOUBLE',
      'paid BOOLEAN',
      'note VARCHAR',
    ]);
    expect(await place.rows(partition.data, 'id, "at", amount, paid, note')).toEqual([
      { id: '1', at: '2024-01-01 00:00:00', amount: '1.5', paid: 'true', note: 'a "b" ü, c' },
      { id: '2', at: '2024-01-01 01:00:00', amount: '2.0', paid: null, note: '' },
      { id: '3', at: '2024-01-02 00:00:00', amount: null, paid: null, note: null },
    ]);
  });

  it('may be compressed', async () => {
    const place = await workplace();
    await writeFile(path.join(place.root, 'a.jsonl.gz'), gzipSync('{"id":1,"at":"2024-01-01T00:00:00Z"}\n'));
    const partition = await place.extract('a.jsonl.gz', { format: 'jsonl', contract: CONTRACT });
    expect(partition).toMatchObject({ rows: 1, badRows: 0 });
  });

  it('that are none, and values of another type, are laid aside like any bad row', async () => {
    const place = await workplace();
    const lines = [
      '{"id":1,"at":"2024-01-01T00:00:00Z"}',
      '{"id":2,"at":"2024-01-01T',
      '[1,2]',
      '{"id":"3","at":"2024-01-01T00:00:00Z"}',
      '{"at":"2024-01-01T00:00:00Z","paid":"true"}',
    ];
    await writeFile(path.join(place.root, 'a.jsonl'), lines.join('\n'));
    const partition = await place.extract('a.jsonl', {
      format: 'jsonl',
      contract: CONTRACT,
      eventTime: '"at"',
      knownAt: { '*': '"at"' },
    });
    expect(partition).toMatchObject({ rows: 5, badRows: 4 });
    const rows = await place.rows(partition.quarantine as never, '__line, id, paid, __rules');
    expect(rows).toEqual([
      { __line: '2', id: null, paid: null, __rules: "['line: JSON object']" },
      { __line: '3', id: null, paid: null, __rules: "['line: JSON object']" },
      { __line: null, id: '"3"', paid: null, __rules: "['id: type integer']" },
      { __line: null, id: null, paid: '"true"', __rules: "['id: required', 'paid: type boolean']" },
    ]);
  });

  it('have fields of any name', async () => {
    const place = await workplace();
    const names = ['a"b', "a'b", 'a.b', 'a/b', 'a~b', '~1', '*', '$', '$.x', '0', 'a\\b', 'a\nb', 'é🦆', 'constructor'];
    const line = JSON.stringify(Object.fromEntries(names.map((name, i) => [name, i])));
    await writeFile(path.join(place.root, 'a.jsonl'), line);
    const properties = Object.fromEntries(names.map((name, i) => [name, { type: 'integer', const: i }]));
    const contract = { required: names, properties };
    expect(await place.extract('a.jsonl', { format: 'jsonl', contract })).toMatchObject({ rows: 1, badRows: 0 });
  });

  it('of another kind of file, and an empty one, are told', async () => {
    const place = await workplace();
    await writeFile(path.join(place.root, 'empty.jsonl'), '');
    expect(await place.extract('empty.jsonl', { format: 'jsonl', contract: CONTRACT })).toMatchObject({ rows: 0 });
    await place.write('p.parquet', 'SELECT 1 AS id');
    await expect(place.extract('p.parquet', { format: 'jsonl', contract: CONTRACT })).rejects.toMatchObject({
      code: expect.stringMatching(/SOURCE_UNREADABLE|BAD_ROWS/) as string,
    });
  });
});

describe('folders that name columns', () => {
  it('give every row of their files the value, typed by the contract', async () => {
    const place = await workplace();
    const name = await place.write('d/year=2013/month=01/kind=a%2Fb/f.parquet', "SELECT 7 AS id, 'own' AS kind");
    const contract = { type: 'object', required: ['year'], properties: { year: { type: 'integer' } } };
    const partition = await place.extract(name, { contract });
    expect(await place.rows(partition.data, 'id, "year", "month", kind')).toEqual([
      { id: '7', year: '2013', month: '01', kind: 'own' },
    ]);
    const lines = ['{"id":7,"kind":"own"}', '{"id":8}', 'no object'];
    const folder = path.join(place.root, 'j/year=2013/month=01/kind=a');
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, 'f.jsonl'), lines.join('\n'));
    const named = {
      ...contract,
      properties: { ...contract.properties, id: { type: 'integer' }, kind: { type: 'string' } },
    };
    const jsonl = await place.extract('j/year=2013/month=01/kind=a/f.jsonl', { format: 'jsonl', contract: named });
    expect(jsonl).toMatchObject({ rows: 3, badRows: 1, rules: [{ rule: 'line: JSON object' }] });
    expect(await place.rows(jsonl.data, 'id, "year", "month", kind', 'id IS NOT NULL')).toEqual([
      { id: '7', year: '2013', month: '01', kind: 'own' },
      { id: '8', year: '2013', month: '01', kind: null },
    ]);
    const missing = await place.write('e/__/year=__HIVE_DEFAULT_PARTITION__/f.csv', 'SELECT 7 AS id');
    const bad = await place.extract(missing, { format: 'csv', contract });
    expect(bad.rules).toEqual([{ rule: 'year: required', column: 'year', count: 1 }]);
  });
});
