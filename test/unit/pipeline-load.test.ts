import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { listPipelines, loadPipeline } from '../../core/pipeline/load.ts';
import { CONTRACT, createPipelines, type PipelinesFolder, pipelineText } from './pipeline.fixture.ts';

let pipelines: PipelinesFolder;
beforeEach(async () => {
  pipelines = await createPipelines();
});
afterEach(() => pipelines.remove());

const write = (name: string, text = pipelineText(name), contract = CONTRACT) =>
  pipelines.write({ [`${name}/pipeline.ts`]: text, [`${name}/trips.schema.json`]: contract });
const load = (name: string, set?: Record<string, unknown>) => loadPipeline(pipelines.folder, name, set);

describe('a pipeline', () => {
  test('is plain JSON with its contracts read and its defaults filled in', async () => {
    await write('trips');
    const spec = await load('trips');
    expect(spec).toMatchObject({ name: 'trips', asOf: 'now', model: { trainer: 'gbdt', rounds: 50 } });
    expect(spec.sources.trips).toMatchObject({ zone: 'UTC', contract: JSON.parse(CONTRACT) });
    expect(JSON.parse(JSON.stringify(spec))).toEqual(spec);
    expect(await load('trips', { 'model.rounds': 70 })).toEqual({ ...spec, model: { ...spec.model, rounds: 70 } });
  });

  test('may be split into several files', async () => {
    await pipelines.write({ 'trips/settings.ts': 'export const model = { rounds: 33 };' });
    await write('trips', `import { model } from './settings.ts';${pipelineText('trips', 'model')}`);
    expect((await load('trips')).model.rounds).toBe(33);
  });

  test('that changed is read anew, and so are its contract and what it imports', async () => {
    await pipelines.write({ 'trips/settings.ts': 'export const model = { rounds: 33 };' });
    const importing = `import { model } from './settings.ts';${pipelineText('trips', 'model')}`;
    await write('trips', importing);
    await load('trips');
    await pipelines.write({ 'trips/settings.ts': 'export const model = { rounds: 34 };' });
    expect((await load('trips')).model.rounds).toBe(34);
    await write('trips', importing.replace('Late?', 'Early?'), '{ "properties": {} }');
    const changed = await load('trips');
    expect(changed.question).toBe('Early?');
    expect(changed.sources.trips?.contract).toEqual({ properties: {} });
  });

  test('can be loaded several times at once, and beside another', async () => {
    await write('trips');
    await write('tours', pipelineText('tours', '{ rounds: 60 }'));
    const loaded = await Promise.all(['trips', 'tours', 'trips', 'tours'].map((name) => load(name)));
    expect(loaded.map(({ name, model }) => [name, model.rounds])).toEqual([
      ['trips', 50],
      ['tours', 60],
      ['trips', 50],
      ['tours', 60],
    ]);
  });

  test('sees nothing of the environment', async () => {
    await write('trips', pipelineText('trips').replace("'Late?'", 'String(process.env.HOME ?? process.env.PATH)'));
    expect((await load('trips')).question).toBe('undefined');
  });
});

test('pipelines are listed by name: folders with a pipeline.ts', async () => {
  expect(await listPipelines(`${pipelines.folder}/nowhere`)).toEqual([]);
  await write('trips');
  await write('tours');
  await pipelines.write({ 'notes/readme.md': 'no pipeline', 'pipeline.ts': 'in no folder' });
  expect(await listPipelines(pipelines.folder)).toEqual(['tours', 'trips']);
});

describe('is refused with a sentence that names the place:', () => {
  test('an unknown name, with the one that was meant', async () => {
    await expect(load('trips')).rejects.toMatchObject({ code: 'REFIT_PIPELINE_UNKNOWN' });
    await expect(load('trips')).rejects.toThrow('that folder holds none');
    await write('trips');
    await expect(load('trip')).rejects.toThrow(/no pipeline "trip" .*did you mean "trips"\?/);
    await expect(load('../trips')).rejects.toMatchObject({ code: 'REFIT_PIPELINE_UNKNOWN' });
  });

  test.each<[string, string, RegExp]>([
    ['a syntax error', 'export default {,', /pipelines\/trips\/pipeline\.ts \(line 1\): /],
    [
      'a missing import',
      "import x from './gone.ts'; export default x;",
      /\(line 1\): Could not resolve "\.\/gone\.ts"/,
    ],
    ['no default export', 'export const pipeline = 5;', /pipelines\/trips\/pipeline\.ts.*default/],
    ['a default that is no pipeline', 'export default 5;', /does not export definePipeline/],
    ['nothing as default', 'export default null;', /does not export definePipeline/],
    ['an error of its own', "throw new Error('my own reason')", /pipeline\.ts: my own reason\.$/],
    ['a closure', pipelineText('trips', '{ rounds: (() => 5) as any }'), /"rounds" is a function: .*plain JSON/],
    ['a number that JSON has not', pipelineText('trips', '{ rounds: 1 / 0 }'), /"rounds" is Infinity: .*plain JSON/],
    ['another name than its folder', pipelineText('tours'), /name is "tours", but its folder is "trips"/],
    ['a duration that is none', pipelineText('trips').replace("'10d'", "'ten'"), /split\.test is "ten"/],
  ])('%s', async (_, text, message) => {
    await write('trips', text);
    await expect(load('trips')).rejects.toMatchObject({ code: 'REFIT_PIPELINE_INVALID' });
    await expect(load('trips')).rejects.toThrow(message);
  });

  test('a contract that is not there or is no JSON', async () => {
    await pipelines.write({ 'trips/pipeline.ts': pipelineText('trips') });
    const missing = /contract "trips\.schema\.json" of source "trips" is not beside it/;
    await expect(load('trips')).rejects.toThrow(missing);
    await write('trips', undefined, '{ "type": ');
    await expect(load('trips')).rejects.toMatchObject({
      code: 'REFIT_CONTRACT_INVALID',
      message: expect.stringContaining('trips.schema.json of source "trips" is no JSON'),
    });
  });

  test('a setting that it does not have', async () => {
    await write('trips');
    await expect(load('trips', { 'model.round': 5 })).rejects.toMatchObject({ code: 'REFIT_SET_INVALID' });
    await expect(load('trips', { 'model.rounds': '5' })).rejects.toThrow(/with --set: model\.rounds is "5"/);
  });
});
