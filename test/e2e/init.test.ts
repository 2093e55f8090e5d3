import { spawn } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { literal, withDuckDb } from '../../core/dataset/duckdb.ts';
import { InitResult } from '../../core/spec/cli.ts';
import { until } from '../support/own-server.ts';
import {
  createEmptyProject,
  errorOf,
  type Outcome,
  type Project,
  REPOSITORY,
  refit,
  runJson,
} from '../support/project.ts';
import { blocksOf, succeed } from '../support/services.ts';

interface Answer {
  model: string;
  version: number;
  predictions: { score: number; label: boolean }[];
}

let project: Project;
beforeAll(async () => {
  project = await createEmptyProject();
});
afterAll(() => project?.remove());

let dev: ReturnType<typeof spawn> | undefined;
afterEach(async () => {
  dev?.kill('SIGTERM');
  if (dev && dev.exitCode === null) await new Promise((resolve) => dev?.once('close', resolve));
  dev = undefined;
});

/** `refit dev` on ports of its own. @returns the gateway's address */
async function startDev(): Promise<string> {
  const base = 20_000 + (process.pid % 20_000);
  let output = '';
  const started = spawn(
    process.execPath,
    [path.join(REPOSITORY, 'cli/refit.mjs'), 'dev', '--port-base', String(base), '--headless', '--json'],
    { cwd: project.root, env: { ...process.env, REFIT_ROOT: project.root }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  dev = started;
  started.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  started.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const line = await until(async () => /^\{.*\}$/m.exec(output)?.[0], `refit dev: ${output}`);
  return (JSON.parse(line) as { gateway: string }).gateway;
}

async function ask(gateway: string, model: string, instances: object[]): Promise<Answer> {
  const response = await fetch(`${gateway}/v1/models/${model}:predict`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ instances }),
  });
  const text = await response.text();
  expect(response.status, text).toBe(200);
  return JSON.parse(text) as Answer;
}

const check = new Ajv2020({ strict: false }).compile(InitResult);

async function init(name: string, args: string[]): Promise<InitResult> {
  const outcome = await refit(project, ['init', name, ...args, '--json']);
  expect(outcome.code, outcome.stdout + outcome.stderr).toBe(0);
  const result = JSON.parse(outcome.stdout) as InitResult;
  expect(check(result), JSON.stringify(check.errors)).toBe(true);
  return result;
}

const day = (index: number) => new Date(Date.UTC(2023, 0, 1 + index)).toISOString().slice(0, 10);
/** A number in [0, 1), the same each time. */
const chance = (index: number) => (Math.imul(index + 1, 2_654_435_761) >>> 0) / 2 ** 32;
const lines = (header: string, count: number, row: (i: number) => string) =>
  `${[header, ...Array.from({ length: count }, (_, i) => row(i))].join('\n')}\n`;
const write = (file: string, content: string) => writeFile(project.path(file), content);

/** `row`: one of the table, as somebody has it at hand: all its columns, by their own names. */
const TABLES: { name: string; args: string[]; row: object; make: () => Promise<unknown> }[] = [
  {
    name: 'kuendigung',
    args: ['--from', 'Kunden 2024.csv', '--label', 'gekündigt', '--time', 'Eintritt am'],
    row: { 'Kunden-Nr': 'K1', 'Eintritt am': '01.02.2024', monatspreis: 39.9, Tarif: 'Plus', gekündigt: null },
    make: () =>
      write(
        'Kunden 2024.csv',
        lines('Kunden-Nr;Eintritt am;Monatspreis (€);Tarif;gekündigt', 1200, (i) => {
          const price = 20 + chance(i) * 60;
          const gone = chance(i * 31) < (price - 10) / 100;
          const date = day(Math.floor(i / 2))
            .split('-')
            .reverse()
            .join('.');
          return `K${10_000 + i};${date};${price.toFixed(2).replace('.', ',')};${['Basis', 'Plus'][i % 2]};${gone ? 'ja' : 'nein'}`;
        }),
      ),
  },
  {
    name: 'outcome',
    args: ['--from', 'events.parquet', '--label', 'outcome', '--time', 'observedAt'],
    row: {
      customerId: 'C-new',
      observedAt: '2024-01-01T00:00:00Z',
      charge: 12.5,
      hasApp: true,
      tags: [1, 2],
      plan: null,
    },
    make: () =>
      withDuckDb({ scratch: project.root }, (db) =>
        db.run(`COPY (SELECT 'C-' || (i % 300) AS "customerId", TIMESTAMPTZ '2023-01-01 00:00:00+02' + to_minutes(i * 90) AS "observedAt",
          (hash(i) % 1000 / 10.0)::DECIMAL(10, 2) AS charge, (hash(i * 5) % 2 = 0) AS "hasApp", [1, 2] AS tags, 'x'::BLOB AS blob,
          CASE WHEN hash(i * 7) % 20 = 0 THEN NULL ELSE ['basic', 'plus', ''][1 + (hash(i * 11) % 3)::INT] END AS plan,
          CASE WHEN hash(i * 13) % 1000 < hash(i) % 1000 * 0.6 THEN 'churned' ELSE 'stayed' END AS outcome
          FROM range(3000) t(i)) TO ${literal(project.path('events.parquet'))} (FORMAT parquet)`),
      ),
  },
  {
    name: 'fraud',
    args: ['--from', 'weird.csv', '--label', 'is fraud?', '--time', 'TS'],
    row: {
      order: 3,
      '2nd visit': 0.4,
      'a "quoted" name': 'b',
      年齢: 31,
      TS: 1_800_000_000,
      Select: 'M',
      'is fraud?': 0,
    },
    make: () =>
      write(
        'weird.csv',
        lines(',order,2nd visit,"a ""quoted"" name",年齢,TS,Select,is fraud?', 1500, (i) =>
          [
            i,
            i % 5,
            chance(i).toFixed(3),
            'abc'[i % 4] ?? '',
            18 + (i % 70),
            1_700_000_000 + i * 3600,
            'MF'[i % 2],
            chance(i * 7) < chance(i) * 0.4 ? 1 : 0,
          ].join(','),
        ),
      ),
  },
  {
    name: 'tiny',
    args: ['--from', 'tiny.csv', '--label', 'left', '--time', 'day'],
    row: { id: 4711, day: '2024-01-01', x: 0.5, kind: 'a', left: '' },
    // Nothing to be found: an honest first model on chance alone must still be promoted.
    make: () =>
      write(
        'tiny.csv',
        lines(
          'id,day,x,kind,left',
          300,
          (i) => `${i},${day(i)},${chance(i)},${'abc'[i % 3]},${chance(i * 3) < 0.4 ? 'Yes' : 'No'}`,
        ),
      ),
  },
];

describe('three commands', () => {
  const made = new Map<string, InitResult>();

  test.each(TABLES)('$name: init, then run, and the model is promoted', async ({ name, args, make }) => {
    await make();
    const result = await init(name, args);
    made.set(name, result);
    const run = await runJson(project, [name]);
    expect(run.verdict, JSON.stringify(run.gates)).toBe('promoted');
    // The run uses the rows that were promised.
    expect(run.stages.find((stage) => stage.name === 'train')?.rows).toBe(result.rows.train.rows);
  });

  test('then predictions over HTTP: by the fields of a row, by its key, by a row as the table has it', async () => {
    const gateway = await startDev();
    for (const { name, row } of TABLES) {
      const { sample } = made.get(name) as InitResult;
      const { predictions, model } = await ask(gateway, name, [sample.fields, sample.key, row]);
      expect(model).toBe(name);
      const [byFields, byKey, byRow] = predictions;
      expect(byRow?.score).toBeGreaterThan(0);
      expect(byFields?.score).toBeGreaterThan(0);
      // The newest row of that key is the sample.
      expect(byKey?.score).toBeCloseTo(byFields?.score ?? -1, 6);
    }
  });

  test('an empty folder became a project, and holds no data', async () => {
    expect(JSON.parse(await readFile(project.path('package.json'), 'utf8'))).toMatchObject({
      type: 'module',
      private: true,
    });
    expect((await readdir(project.path('pipelines/tiny'))).toSorted()).toEqual([
      'README.md',
      'pipeline.ts',
      'tiny.schema.json',
    ]);
    expect(await readFile(project.path('pipelines/tiny/pipeline.ts'), 'utf8')).toContain("csv('tiny.csv'");
  });
});

describe('what init refuses', () => {
  const refused = async (args: string[]): Promise<ReturnType<typeof errorOf> & { status: Outcome['code'] }> => {
    const outcome = await refit(project, ['init', ...args, '--json']);
    return { ...errorOf(outcome), status: outcome.code };
  };
  const tiny = ['--from', 'tiny.csv', '--label', 'left', '--time', 'day'];

  test('a pipeline that is there, unless it is forced', async () => {
    const file = project.path('pipelines/tiny/pipeline.ts');
    await writeFile(file, '// mine');
    expect(await refused(['tiny', ...tiny])).toMatchObject({
      status: 2,
      code: 'REFIT_USAGE',
      message: expect.stringMatching(/--force/) as string,
    });
    expect(await readFile(file, 'utf8')).toBe('// mine');
    await init('tiny', [...tiny, '--force']);
    expect(await readFile(file, 'utf8')).toContain('definePipeline');
  });

  test.each<[what: string, args: string[], status: number, message: RegExp]>([
    ['a name that is none', ['My Churn', ...tiny], 2, /e\.g\. my-churn/],
    ['a file that is not there', ['x', '--from', 'gone.csv', '--label', 'left', '--time', 'day'], 1, /gone\.csv/],
    ['a folder', ['x', '--from', '.', '--label', 'left', '--time', 'day'], 2, /is a folder/],
    [
      'a column that is not there',
      ['x', '--from', 'tiny.csv', '--label', 'lefft', '--time', 'day'],
      2,
      /did you mean "left"/,
    ],
    ['a missing option', ['x', '--from', 'tiny.csv'], 2, /--label/],
  ])('%s', async (_, args, status, message) => {
    expect(await refused(args)).toMatchObject({ status, message: expect.stringMatching(message) as string });
    expect((await readdir(project.path('pipelines'))).includes('x')).toBe(false);
  });
});

test('the tutorial does what it says', async () => {
  const tutorial = await createEmptyProject();
  const bin = tutorial.path('bin');
  await mkdir(bin);
  await writeFile(
    path.join(bin, 'npx'),
    `#!/bin/sh\n[ "$1 $2" = "--no refit" ] || exit 9\nshift 2\nexec node '${path.join(REPOSITORY, 'cli/refit.mjs')}' "$@"\n`,
  );
  await chmod(path.join(bin, 'npx'), 0o755);
  const env = { PATH: `${bin}:${process.env.PATH}`, NO_COLOR: '1', REFIT_ROOT: tutorial.root };
  const before = project;
  project = tutorial;
  try {
    const outputs: string[] = [];
    let gateway = '';
    const blocks = (await blocksOf('docs/tutorial.md')).filter(({ language }) => language === 'sh');
    for (const { text, place } of blocks) {
      if (place === 'background') gateway = await startDev();
      else {
        const script = text.replaceAll('localhost:8080', gateway.replace('http://', ''));
        outputs.push(await succeed('sh', ['-ec', script], { cwd: tutorial.root, env }));
      }
    }
    const [table = '', first = '', forced = '', run = '', scores = '', byKey = '', set = '', later = ''] = outputs;
    expect(table).toContain('customer_id,seen_at');
    expect(first).toMatch(/predicts +churned is "yes"/);
    expect(first).toMatch(/remark +it is free text/);
    expect(forced).toContain("churned = 'yes'");
    expect(run).toContain('promoted: churn version 1');
    const [risky, safe] = (JSON.parse(scores) as Answer).predictions;
    expect(risky?.score).toBeGreaterThan((safe?.score ?? 1) * 3);
    expect((JSON.parse(byKey) as Answer).predictions).toHaveLength(1);
    expect(set).toMatch(/promoted|unchanged/);
    expect(later).toContain('promoted: churn version');
    const documented = await readFile(path.join(REPOSITORY, 'docs/cli.md'), 'utf8');
    expect(documented).toContain(/refit init churn .*/.exec(blocks[1]?.text ?? '')?.[0]);
  } finally {
    dev?.kill('SIGTERM');
    if (dev && dev.exitCode === null) await new Promise((resolve) => dev?.once('close', resolve));
    dev = undefined;
    project = before;
    await tutorial.remove();
  }
});
