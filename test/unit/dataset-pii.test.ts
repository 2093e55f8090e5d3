import { createHmac } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { literal } from '../../core/dataset/duckdb.ts';
import { createExtractPartition, type ExtractSlice, extractInput } from '../../core/dataset/extract-partition.ts';
import { createInspectPartition } from '../../core/dataset/inspect-partition.ts';
import { fingerprintFile } from '../../core/dataset/partitions.ts';
import { piiKeyOf } from '../../core/dataset/pii-key.ts';
import { treatedValue } from '../../core/dataset/pii-sql.ts';
import type { Partition } from '../../core/spec/artifacts.ts';
import type { SourceSpec } from '../../core/spec/pipeline.ts';
import { database, type Workplace, workplace } from './dataset.fixture.ts';

const SECRET = 'a key of the test, long enough';
const key = piiKeyOf(SECRET);
const hmac = (text: string) => createHmac('sha256', SECRET).update(text).digest('hex');

/** Values that must be nowhere: one in a good row, one in a rejected one, one in the wrong column of a shifted line. */
const PLANTED = ['ada.lovelace@example.org', 'grace.hopper@example.org', 'planted-passport-7781', '48151623'];
const CONTRACT = {
  required: ['id', 'email', 'joined'],
  'x-unique': ['email'],
  properties: {
    id: { type: 'integer', minimum: 1 },
    joined: { type: 'string', format: 'date-time' },
    email: { type: 'string', format: 'email', 'x-pii': { class: 'email', treatment: 'hash', derive: ['domain'] } },
    phone: { type: ['integer', 'null'], 'x-pii': { class: 'phone', treatment: 'token', format: '+43 ### ##########' } },
    passport: { type: ['string', 'null'], maxLength: 40, 'x-pii': 'drop' },
    amount: { type: ['number', 'null'], maximum: 100 },
  },
};
const SPEC: SourceSpec = {
  format: 'parquet',
  path: 'people.parquet',
  contract: CONTRACT,
  zone: 'UTC',
  derive: { domain: "split_part(email, '@', 2)", same: 'upper(email)' },
  eventTime: 'joined',
  maxBadShare: 1,
};
const PEOPLE = `SELECT * FROM (VALUES
  (1, TIMESTAMP '2020-01-01', 'ada.lovelace@example.org', 48151623, 'planted-passport-7781', 5.0),
  (0, TIMESTAMP '2020-01-02', 'grace.hopper@example.org', 48151623, 'planted-passport-7781', 500.0),
  (3, TIMESTAMP '2020-01-03', 'alan@example.net', NULL, NULL, NULL),
  (4, TIMESTAMP '2020-01-04', 'ada.lovelace@example.org', NULL, NULL, 1.0)) t(id, joined, email, phone, passport, amount)`;

async function extract(place: Workplace, name: string, spec: SourceSpec = SPEC, piiKey = key): Promise<Partition> {
  const file = { name, sha256: await fingerprintFile(path.join(place.root, name)) };
  const input = extractInput({ piiKey }, 'people', spec, file);
  return createExtractPartition({ root: place.root, piiKey }).run(input, await place.context());
}

/** Planted values that stand in the store, in any file's bytes or in any column of its Parquet. */
async function found(place: Workplace, planted = PLANTED): Promise<string[]> {
  const folder = path.join(place.root, 'store');
  const names = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const hits: string[] = [];
  expect(names.length).toBeGreaterThan(0);
  for (const { parentPath, name } of names) {
    const file = path.join(parentPath, name);
    const bytes = await readFile(file);
    const texts = [bytes.toString('latin1')];
    if (bytes.subarray(0, 4).toString() === 'PAR1')
      texts.push(
        JSON.stringify(
          await database(place.root, (db) => db.rows(`SELECT COLUMNS(*)::VARCHAR FROM read_parquet(${literal(file)})`)),
        ),
      );
    for (const value of planted) if (texts.some((text) => text.includes(value))) hits.push(`${value} in ${name}`);
  }
  return hits;
}

describe('personal data', () => {
  it('is hashed with the key, made a token or dropped before a partition or its quarantine is published', async () => {
    const place = await workplace();
    const partition = await extract(place, await place.write('people.parquet', PEOPLE));
    const rows = await place.rows(partition.data);
    expect(Object.keys(rows[0] ?? {})).not.toContain('passport');
    expect(rows.map(({ email }) => email)).toEqual(
      ['ada.lovelace', 'grace.hopper', 'alan', 'ada.lovelace'].map((name) =>
        hmac(`${name}@example.${name === 'alan' ? 'net' : 'org'}`),
      ),
    );
    expect(rows[0]?.phone).toMatch(/^\+43 \d{3} \d{10}$/);
    expect(rows.map(({ phone }) => phone)).toEqual([rows[0]?.phone, rows[0]?.phone, null, null]);
    expect(await found(place)).toEqual([]);
    // A good row and one of each kind of a bad one; the rules were judged on what was read.
    expect(partition.rules.map(({ rule, count }) => [rule, count])).toEqual([
      ['id: minimum 1', 1],
      ['amount: maximum 100', 1],
      ['unique (email)', 1],
    ]);
    const aside = await place.rows(partition.quarantine ?? partition.data);
    expect(aside.map(({ email, __row }) => [email, __row])).toEqual([
      [hmac('grace.hopper@example.org'), '2'],
      [hmac('ada.lovelace@example.org'), '4'],
    ]);
  });

  it('has one hash in a rejected row and in the data, however it was written', async () => {
    const place = await workplace();
    const csv = { ...SPEC, format: 'csv' as const };
    const people = `SELECT * FROM (VALUES ('1', '2020-01-01T00:00:00Z', 'a@b.org', '0048151623', '', '1'), ('2', '2020-01-01T00:00:00Z', 'b@b.org', ' 48151623', '', '999'),
      ('3', '2020-01-01T00:00:00Z', 'c@b.org', '4815162x', '', '1')) t(id, joined, email, phone, passport, amount)`;
    const partition = await extract(place, await place.write('people.csv', people), csv);
    const [good] = await place.rows(partition.data, 'phone');
    const [dear, wrong] = await place.rows(partition.quarantine as never, 'phone');
    expect(dear).toEqual(good);
    expect(wrong?.phone).toMatch(/^\+43 \d{3} \d{10}$/);
    expect(wrong).not.toEqual(good);
  });

  it('is the same in JavaScript, and another with another key', async () => {
    const place = await workplace();
    const file = await place.write('people.parquet', PEOPLE);
    const [row] = await place.rows((await extract(place, file)).data, 'email, phone');
    const token = { treatment: 'token', format: '+43 ### ##########' } as const;
    if (!key) throw new Error('no key');
    expect(row).toEqual({ email: hmac(PLANTED[0] ?? ''), phone: treatedValue(token, '48151623', key) });
    const other = piiKeyOf('another key of the same length');
    const [changed] = await place.rows((await extract(place, file, SPEC, other)).data, 'email, phone');
    expect(changed?.email).not.toBe(row?.email);
    // A step depends on which key it was, without holding it.
    const inputs = [key, other].map((piiKey) => extractInput({ piiKey }, 'people', SPEC, { name: file, sha256: '' }));
    expect(inputs[0]?.pii).not.toBe(inputs[1]?.pii);
    expect(JSON.stringify(inputs)).not.toContain(SECRET);
  });

  it('is seen raw by the derived columns that the contract allows, and by no other', async () => {
    const place = await workplace();
    const partition = await extract(place, await place.write('people.parquet', PEOPLE));
    const rows = await place.rows(partition.data, 'domain, same');
    expect(rows[0]).toEqual({ domain: 'example.org', same: hmac('ada.lovelace@example.org').toUpperCase() });
    const dropped = { ...SPEC, derive: { ...SPEC.derive, initial: 'passport[1]' } };
    await expect(extract(place, 'people.parquet', dropped)).rejects.toMatchObject({
      code: 'REFIT_EXPRESSION_INVALID',
      message: expect.stringContaining('"passport" is dropped as PII; its contract may allow it with'),
    });
    const allowed = {
      ...dropped,
      contract: {
        ...CONTRACT,
        properties: {
          ...CONTRACT.properties,
          passport: { type: ['string', 'null'], 'x-pii': { treatment: 'drop', derive: ['initial'] } },
        },
      },
    };
    const [row] = await place.rows((await extract(place, 'people.parquet', allowed)).data, 'initial');
    expect(row).toEqual({ initial: 'p' });
  });

  it('does not come out through a line that is shifted, nor through a message', async () => {
    const place = await workplace();
    const csv = { ...SPEC, format: 'csv' as const };
    const shifted = `SELECT * FROM (VALUES ('1', '2020-01-01', 'a@b.org', '1', 'x', 'grace.hopper@example.org'),
      ('planted-passport-7781', 'ada.lovelace@example.org', 'no address 48151623', '48151623x', 'y', '1')) t(id, joined, email, phone, passport, amount)`;
    const partition = await extract(place, await place.write('people.csv', shifted), csv);
    expect(partition.badRows).toBe(2);
    expect(await found(place)).toEqual([]);
    const failing = { ...SPEC, derive: { domain: 'email::INTEGER' } };
    const error = await extract(place, await place.write('people.parquet', PEOPLE), failing).catch(
      (one: unknown) => one,
    );
    expect(error).toMatchObject({ code: 'REFIT_EXPRESSION_INVALID', message: expect.stringContaining('withheld') });
    const told = `${(error as Error).stack} ${String((error as Error).cause)} ${JSON.stringify(error)}`;
    for (const value of PLANTED) expect(told).not.toContain(value);
  });

  it.each(['INTERRUPT', 'No space left on device', 'Out of Memory'])(
    'does not come out of a value that reads like a failure of the machine: %s',
    async (words) => {
      const place = await workplace();
      const people = PEOPLE.replaceAll('ada.lovelace@example.org', `${words} ada.lovelace@example.org`);
      const failing = { ...SPEC, derive: { domain: 'email::INTEGER' } };
      const error: unknown = await extract(place, await place.write('people.parquet', people), failing).catch(
        (one: unknown) => one,
      );
      expect(error).toMatchObject({ code: 'REFIT_EXPRESSION_INVALID' });
      const told = `${(error as Error).stack} ${String((error as Error).cause)} ${JSON.stringify(error)}`;
      for (const value of PLANTED) expect(told).not.toContain(value);
    },
  );

  it('needs a key before anything is read, and one that cannot be guessed', async () => {
    const place = await workplace();
    const file = { name: await place.write('people.parquet', PEOPLE), sha256: '0'.repeat(64) };
    expect(() => extractInput({}, 'people', SPEC, file)).toThrow(
      expect.objectContaining({ code: 'REFIT_PII_KEY_MISSING', message: expect.stringContaining('"email", "phone"') }),
    );
    const slice = extractInput({ piiKey: key }, 'people', SPEC, file);
    await expect(createInspectPartition({ root: place.root }).run(slice, await place.context())).rejects.toMatchObject({
      code: 'REFIT_PII_KEY_MISSING',
    });
    expect(() => piiKeyOf('short')).toThrow(expect.objectContaining({ code: 'REFIT_PII_KEY_MISSING' }));
    expect(piiKeyOf('')).toBeUndefined();
  });

  it.each([
    [{ email: { type: 'string', 'x-pii': 'scramble' } }, /x-pii .*drop, hash, token/],
    [{ email: { type: 'string', 'x-pii': { treatment: 'token', format: 'user-###' } } }, /too few places/],
    [{ email: { type: 'string', 'x-pii': { treatment: 'hash', format: '#####' } } }, /only a token/],
    [{ email: { type: 'string', 'x-pii': { treatment: 'hash', salt: 'x' } } }, /"salt" is not supported/],
    [{ email: { type: 'string', 'x-pii': 'drop' } }, /x-unique .*"email" is dropped as PII/],
  ])('refuses %j in words', (properties, message) => {
    const contract = { 'x-unique': ['email'], properties };
    const spec = { ...SPEC, contract } as unknown as SourceSpec & ExtractSlice;
    expect(() => extractInput({ piiKey: key }, 'people', spec, { name: '', sha256: '' })).toThrow(message);
  });
});
