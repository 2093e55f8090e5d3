import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { viewDigest } from '../../core/features/view-digest.ts';
import { traceLineage } from '../../core/registry/lineage.ts';
import { traceImpact } from '../../core/registry/lineage-impact.ts';
import { pauseModel } from '../../core/registry/operator-moves.ts';
import { promote } from '../../core/registry/routing.ts';
import { registerVersion } from '../../core/registry/versions.ts';
import { RefitError } from '../../core/spec/errors.ts';
import type { FeatureView } from '../../core/spec/pipeline.ts';
import { createBlobStore } from '../../core/store/blobs.ts';
import { sha256 } from '../../core/store/digest.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';
import type { BlobStore, ObjectStore } from '../../core/store/ports.ts';
import { decision, versionDraft } from './registry.fixture.ts';

let root: string;
let objects: ObjectStore;
let blobs: BlobStore;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'refit-lineage-'));
  objects = createFolderStore(root);
  blobs = createBlobStore(objects);
});
afterEach(() => rm(root, { recursive: true, force: true }));

const put = (key: string, value: unknown) => objects.put(key, new TextEncoder().encode(JSON.stringify(value)));
const raw = (name: string, state = 1) => sha256(`raw ${name} ${state}`);
const data = (name: string, state = 1) => sha256(`data ${name} ${state}`);

/** A file that was read, in one of the states that it has had. */
async function extract(source: string, name: string, state = 1): Promise<void> {
  const file = { name, sha256: raw(name, state) };
  const record = { input: { source, file }, output: { data: { sha256: data(name, state) }, rows: 10 } };
  await put(`steps/extract-partition/${sha256(`${source}${name}${state}`)}.json`, record);
}

type Files = Record<string, number>;
const snapshotId = (source: string, files: Files) => sha256(`${source} ${JSON.stringify(files)}`);

async function snapshot(source: string, files: Files): Promise<string> {
  const id = snapshotId(source, files);
  const partitions = Object.entries(files).map(([name, state]) => ({ name, data: { sha256: data(name, state) } }));
  await put(`datasets/${source}/${id}/manifest.json`, { source, id, columns: [], partitions });
  return id;
}

const weatherView: FeatureView = {
  ...{ kind: 'latest', name: 'weather_by_origin', source: 'weather', by: { origin: 'origin' } },
  fields: [{ name: 'temp', expr: 'temp' }],
};
const flightsView: FeatureView = {
  ...{ kind: 'fields', name: 'flights_fields', source: 'flights' },
  fields: [{ name: 'distance', expr: 'distance' }],
};

/** What a run leaves: snapshots, a training set, and a version if one is asked for. */
async function run(sources: Record<string, Files>, asOf: string, model?: string): Promise<string> {
  const trainingSet = sha256(`set ${JSON.stringify(sources)} ${asOf}`);
  const snapshots: Record<string, { id: string }> = {};
  for (const [source, files] of Object.entries(sources)) snapshots[source] = { id: await snapshot(source, files) };
  const views = [flightsView, ...('weather' in sources ? [weatherView] : [])];
  await put(`steps/build-training-set/${trainingSet}.json`, {
    input: { asOf, spine: { source: 'flights' }, views, snapshots },
    output: { digest: trainingSet, rows: { train: 5, validate: 2, test: 3 } },
  });
  if (model === undefined) return trainingSet;
  const draft = await versionDraft(blobs, trainingSet, { model });
  const lineage = Object.entries(sources).map(([source, files]) => [
    source,
    {
      snapshot: snapshotId(source, files),
      partitions: Object.entries(files).map(([name, state]) => ({ name, sha256: data(name, state) })),
    },
  ]);
  const sourcesOf = Object.fromEntries(lineage) as (typeof draft)['lineage']['sources'];
  await registerVersion(blobs, { ...draft, asOf, lineage: { ...draft.lineage, trainingSet, sources: sourcesOf } });
  return trainingSet;
}

describe('a store with two models', () => {
  const january = 'data/flights/2013-01.parquet';
  const february = 'data/flights/2013-02.parquet';
  const weather = 'data/weather.parquet';
  let sets: string[];
  beforeEach(async () => {
    for (const name of [january, february]) await extract('flights', name);
    await extract('flights', february, 2);
    await extract('weather', weather);
    sets = [
      await run({ flights: { [january]: 1 }, weather: { [weather]: 1 } }, '2013-02-01T00:00:00Z', 'delays'),
      await run({ flights: { [january]: 1, [february]: 1 } }, '2013-03-01T00:00:00Z', 'delays'),
      await run({ flights: { [january]: 1, [february]: 2 } }, '2013-03-02T00:00:00Z', 'cancellations'),
      // No version came of this one.
      await run({ flights: { [january]: 1 }, weather: { [weather]: 1 } }, '2013-02-15T00:00:00Z'),
    ];
    await promote(objects, decision(1, { model: 'delays' }));
  });
  const impact = (text: string, aliases: string[] = []) => traceImpact(objects, text, aliases);
  const names = (models: { model: string; version: number }[]) => models.map((one) => `${one.model}@${one.version}`);

  test('back: from a version through views and snapshots to the bytes of the files', async () => {
    const tree = await traceLineage(objects, 'delays', 1);
    expect(tree.trainingSet).toEqual({
      digest: sets[0],
      rows: { train: 5, validate: 2, test: 3 },
      spine: 'flights',
    });
    expect(tree.views).toEqual([
      expect.objectContaining({ name: 'flights_fields', kind: 'fields', digest: viewDigest(flightsView) }),
      expect.objectContaining({ name: 'weather_by_origin', snapshot: snapshotId('weather', { [weather]: 1 }) }),
    ]);
    expect(tree.sources.find(({ source }) => source === 'weather')?.partitions).toEqual([
      { name: weather, sha256: data(weather), rows: 10, raw: [raw(weather)], folded: [] },
    ]);
  });

  test('forwards: one file, all that was ever made of it, and who must be trained again', async () => {
    const all = await impact(january);
    expect(all.from).toEqual({ kind: 'file', name: january });
    expect(all.trainingSets.map(({ digest }) => digest)).toEqual([sets[0], sets[3], sets[1], sets[2]]);
    expect(names(all.models)).toEqual(['cancellations@1', 'delays@1', 'delays@2']);
    expect(all.retrain).toEqual(['delays']);
    expect(all.trainingSets[1]?.models).toEqual([]);
  });

  test('forwards: only what came of those very bytes, where a digest says which', async () => {
    expect(names((await impact(february)).models)).toEqual(['cancellations@1', 'delays@2']);
    const corrected = await impact(raw(february, 2).slice(0, 12));
    expect(corrected.from).toEqual({ kind: 'file', name: raw(february, 2) });
    expect(names(corrected.models)).toEqual(['cancellations@1']);
    expect(corrected.retrain).toEqual([]);
    expect(names((await impact(`sha256:${data(february, 1)}`)).models)).toEqual(['delays@2']);
  });

  test.each([
    ['the end of a path', () => '2013-02.parquet', ['cancellations@1', 'delays@2']],
    ['a source', () => 'weather', ['delays@1']],
    ['a view by name', () => 'weather_by_origin', ['delays@1']],
    ['a view by digest', () => viewDigest(weatherView), ['delays@1']],
    ['a snapshot', () => `snapshot:${snapshotId('weather', { [weather]: 1 }).slice(0, 8)}`, ['delays@1']],
    ['a training set', () => sets[1] ?? '', ['delays@2']],
    ['a version', () => 'delays@2', ['delays@2']],
  ])('forwards from %s', async (_, text, expected) => {
    expect(names((await impact(text())).models)).toEqual(expected);
  });

  test('another spelling of a file is taken where the first means nothing', async () => {
    expect((await impact('/home/ada/project/x.parquet', ['x.parquet', january])).from.name).toBe(january);
    expect((await impact('/elsewhere/copy.parquet', [raw(weather)])).models).toHaveLength(1);
  });

  test('what nothing came from is said to be so, with the nearest name', async () => {
    await expect(impact('2013-03.parquet')).rejects.toMatchObject({
      code: 'REFIT_LINEAGE_UNKNOWN',
      message: expect.stringMatching(/did you mean "2013-0[12].parquet"/) as string,
    });
    await expect(impact('abcdef0123456789')).rejects.toMatchObject({ code: 'REFIT_LINEAGE_UNKNOWN' });
    await expect(impact('view:weather')).rejects.toMatchObject({ code: 'REFIT_LINEAGE_UNKNOWN' });
  });

  test('what may be several things is refused with all of them, and each can be named', async () => {
    await extract('other', 'archive/2013-01.parquet');
    await expect(impact('2013-01.parquet')).rejects.toMatchObject({
      code: 'REFIT_LINEAGE_AMBIGUOUS',
      details: { found: ['file:archive/2013-01.parquet', `file:${january}`] },
    });
    expect((await impact(`file:${january}`)).models).toHaveLength(3);
    expect((await impact('file:archive/2013-01.parquet')).models).toEqual([]);
  });

  test('records that are broken or gone hide no version', async () => {
    await put('steps/extract-partition/half.json', { input: null });
    await objects.put('steps/build-training-set/broken.json', new TextEncoder().encode('{'));
    for await (const key of objects.list('steps/build-training-set/')) await objects.delete(key);
    expect(names((await impact(january)).models)).toEqual(['cancellations@1', 'delays@1', 'delays@2']);
    expect((await traceLineage(objects, 'delays', 1)).trainingSet.rows).toBeNull();
  });
});

describe('what was folded', () => {
  const [first, second] = ['logs/a.csv', 'logs/b.csv'];
  const part = (name: string, state = 1) => ({ name, data: { sha256: data(name, state) } });
  /** A file that was corrected, folded with its first state, and the change rows of it and another file folded again. */
  beforeEach(async () => {
    for (const [name, state] of [
      [first, 1],
      [first, 2],
      [second, 1],
    ] as const)
      await extract('prices', name, state);
    await put('steps/fold-versions/x.json', {
      input: { source: 'prices', versions: [{ partition: part(first, 1) }, { partition: part(first, 2) }] },
      output: { ...part(first, 12), rows: 11 },
    });
    await put('steps/fold-changes/x.json', {
      input: { source: 'prices', partitions: [part(first, 12), part(second)] },
      output: { ...part('prices (changes folded)'), rows: 7 },
    });
    await run({ prices: { 'prices (changes folded)': 1 } }, '2013-02-01T00:00:00Z', 'delays');
    await promote(objects, decision(1, { model: 'delays' }));
  });

  test('back: every file and state of a file that it was folded from', async () => {
    const [source] = (await traceLineage(objects, 'delays', 1)).sources;
    expect(source?.partitions).toEqual([
      {
        ...{ name: 'prices (changes folded)', sha256: data('prices (changes folded)'), rows: 7 },
        raw: [raw(first, 1), raw(first, 2), raw(second)].sort(),
        folded: [
          { name: first, sha256: data(first, 1), rows: 10, raw: [raw(first, 1)] },
          { name: first, sha256: data(first, 2), rows: 10, raw: [raw(first, 2)] },
          { name: second, sha256: data(second), rows: 10, raw: [raw(second)] },
        ],
      },
    ]);
  });

  test.each([
    ['a file', second],
    ['a file that was corrected', first],
    ['the first bytes of it', raw(first, 1)],
    ['the end of a path', 'b.csv'],
    ['what was extracted', data(second)],
    ['what was folded', data(first, 12)],
  ])('forwards from %s to the model that serves', async (_, text) => {
    const impact = await traceImpact(objects, text);
    expect(impact.retrain).toEqual(['delays']);
    expect(impact.partitions.at(-1)?.name).toBe('prices (changes folded)');
  });

  test('a fold that names itself ends', async () => {
    const itself = { source: 'prices', partitions: [part('loop'), part(second)] };
    await put('steps/fold-changes/y.json', { input: itself, output: part('loop') });
    expect((await traceImpact(objects, second)).retrain).toEqual(['delays']);
  });
});

test('what the store knows to be damaged is passed over, and what was done by hand is no run', async () => {
  await extract('flights', 'a.parquet');
  await run({ flights: { 'a.parquet': 1 } }, '2013-02-01T00:00:00Z', 'delays');
  await promote(objects, decision(1, { model: 'delays' }));
  await pauseModel(objects, { model: 'delays', decisionId: 'by-hand/1', by: 'ada', reason: 'repairs' });
  const damaged: ObjectStore = {
    ...objects,
    get: async (key) => {
      if (key.startsWith('steps/')) throw new RefitError('REFIT_STORE_CORRUPT', `${key} is damaged.`);
      return objects.get(key);
    },
  };
  const tree = await traceLineage(damaged, 'delays', 1);
  expect(tree.runs).toHaveLength(1);
  expect(tree.runs[0]?.workflowId).not.toBe('');
  expect(tree.sources[0]?.partitions[0]).toMatchObject({ name: 'a.parquet', raw: [] });
});

test('an empty store knows of nothing', async () => {
  await expect(traceImpact(objects, 'x.parquet')).rejects.toThrow(/the store knows of nothing yet/);
});
