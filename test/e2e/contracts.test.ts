import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CliError, DataCheck, DataProfile } from '../../core/spec/cli.ts';
import { createEmptyProject, type Project, refit, runJson } from '../support/project.ts';
import { blocksOf } from '../support/services.ts';
import { addTinyPipeline } from '../support/tiny-pipeline.ts';

const PAGE = 'docs/contracts.md';
const KEY = { REFIT_PII_KEY: 'the key of an end-to-end test' };
/** Stand in the source and must stand nowhere else. */
const PLANTED = ['ada.lovelace', 'grace.hopper', '6641234567', 'passport-4711'];

let project: Project;
beforeAll(async () => {
  project = await createEmptyProject();
  await writeFile(project.path('package.json'), '{ "name": "e2e", "type": "module" }\n');
  await addTinyPipeline(project, 'shop', { asOf: 'latest' });
  const [contract] = (await blocksOf(PAGE)).filter(({ language }) => language === 'json');
  await writeFile(project.path(contract?.place ?? ''), contract?.text ?? '');
  const codes = { type: 'object', properties: { code: { type: 'string' } }, required: ['code'] };
  await writeFile(project.path('pipelines/shop/countries.schema.json'), JSON.stringify(codes));
  await writeFile(project.path('data/shop/countries.csv'), 'code\nat\nde\nfr\npl\n');
  const file = project.path('pipelines/shop/pipeline.ts');
  const source = (await readFile(file, 'utf8'))
    .replace(
      "eventTime: 'ordered_at',",
      "derive: { domain: \"split_part(email, '@', 2)\" },\n      eventTime: 'ordered_at',",
    )
    .replace(
      '    }),\n  },\n',
      "    }),\n    countries: csv('data/shop/countries.csv', { contract: 'countries.schema.json' }),\n  },\n",
    )
    .replace("fields('orders', ['amount',", "fields('orders', ['domain', 'email', 'amount',");
  expect(source).toContain('countries.csv');
  await writeFile(file, source);
  await addPeople();
});
afterAll(() => project?.remove());

/** Adds personal columns to the orders; one row of them breaks its contract. */
async function addPeople(change: (line: string) => string = (line) => line): Promise<void> {
  await addTinyData();
  const file = project.path('data/shop/orders.csv');
  const [head, ...lines] = (await readFile(file, 'utf8')).trimEnd().split('\n');
  const people = lines.map((line, i) => {
    const email = i % 2 === 0 ? 'ada.lovelace@example.org' : 'grace.hopper@mail.example';
    const row = i === 7 ? line.replace(/,(\d+),([a-z]{2}),/, ',500,$2,') : line;
    return change(`${row},${i % 3 === 0 ? 'SPRING' : ''},${email},+43 6641234567,passport-4711-${i}`);
  });
  await writeFile(file, [`${head},coupon,email,phone,passport`, ...people, ''].join('\n'));
}

async function addTinyData(): Promise<void> {
  const [pipeline, contract] = await Promise.all(
    ['pipeline.ts', 'orders.schema.json'].map((name) => readFile(project.path('pipelines/shop', name))),
  );
  await addTinyPipeline(project, 'shop', { asOf: 'latest' });
  await writeFile(project.path('pipelines/shop/pipeline.ts'), pipeline ?? '');
  await writeFile(project.path('pipelines/shop/orders.schema.json'), contract ?? '');
}

/** Every file that Refit wrote: the bytes of each, and the values of each Parquet file. */
async function planted(): Promise<string[]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const hits: string[] = [];
  let tables = 0;
  for (const folder of ['store', 'temporal', 'logs', 'online', 'scratch']) {
    const entries = await readdir(project.path('.refit', folder), { recursive: true, withFileTypes: true }).catch(
      () => [],
    );
    for (const entry of entries.filter((one) => one.isFile())) {
      const file = path.join(entry.parentPath, entry.name);
      const bytes = await readFile(file);
      const texts = [bytes.toString('latin1')];
      if (bytes.subarray(0, 4).toString() === 'PAR1') {
        tables += 1;
        const rows = await connection.runAndReadAll(`SELECT COLUMNS(*)::VARCHAR FROM read_parquet('${file}')`);
        texts.push(JSON.stringify(rows.getRows()));
      }
      for (const value of PLANTED) if (texts.some((text) => text.includes(value))) hits.push(`${value} in ${file}`);
    }
  }
  connection.closeSync();
  instance.closeSync();
  expect(tables).toBeGreaterThan(2);
  return hits;
}

const check = new Ajv2020({ strict: false }).compile<DataCheck>(DataCheck);

async function checked(args: string[], status: number): Promise<DataCheck> {
  const { code, stdout, stderr } = await refit(project, ['data', 'check', 'shop', ...args, '--json'], KEY);
  expect(code, stdout + stderr).toBe(status);
  const value: unknown = JSON.parse(stdout);
  if (!check(value)) throw new Error(JSON.stringify(check.errors));
  return value;
}

describe('the contract of the page', () => {
  test('needs its key before anything is published', async () => {
    const { code, stdout } = await refit(project, ['data', 'check', 'shop', '--json'], { REFIT_PII_KEY: '' });
    expect([code, (JSON.parse(stdout) as CliError).error.code]).toEqual([1, 'REFIT_PII_KEY_MISSING']);
    expect(await readdir(project.path('.refit/store')).catch(() => [])).toEqual([]);
  });

  test('is kept by every command of the page, and no personal datum is written anywhere', async () => {
    const blocks = (await blocksOf(PAGE)).filter(({ language }) => language === 'sh');
    const commands = blocks.flatMap(({ text }) => text.trim().split('\n'));
    expect(commands.length).toBeGreaterThanOrEqual(3);
    for (const command of commands) {
      const { code, stdout, stderr } = await refit(project, command.replace('npx --no refit ', '').split(' '), KEY);
      expect(code, `${command}\n${stdout}${stderr}`).toBe(0);
    }
    expect(await planted()).toEqual([]);
  });

  test('tells each rule with its count and samples, in the check and in the result of a run', async () => {
    const { sources } = await checked(['--source', 'orders'], 0);
    const [broken] = sources[0]?.rules.filter(({ passed }) => !passed) ?? [];
    expect(broken).toMatchObject({ rule: 'items: maximum 100', kind: 'row', count: 1, samples: [{ row: 8 }] });
    expect(broken?.samples[0]?.values).toMatchObject({ items: '500', order_id: 'o-7' });
    const { stages } = await runJson(project, ['shop'], KEY);
    expect(stages[0]?.details?.broken).toEqual({ orders: [{ rule: 'items: maximum 100', count: 1 }] });
    expect(stages[0]?.cached).toBe(true);
  });

  test('shows the profile of what the last run published, personal data as counts alone', async () => {
    const { code, stdout } = await refit(project, ['data', 'profile', 'shop', '--json'], KEY);
    const { sources } = JSON.parse(stdout) as DataProfile;
    expect([code, new Ajv2020({ strict: false }).validate(DataProfile, { pipeline: 'shop', sources })]).toEqual([
      0,
      true,
    ]);
    const orders = sources.find(({ source }) => source === 'orders')?.profile;
    const email = orders?.columns.find(({ name }) => name === 'email');
    expect(email).toMatchObject({ personal: true, nulls: 0, distinct: 2, top: [] });
    expect(orders?.columns.find(({ name }) => name === 'country')?.top.length).toBeGreaterThan(1);
    const table = await refit(project, ['data', 'profile', 'shop', '--source', 'orders'], KEY);
    expect(table.stdout).toMatch(/email +VARCHAR +[\d,]+ +personal data/);
    const early = await refit(project, ['data', 'profile', 'shop', '--as-of', '1999-01-01', '--json'], KEY);
    expect([early.code, (JSON.parse(early.stdout) as CliError).error.message]).toEqual([
      2,
      'No run of shop has published its sources as of 1999-01-01T00:00:00Z.',
    ]);
  });

  test('refuses a table that breaks its rules: exit 1, with the rule, in the check and in the run', async () => {
    await writeFile(project.path('data/shop/countries.csv'), 'code\nat\nde\nfr\n');
    const { ok, sources } = await checked([], 1);
    expect(ok).toBe(false);
    const orders = sources.find(({ source }) => source === 'orders');
    expect(orders?.problems[0]).toMatchObject({ code: 'REFIT_CONTRACT_TABLE' });
    expect(orders?.problems[0]?.message).toContain('country: x-references countries.code');
    const run = await refit(project, ['run', 'shop', '--json'], KEY);
    expect([run.code, (JSON.parse(run.stdout) as CliError).error.code]).toEqual([1, 'REFIT_CONTRACT_TABLE']);
    await writeFile(project.path('data/shop/countries.csv'), 'code\nat\nde\nfr\npl\n');
  });

  test('lets an optional column come, and refuses one that goes until that is said to be meant', async () => {
    const file = project.path('pipelines/shop/orders.schema.json');
    const contract = JSON.parse(await readFile(file, 'utf8')) as { properties: Record<string, object> };
    const grown = { ...contract, properties: { ...contract.properties, gift: { type: 'boolean' } } };
    await writeFile(file, JSON.stringify(grown));
    const { stages } = await runJson(project, ['shop'], KEY);
    expect(stages[0]?.details?.schema).toMatchObject({
      orders: [{ column: 'gift', change: 'added', compatible: true }],
    });
    await writeFile(file, JSON.stringify(contract));
    const { sources } = await checked(['--source', 'orders'], 1);
    expect(sources[0]?.problems[0]).toMatchObject({ code: 'REFIT_SCHEMA_CHANGED' });
    expect(sources[0]?.problems[0]?.message).toContain('gift: removed (was boolean)');
    await writeFile(file, JSON.stringify({ ...contract, 'x-version': 2 }));
    expect((await checked(['--source', 'orders'], 0)).ok).toBe(true);
    expect(await planted()).toEqual([]);
  });

  test.each([
    ['without a header', (lines: string[]) => lines.slice(1)],
    ['with a field too many', (lines: string[]) => [...lines, `${lines.at(-1)},ada.lovelace@example.org`]],
  ])('lets no personal datum out of a file %s', async (_, broken) => {
    await addPeople();
    const file = project.path('data/shop/orders.csv');
    const lines = broken((await readFile(file, 'utf8')).trimEnd().split('\n'));
    await writeFile(file, `${lines.join('\n')}\n`);
    const { code, stdout, stderr } = await refit(project, ['run', 'shop', '--json'], KEY);
    expect([code, stdout]).toEqual([1, expect.stringContaining('none of its contract')]);
    for (const value of PLANTED) expect(stdout + stderr).not.toContain(value);
    expect(await planted()).toEqual([]);
  });
});
