/** A pipeline with transforms and selection, as the page declares it: run, looked at, run again, asked with raw rows. */
import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withDuckDb } from '../../core/dataset/duckdb.ts';
import { openOnnxModel } from '../../core/onnx/session.ts';
import type { ModelDescription } from '../../core/spec/cli.ts';
import * as declare from '../../core/spec/define-transforms.ts';
import { fields, window } from '../../core/spec/define-views.ts';
import { startGateway } from '../integration/gateway.fixture.ts';
import { createEmptyProject, errorOf, type Project, refit, runJson } from '../support/project.ts';
import { blocksOf } from '../support/services.ts';
import { addTinyPipeline } from '../support/tiny-pipeline.ts';

let project: Project;
beforeAll(async () => {
  project = await createEmptyProject();
  await writeFile(project.path('package.json'), '{ "name": "e2e", "type": "module" }\n');
});
afterAll(() => project.remove());

async function describeModel(name: string): Promise<ModelDescription> {
  const { stdout } = await refit(project, ['model', name, '--json']);
  return JSON.parse(stdout) as ModelDescription;
}

test('the pipeline of docs/transforms.md, by the commands of the page', async () => {
  await addTinyPipeline(project, 'orders');
  const blocks = await blocksOf('docs/transforms.md');
  const declared = blocks.find(({ text }) => text.includes('definePipeline('))?.text ?? '';
  await writeFile(project.path('pipelines/orders/pipeline.ts'), declared);
  const commands = blocks.filter(({ language }) => language === 'sh').flatMap(({ text }) => text.trim().split('\n'));
  expect(commands.length).toBeGreaterThan(1);
  for (const command of commands) {
    const { code, stdout, stderr } = await refit(project, command.split(' ').slice(3));
    expect(code, `${command}\n${stdout}${stderr}`).toBe(0);
  }

  const model = await describeModel('orders');
  // Six columns are left, made of raw features; those are what the model is asked with.
  expect(model.importance).toHaveLength(6);
  const raw = ['amount', 'items', 'country'];
  expect(raw).toEqual(expect.arrayContaining(model.features.map(({ name }) => name)));
  expect(model.gates.find(({ name }) => name.startsWith('parity'))?.passed).toBe(true);
  const page = await readFile(project.path('.refit/store', model.report ?? ''), 'utf8');
  expect(page).toContain('<h2>Transforms</h2>');
  expect(page).toContain('<h2>Feature selection</h2>');

  const session = await openOnnxModel(project.path('.refit/store', model.folder, 'model.onnx'), model.features);
  const [dear, cheap, odd] = await session.predict({
    rows: 3,
    numbers: { amount: Float32Array.of(180, 5, Number.NaN), items: Float32Array.of(1, 1, 3e38) },
    categories: { country: ['pl', 'at', null] },
  });
  await session.close();
  expect(dear).toBeGreaterThan(cheap as number);
  expect(odd).toBeGreaterThan(0);

  const again = await runJson(project, ['orders']);
  expect(again.verdict).toBe('unchanged');
  expect(again.stages.slice(0, 4).map(({ cached }) => cached)).toEqual([true, true, true, true]);
});

test('trees, a search and a baseline on transformed columns', async () => {
  await addTinyPipeline(project, 'trees', {
    asOf: 'latest',
    extra: {
      transforms: [declare.targetEncode('country'), declare.log('amount')],
      select: { always: [], rounds: 20, importance: 0.01 },
      model: {
        ...{ trainer: 'gbdt', objective: 'binary', rounds: 30, chunk: 10, earlyStopping: 10, seed: 1 },
        ...{ params: { num_leaves: 7 }, resources: 'cpu' },
      },
      search: { trials: 2, batch: 2, rounds: 20, rowShare: 0.5, space: { num_leaves: { min: 3, max: 12, int: true } } },
    },
  });
  const result = await runJson(project, ['trees']);
  expect(result.verdict).toBe('promoted');
  const model = await describeModel('trees');
  // The country is a number by now, but it is asked for as a text.
  expect(model.features).toContainEqual(expect.objectContaining({ name: 'country', kind: 'category' }));
  expect(model.gates.every(({ passed }) => passed)).toBe(true);
});

test('a model with transforms is served with online features as it is offline', async () => {
  const spine = { from: 'orders', key: ['order_id'], predictAt: 'ordered_at', label: 'returned = 1' };
  await addTinyPipeline(project, 'kept', {
    asOf: 'latest',
    extra: {
      spine: { ...spine, labelKnownAt: 'ordered_at + INTERVAL 1 HOUR', online: '30d' },
      features: [
        fields('orders', ['amount', 'items', 'country']),
        window('orders', {
          name: 'of_country',
          by: { country: 'country' },
          over: '20d',
          aggregate: { spent: 'avg(amount)', orders: 'count(*)' },
        }),
      ],
      transforms: [declare.targetEncode('country'), declare.log('amount'), declare.scale('spent')],
    },
  });
  expect((await runJson(project, ['kept'])).verdict).toBe('promoted');
  const asked = ['o-1990', 'o-1995', 'o-1999'];
  const gateway = await startGateway(project.root);
  let served: { status: number; body: { predictions: { score: number }[] } };
  try {
    const instances = asked.map((id) => ({ order_id: id }));
    served = await gateway.post('/v1/models/kept:predict', { instances });
  } finally {
    await gateway.end();
  }
  expect(served.status).toBe(200);

  // The last order is of four hours before the data ends.
  const at = '2020-12-31T20:00:00Z';
  await writeFile(project.path('asked.csv'), `order_id,predict_at\n${asked.map((id) => `${id},${at}`).join('\n')}\n`);
  const join = ['features', 'join', '--pipeline', 'kept', '--spine', 'asked.csv', '--out', 'joined.csv'];
  const joined = await refit(project, join);
  expect(joined.code, joined.stdout + joined.stderr).toBe(0);
  const rows = await withDuckDb({ scratch: project.root }, (db) =>
    db.rows<Record<string, number | string>>(`SELECT * FROM '${project.path('joined.csv')}' ORDER BY order_id`),
  );
  const model = await describeModel('kept');
  const named = (kind: string) => model.features.filter((feature) => feature.kind === kind).map(({ name }) => name);
  const session = await openOnnxModel(project.path('.refit/store', model.folder, 'model.onnx'), model.features);
  const scores = await session.predict({
    rows: rows.length,
    numbers: Object.fromEntries(
      named('number').map((name) => [name, Float32Array.from(rows, (row) => Number(row[name]))]),
    ),
    categories: Object.fromEntries(named('category').map((name) => [name, rows.map((row) => String(row[name]))])),
  });
  await session.close();
  expect(named('number')).toContain('spent');
  expect(served.body.predictions.map(({ score }) => Math.fround(score))).toEqual([...scores]);
});

test('a transform that cannot be is refused before anything runs, or before anything is fitted', async () => {
  await addTinyPipeline(project, 'wrong', { extra: { transforms: [declare.scale('amont')] } });
  const unknown = await refit(project, ['run', 'wrong', '--json']);
  expect(unknown.code).toBe(2);
  expect(errorOf(unknown).message).toContain('there is no column "amont" here (did you mean "amount"?)');
  await addTinyPipeline(project, 'wrong', { asOf: 'latest', extra: { transforms: [declare.scale('country')] } });
  const kind = await refit(project, ['run', 'wrong', '--json']);
  expect(kind.code).toBe(2);
  expect(errorOf(kind).message).toContain('transforms.0: scale takes numbers, but "country" is a category');
});
