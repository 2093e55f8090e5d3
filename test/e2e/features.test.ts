/** The views of docs/features.md on a shop's data: declared as on the page, joined to a table of somebody's, listed. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { TSchema } from 'typebox';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FeatureJoin, FeatureViewList } from '../../core/spec/cli.ts';
import { createEmptyProject, errorOf, type Project, REPOSITORY, refit } from '../support/project.ts';

let project: Project;
beforeAll(async () => {
  project = await createEmptyProject();
  await writeFile(project.path('package.json'), '{ "name": "shop", "type": "module" }\n');
  await mkdir(project.path('data'));
  await writeFile(project.path('data/orders.csv'), ORDERS);
  await writeFile(project.path('data/profiles.csv'), PROFILES);
  await writePipeline('shop');
  await writePipeline('shop-too');
});
afterAll(() => project?.remove());

/** The third order was recorded two days late; the clock of Oslo is two hours ahead of UTC. */
const ORDERS = `id,customer,channel,amount,ordered_at,recorded
1,ann,web,10,2024-05-01T10:00:00Z,2024-05-01T10:00:00Z
2,ann,shop,20,2024-05-02T10:00:00Z,2024-05-02T10:00:00Z
3,ann,web,60,2024-05-03T10:00:00Z,2024-05-05T10:00:00Z
4,bob,web,40,2024-05-03T12:00:00Z,2024-05-03T12:00:00Z
5,ann,web,30,2024-05-06T22:30:00Z,2024-05-06T22:30:00Z
`;
const PROFILES = `customer,country,since
ann,NO,2024-04-01T00:00:00Z
`;

const column = (type: string, format?: string) => ({ type, ...(format ? { format } : {}) });
const schema = (properties: object) => ({ type: 'object', properties, required: Object.keys(properties) });

async function writePipeline(name: string): Promise<void> {
  const page = await readFile(path.join(REPOSITORY, 'docs/features.md'), 'utf8');
  const features = /features: \[\n([\s\S]*?)\n\],/.exec(page)?.[1] ?? '';
  const folder = project.path('pipelines', name);
  await mkdir(folder, { recursive: true });
  const time = column('string', 'date-time');
  const text = column('string');
  const orders = {
    id: column('integer'),
    customer: text,
    channel: text,
    amount: column('number'),
    ordered_at: time,
    recorded: time,
  };
  await writeFile(path.join(folder, 'orders.json'), JSON.stringify(schema(orders)));
  await writeFile(
    path.join(folder, 'profiles.json'),
    JSON.stringify(schema({ customer: text, country: text, since: time })),
  );
  await writeFile(
    path.join(folder, 'pipeline.ts'),
    `import { calendar, csv, definePipeline, derived, fields, group, gbdt, latest, ratio, window } from 'refit/spec';
    export default definePipeline({
      name: '${name}', question: 'Does the customer spend more than 25?', asOf: 'latest',
      sources: {
        orders: csv('data/orders.csv', { contract: 'orders.json', eventTime: 'ordered_at', knownAt: { '*': 'recorded' } }),
        profiles: csv('data/profiles.csv', { contract: 'profiles.json', eventTime: 'since', knownAt: { '*': 'since' } }),
      },
      spine: { from: 'orders', key: ['id'], predictAt: 'ordered_at', label: 'amount > 25', labelKnownAt: 'recorded' },
      features: [${features}],
      split: { test: '1d', validate: '1d', train: { min: '1d', max: '9d' } },
      model: gbdt(),
    });`,
  );
}

function valid<T>(shape: TSchema, text: string): T {
  const value = JSON.parse(text) as T;
  expect(new Ajv2020({ strict: false }).validate(shape, value)).toBe(true);
  return value;
}

test('a table of customers and times gets every feature as it was known, with little memory', async () => {
  const asked = `customer,channel,amount,predict_at
ann,web,90,2024-05-04T10:00:00Z
ann,web,90,2024-05-05T12:00:00+02:00
bob,shop,5,2024-05-06T22:30:00Z
nobody,,1,2024-05-06T22:30:00Z
`;
  await writeFile(project.path('asked.csv'), asked);
  const args = ['features', 'join', '--pipeline', 'shop', '--spine', 'asked.csv', '--out', 'out.csv', '--json'];
  const { code, stdout, stderr } = await refit(project, args, { REFIT_MEMORY: '64MB' });
  expect(code, stderr + stdout).toBe(0);
  const { features, rows } = valid<FeatureJoin>(FeatureJoin, stdout);
  expect(rows).toBe(4);
  const [head, ...lines] = (await readFile(project.path('out.csv'), 'utf8')).trim().split('\n');
  expect(head?.split(',').slice(4)).toEqual(features.map(({ name }) => name).filter((name) => name !== 'channel'));
  const found = lines.map((line) => {
    const cells = line.split(',');
    return Object.fromEntries((head ?? '').split(',').map((name, i) => [name, cells[i]]));
  });
  // On the fourth the order of 60 was not known; on the fifth at noon in Oslo it just was.
  expect(found[0]).toMatchObject({
    country: 'NO',
    spent_30d: '30.0',
    p90_30d: '19.0',
    mean_of_10: '15.0',
    last_channel: 'shop',
  });
  expect(found[1]).toMatchObject({ spent_30d: '90.0', mean_of_10: '30.0', last_channel: 'web', beside_usual: '3.0' });
  expect(Number(found[0]?.days_since_profile)).toBeCloseTo(33 + 10 / 24, 4);
  expect(Number(found[1]?.channel_mean)).toBeCloseTo((10 + 60 + 40) / 3, 4);
  // Half past midnight in Oslo: Tuesday, and the order of that very moment was known.
  expect(Number(found[2]?.hour_cos)).toBe(1);
  expect(Number(found[2]?.weekday_sin)).toBeCloseTo(Math.sin((2 * Math.PI * 2) / 7), 6);
  expect(found[2]).toMatchObject({ country: '', spent_30d: '40.0', channel_mean: '20.0' });
  expect(found[3]).toMatchObject({ country: '', spent_30d: '', mean_of_10: '', channel_mean: '', beside_usual: '' });
});

test('a view that two pipelines declare alike is listed once, with both', async () => {
  const { code, stdout } = await refit(project, ['features', 'list', '--json']);
  expect(code).toBe(0);
  const { views } = valid<FeatureViewList>(FeatureViewList, stdout);
  expect(views.map(({ kind }) => kind)).toEqual([
    'fields',
    'latest',
    'window',
    'window',
    'window',
    'calendar',
    'derived',
  ]);
  for (const { pipelines } of views) expect(pipelines).toEqual(['shop', 'shop-too']);
  const file = project.path('pipelines/shop-too/pipeline.ts');
  await writeFile(file, (await readFile(file, 'utf8')).replace("over: '30d'", "over: '60d'"));
  const changed = await refit(project, ['features', 'list']);
  expect(changed.stdout).toMatch(/orders_30d_by_customer .* shop\n/);
  expect(changed.stdout).toMatch(/orders_60d_by_customer .* shop-too\n/);
});

test('an amount of memory that is none is refused', async () => {
  const args = ['features', 'join', '--pipeline', 'shop', '--spine', 'asked.csv', '--out', 'x.csv', '--json'];
  const outcome = await refit(project, args, { REFIT_MEMORY: 'lots' });
  expect(outcome.code).toBe(2);
  expect(errorOf(outcome).message).toContain('REFIT_MEMORY is "lots"');
});
