import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { toFailure } from '../../activities/errors-interceptor.ts';
import { literal } from '../../core/dataset/duckdb.ts';
import { createExtractPartition, extractInput } from '../../core/dataset/extract-partition.ts';
import { createInspectPartition } from '../../core/dataset/inspect-partition.ts';
import { fingerprintFile } from '../../core/dataset/partitions.ts';
import { piiKeyOf } from '../../core/dataset/pii-key.ts';
import { publishSource } from '../../core/dataset/publish-source.ts';
import type { SourceSpec } from '../../core/spec/pipeline.ts';
import type { Step } from '../../core/store/step.ts';
import { database, type Workplace, workplace } from './dataset.fixture.ts';

const piiKey = piiKeyOf('a key of the test, long enough');

/** Stands in every value of personal data. */
const PLANTED = /planted|48151623/i;

const CONTRACT = {
  required: ['id', 'email'],
  'x-unique': ['email'],
  properties: {
    id: { type: 'integer', minimum: 1 },
    email: { type: 'string', format: 'email', 'x-pii': 'hash' },
    phone: { type: ['integer', 'null'], maximum: 1e12, 'x-pii': 'token' },
    passport: { type: ['string', 'null'], maxLength: 12, 'x-pii': 'drop' },
    born: { type: ['string', 'null'], format: 'date', 'x-pii': 'hash' },
    seen: { type: ['string', 'null'], format: 'date-time' },
  },
};
const PEOPLE: SourceSpec = {
  ...{ format: 'csv', path: 'people', contract: CONTRACT, zone: 'UTC', derive: {}, maxBadShare: 0.01 },
};

/** Everything that is told or kept of a file: failures as Temporal's history and the logs have them, progress, all objects of the store. */
async function toldOf(place: Workplace, name: string, spec: SourceSpec): Promise<string> {
  const told: string[] = [];
  const file = { name, sha256: await fingerprintFile(path.join(place.root, name)) };
  const input = extractInput({ piiKey }, 'people', spec, file);
  const origin = { root: place.root, piiKey };
  const step = async <Input, Output>(one: Step<Input, Output>, of: Input) => {
    const progress = (details: unknown) => void told.push(JSON.stringify(details));
    const output = await one.run(of, { ...(await place.context()), progress });
    told.push(JSON.stringify([of, output]));
    return { output, cached: false };
  };
  const attempt = (work: Promise<unknown>) => work.catch((error: unknown) => void told.push(...wordsOf(error)));
  await attempt(step(createInspectPartition(origin), input));
  await attempt(
    step(createExtractPartition(origin), input).then(({ output }) => {
      const found = { pipeline: 'p', source: 'people', spec, declaration: '', partitions: [output] };
      const dates = { asOf: '2024-01-01T00:00:00Z', seenAt: '2024-01-01T00:00:00Z' };
      return publishSource({ blobs: place.blobs, step }, { ...found, ...dates }, { fresh: true });
    }),
  );
  return [...told, ...(await kept(place))].join('\n');
}

/** An error, its failure in Temporal, and their causes. */
function wordsOf(error: unknown): string[] {
  const words: string[] = [];
  for (let one: unknown = toFailure(error, 9, false); one instanceof Error; one = one.cause)
    words.push(`${one.stack} ${one.message} ${JSON.stringify(one)}`);
  return words;
}

async function kept(place: Workplace): Promise<string[]> {
  const folder = path.join(place.root, 'store');
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const texts: string[] = [];
  for (const { parentPath, name } of entries.filter((entry) => entry.isFile())) {
    const file = path.join(parentPath, name);
    const bytes = await readFile(file);
    texts.push(bytes.toString('latin1'));
    if (bytes.subarray(0, 4).toString() !== 'PAR1') continue;
    const sql = `SELECT COLUMNS(*)::VARCHAR FROM read_parquet(${literal(file)})`;
    texts.push(JSON.stringify(await database(place.root, (db) => db.rows(sql))));
  }
  return texts;
}

const HEAD = 'id,email,phone,passport,born,seen';
const GOOD = '1,planted@x.org,48151623,planted-1,2000-01-01,2023-01-01T00:00:00Z';
const many = Array.from({ length: 3_000 }, (_, i) => `${i + 2},planted${i}@x.org,48151623,planted-2,2000-01-01,`);

const FILES: Record<string, string | Buffer> = {
  'quote.csv': `${HEAD}\n${GOOD}\n2,"planted@y.org,48151623,planted-1,2000-01-01,\n`,
  'quote-later.csv': `${HEAD}\n${many.join('\n')}\n4000,"planted"@y.org,48151623,planted-1,2000-01-01,\n`,
  'too-many.csv': `${HEAD}\n${GOOD}\n2,planted@y.org,48151623,planted-1,2000-01-01,,planted-3\n`,
  'too-many-later.csv': `${HEAD}\n${many.join('\n')}\n2,planted@y.org,48151623,planted-1,2000-01-01,,planted-3\n`,
  'too-few.csv': `${HEAD}\n${many.join('\n')}\nplanted@y.org\n`,
  'no-head.csv': `${GOOD}\n${GOOD}\n`,
  'no-head-two.csv': `1,planted@x.org\n2,planted@y.org\n`,
  'reserved.csv': `id,email,__row\n1,planted@x.org,planted\n`,
  'wrong.csv': `${HEAD}\nplanted@x.org,1,planted-phone,planted-passport-of-some-length,planted,planted\n${GOOD}\n${GOOD}\n`,
  'latin1.csv': Buffer.from(
    `${HEAD}\n${many.join('\n')}\n9,planted-\xe9@x.org,48151623,planted,2000-01-01,\n`,
    'latin1',
  ),
  'nul.csv': `${HEAD}\n${GOOD}\n2,planted\0@y.org,48151623,planted-1,2000-01-01,\n`,
  'cut.csv.gz': gzipSync(`${HEAD}\n${many.join('\n')}\n`).subarray(0, 5_000),
  'dates.csv': `${HEAD}\n1,planted@x.org,48151623999999999999,planted-1,99999-99-99,\n2,,,,294247-01-10,\n`,
  'long.csv': `${HEAD}\n1,planted@x.org,1,${'planted-long'.repeat(200_000)},,\n`,
  'broken.jsonl': `{"id":1,"email":"planted@x.org"}\n{"id":2,"email":"planted@y.org\n{"id":3,"email":"planted@x.org"}\nplanted\n`,
  'wrong.jsonl': `{"id":"planted","email":{"planted":"planted"},"phone":"planted","passport":["planted"],"born":"planted","seen":"planted"}\n`,
  'twice.jsonl': `{"id":1,"email":"planted@x.org","email":"planted@y.org","phone":48151623.5}\n{"id":1,"phone":1e400,"email":"planted@x.org"}\n`,
  'latin1.jsonl': Buffer.from(`{"id":1,"email":"planted-\xe9@x.org"}\n`, 'latin1'),
  'surrogate.jsonl': `{"id":1,"email":"planted-\\ud800@x.org","passport":"planted\\u0000"}\n`,
  'nul.jsonl': `{"id":0,"email":"planted\\u0000@x.org","passport":"planted\\u0000","born":"planted\\u0000","phone":"\\u0000planted"}\n`,
  'long.jsonl': `{"id":1,"email":"planted@x.org","passport":"${'planted-long'.repeat(1_400_000)}"}\n`,
  'cut.jsonl.gz': gzipSync(many.map((line) => JSON.stringify({ email: line })).join('\n')).subarray(0, 5_000),
};

it.each(Object.keys(FILES))('personal data does not come out of a broken file: %s', async (name) => {
  const place = await workplace();
  await writeFile(path.join(place.root, name), FILES[name] ?? '');
  const format = name.includes('.jsonl') ? 'jsonl' : 'csv';
  // A header that is none is met in other ways.
  const others = [
    { ...CONTRACT, additionalProperties: false },
    { ...CONTRACT, required: [] },
  ];
  for (const contract of [CONTRACT, ...(/head|many|cut/.test(name) ? others : [])]) {
    const told = await toldOf(place, name, { ...PEOPLE, format, contract });
    expect(told).not.toBe('');
    expect(told.split('\n').filter((line) => PLANTED.test(line))).toEqual([]);
  }
});

/** Columns of a Parquet file; `~` becomes a byte that is no UTF-8. */
const TABLES: Record<string, string> = {
  'no UTF-8': `1 AS id, 'planted~@x.org' AS email`,
  'no UTF-8, and dropped': `1 AS id, 'planted@x.org' AS email, 'planted~' AS passport`,
  'no UTF-8, and of the wrong type': `1 AS id, 'planted@x.org' AS email, 'planted~' AS phone`,
  'no UTF-8, in a date': `1 AS id, 'planted@x.org' AS email, 'planted~' AS born`,
  'no UTF-8, in a column of no contract': `1 AS id, 'planted@x.org' AS email, 'planted~' AS other`,
  'texts of the wrong type': `1 AS id, 48151623 AS email, 'planted' AS phone, 1 AS passport, 'planted' AS born, 'planted' AS seen`,
  'nested values': `1 AS id, {'a': 'planted'} AS email, ['planted'] AS phone`,
  'nested values where anything may be': `0 AS id, 'planted@x.org' AS email, ['planted'] AS passport`,
  bytes: `1 AS id, 'planted'::BLOB AS email, 'planted'::BLOB AS passport`,
  'dates out of range': `1 AS id, 'planted@x.org' AS email, DATE '5874897-12-31' AS born, DATE '5874897-12-31' AS seen`,
  'numbers out of range': `1 AS id, 'planted@x.org' AS email, 48151623000000000000000000000::HUGEINT AS phone`,
};

it.each(Object.keys(TABLES))('personal data does not come out of a Parquet file with %s', async (name) => {
  const place = await workplace();
  await place.write('t.parquet', `SELECT ${TABLES[name]}`);
  const file = path.join(place.root, 't.parquet');
  await database(place.root, (db) =>
    db.run(`COPY (SELECT ${TABLES[name]}) TO ${literal(file)} (FORMAT parquet, COMPRESSION uncompressed)`),
  );
  const bytes = await readFile(file);
  await writeFile(file, Buffer.from(bytes.toString('latin1').replaceAll('~', '\xff'), 'latin1'));
  const told = await toldOf(place, 't.parquet', { ...PEOPLE, format: 'parquet' });
  expect(told.split('\n').filter((line) => PLANTED.test(line))).toEqual([]);
});
