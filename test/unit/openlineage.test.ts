import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createOpenLineageActivities } from '../../activities/openlineage.ts';
import type { Refit } from '../../core/compose/refit.ts';
import { withDuckDb } from '../../core/dataset/duckdb.ts';
import { snapshotLineage, trainingSetLineage } from '../../core/openlineage/column-lineage.ts';
import { inStore, rawName } from '../../core/openlineage/datasets.ts';
import { openLineageOf, send } from '../../core/openlineage/destination.ts';
import { type EventContext, eventOf } from '../../core/openlineage/events.ts';
import { ownSchemaId, uuidOf } from '../../core/openlineage/facets.ts';
import { gather } from '../../core/openlineage/gather.ts';
import {
  type LineageMoment,
  type LineageRun,
  OpenLineageEvent,
  RefitModelDatasetFacet,
  RefitPartitionsDatasetFacet,
  RefitRunFacet,
} from '../../core/spec/openlineage.ts';
import type { FeatureView, SourceSpec, SpineSpec } from '../../core/spec/pipeline.ts';
import { createBlobStore } from '../../core/store/blobs.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';
import { mockActivity } from '../support/activity-context.ts';

let folder: string;
let server: Server | undefined;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'refit-openlineage-'));
});
afterEach(async () => {
  await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()));
  server = undefined;
  await rm(folder, { recursive: true, force: true });
});

const run: LineageRun = {
  ...{ pipeline: 'churn', question: 'Will they leave?', sources: ['orders'], workflowId: 'train/churn/x' },
  ...{ spec: { uri: 'blobs/x', sha256: 'a'.repeat(64), bytes: 1 }, runId: '01a1fda0-c6ed-7879-ba12-c892c6282555' },
};
const moment: LineageMoment = {
  ...{ type: 'COMPLETE', stage: 'features', at: '2021-01-01T00:00:01.000Z', asOf: '2021-01-01T00:00:00Z' },
  facts: {
    snapshots: { orders: { id: 's1', rows: 10, quarantined: 0 } },
    trainingSet: {
      ...{ digest: 'd1', bytes: 100, rows: 9 },
      features: [{ name: 'amount', kind: 'number', view: 'orders_fields' }],
    },
  },
};
const context: EventContext = {
  ...{ version: '1.2.3', namespace: 'refit', store: 'file:/data/store', root: '/data', spec: { sources: {} } },
  snapshots: {
    orders: { columns: [{ name: 'amount', type: 'DOUBLE', known: [] }], partitions: 0, raw: { files: 0, first: [] } },
  },
};
const event = eventOf(run, moment, context);
const never = new AbortController().signal;
const isEvent = new Ajv2020({ strict: false, validateFormats: false }).compile(OpenLineageEvent);

describe('an event', () => {
  test('has the shape of OpenLineage 2-0-2, and the same moment makes the same event', () => {
    expect(isEvent(event), JSON.stringify(isEvent.errors)).toBe(true);
    expect(eventOf(run, moment, context)).toEqual(event);
    expect(event).toMatchObject({
      eventType: 'COMPLETE',
      eventTime: '2021-01-01T00:00:01.000Z',
      job: { namespace: 'refit', name: 'churn.features' },
      run: { runId: uuidOf(run.runId, 'features'), facets: { parent: { run: { runId: run.runId } } } },
      inputs: [
        { namespace: 'file', name: '/data/store/datasets/orders', facets: { version: { datasetVersion: 's1' } } },
      ],
      outputs: [{ name: '/data/store/training-sets/churn', outputFacets: { outputStatistics: { rowCount: 9 } } }],
    });
  });

  test('of the run itself bears the run id of Temporal; one that failed says why', () => {
    const failed = eventOf(run, { ...moment, stage: null, type: 'FAIL', reason: 'REFIT_WINDOW_EMPTY: none' }, context);
    expect(failed.run.runId).toBe(run.runId);
    expect(failed.run.facets).toMatchObject({ errorMessage: { message: 'REFIT_WINDOW_EMPTY: none' } });
    expect(failed.outputs).toEqual([]);
  });

  test.each([
    ['RefitRunFacet', RefitRunFacet],
    ['RefitPartitionsDatasetFacet', RefitPartitionsDatasetFacet],
    ['RefitModelDatasetFacet', RefitModelDatasetFacet],
  ])('its own facet %s is described in docs/openlineage', async (name, schema) => {
    const file = new URL(`../../docs/openlineage/${name}-1-0-0.json`, import.meta.url);
    const published = JSON.parse(await readFile(file, 'utf8')) as { $id: string; $defs: Record<string, unknown> };
    expect(published.$id).toBe(ownSchemaId(name));
    expect(published.$defs[name]).toEqual(JSON.parse(JSON.stringify(schema)));
  });

  test('names are those of files and buckets', () => {
    expect(inStore('s3://bucket/prefix', 'datasets/a')).toEqual({
      namespace: 's3://bucket',
      name: 'prefix/datasets/a',
    });
    expect(inStore('file:/x/store', 'datasets/a')).toEqual({ namespace: 'file', name: '/x/store/datasets/a' });
    expect(rawName('/p', 'churn', 'orders', undefined)).toEqual({ namespace: 'refit', name: 'churn/sources/orders' });
    expect(uuidOf('a', 'b')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});

describe('column lineage', () => {
  const spine = { source: 'orders', key: ['id'], predictAt: 'seen_at', label: 'paid > 3' } as unknown as SpineSpec;
  const columns = ['id', 'seen_at', 'paid', 'amount', 'shop'].map((name) => ({ name, type: 'DOUBLE', known: [] }));
  const shops = ['shop', 'opened', 'size'].map((name) => ({ name, type: 'DOUBLE', known: [] }));
  const lineageOf = (views: FeatureView[], features: { name: string; view: string }[]) =>
    withDuckDb({ scratch: folder }, (db) =>
      trainingSetLineage(
        db,
        { spine, features: views },
        features.map((one) => ({ ...one, kind: 'number' as const })),
        { orders: { columns }, shops: { columns: shops } },
        (source) => ({ namespace: 'n', name: source }),
      ),
    );
  const fieldsOf = (entry: { inputFields: { name: string; field: string }[] } | undefined) =>
    entry?.inputFields.map(({ name, field }) => `${name}.${field}`);

  test('tells values from what they were joined by, and aggregates from values', async () => {
    const lineage = await lineageOf(
      [
        { kind: 'fields', name: 'own', source: 'orders', fields: [{ name: 'log_amount', expr: 'ln(amount + paid)' }] },
        {
          kind: 'latest',
          name: 'shop',
          source: 'shops',
          by: { shop: 'shop' },
          fields: [{ name: 'size', expr: 'size' }],
        },
        {
          ...{ kind: 'window', name: 'recent', source: 'orders', by: { shop: 'shop' }, over: '2h' },
          aggregate: [{ name: 'mean_paid', fn: 'avg', expr: 'paid' }],
        },
      ],
      [
        { name: 'log_amount', view: 'own' },
        { name: 'size', view: 'shop' },
        { name: 'mean_paid', view: 'recent' },
      ],
    );
    expect(fieldsOf(lineage.log_amount)).toEqual(['orders.amount', 'orders.paid']);
    expect(fieldsOf(lineage.size)).toEqual(['shops.size', 'orders.shop', 'shops.shop']);
    expect(lineage.mean_paid?.inputFields[0]).toMatchObject({
      field: 'paid',
      transformations: [{ type: 'DIRECT', subtype: 'AGGREGATION', description: 'avg(paid) over 2h' }],
    });
    expect(fieldsOf(lineage.__label)).toEqual(['orders.paid']);
  });

  test('claims nothing of what it cannot tell', async () => {
    const views = [{ kind: 'fields', name: 'own', source: 'orders', fields: [{ name: 'a', expr: 'nowhere + 1' }] }];
    const odd = { kind: 'of-another-version', name: 'odd', source: 'orders' };
    const lineage = await lineageOf([...views, odd] as FeatureView[], [
      { name: 'a', view: 'own' },
      { name: 'b', view: 'odd' },
      { name: 'c', view: 'unheard-of' },
    ]);
    expect(Object.keys(lineage).sort()).toEqual(['__label', 'id', 'predict_at']);
  });

  test('goes through features made of features, and knows where the calendar is from', async () => {
    const lineage = await lineageOf(
      [
        { kind: 'fields', name: 'own', source: 'orders', fields: [{ name: 'a', expr: 'amount' }] },
        { kind: 'fields', name: 'more', source: 'orders', fields: [{ name: 'b', expr: 'paid' }] },
        { kind: 'derived', name: 'made', fields: [{ name: 'share', op: 'ratio', of: ['a', 'b'] }] },
        { kind: 'calendar', name: 'when', zone: 'UTC', parts: [{ name: 'hour', part: 'hour', cyclical: true }] },
      ],
      [
        { name: 'a', view: 'own' },
        { name: 'b', view: 'more' },
        { name: 'share', view: 'made' },
        { name: 'hour_sin', view: 'when' },
      ],
    );
    expect(fieldsOf(lineage.share)).toEqual(['orders.amount', 'orders.paid']);
    expect(fieldsOf(lineage.hour_sin)).toEqual(['orders.seen_at']);
  });

  test('goes through derived columns back to those of the file', async () => {
    const spec = { derive: { total: 'amount + paid', half: 'total / 2' } } as unknown as SourceSpec;
    const derived = [
      ...columns,
      { name: 'total', type: 'DOUBLE', known: [] },
      { name: 'half', type: 'DOUBLE', known: [] },
    ];
    const raw = { namespace: 'file', name: '/data/orders.csv' };
    const lineage = await withDuckDb({ scratch: folder }, (db) => snapshotLineage(db, raw, spec, derived));
    expect(fieldsOf(lineage.half)).toEqual(['/data/orders.csv.amount', '/data/orders.csv.paid']);
    expect(fieldsOf(lineage.shop)).toEqual(['/data/orders.csv.shop']);
  });
});

test('of all that was ever extracted, only what the run names is read', async () => {
  const listed: string[] = [];
  const folderStore = createFolderStore(folder);
  const blobs = createBlobStore({
    ...folderStore,
    list: (prefix) => {
      listed.push(prefix);
      return folderStore.list(prefix);
    },
  });
  const spec = await blobs.putJson({ sources: {} });
  const deps = { blobs, root: folder, scratch: folder, version: '1.2.3', namespace: 'refit' };
  const data = await blobs.putJson('rows');
  const partitions = [
    { name: 'a.csv', raw: 'f'.repeat(64), data },
    { name: 'of an older Refit', data },
  ].map((one) => ({ ...one, rows: 1, badRows: 0, rules: [] }));
  const manifest = { source: 'orders', id: 's1', columns: [], partitions };
  await blobs.objects.put('datasets/orders/s1/manifest.json', Buffer.from(JSON.stringify(manifest)));
  const { snapshots } = await gather({ ...run, spec }, { ...moment, type: 'START' }, deps);
  expect(snapshots.orders?.raw).toEqual({
    files: 2,
    first: [
      { name: 'a.csv', raw: 'f'.repeat(64), data: data.sha256 },
      { name: 'of an older Refit', data: data.sha256 },
    ],
  });
  expect(listed).toEqual([]);
});

describe('a file', () => {
  const lines = async (file: string) => (await readFile(file, 'utf8')).trimEnd().split('\n');

  test('gets one line an event, once however often it is tried, and keeps clear of a torn line', async () => {
    const destination = { kind: 'file' as const, path: path.join(folder, 'deep/events.jsonl') };
    await send(event, destination, { signal: never, again: false });
    await send(event, destination, { signal: never, again: true });
    expect(await lines(destination.path)).toEqual([JSON.stringify(event)]);
    await appendFile(destination.path, '{"eventType":"STA');
    const other = { ...event, eventType: 'FAIL' as const };
    await Promise.all([other, other].map(() => send(other, destination, { signal: never, again: false })));
    expect((await lines(destination.path)).slice(0, 3)).toEqual([
      JSON.stringify(event),
      '{"eventType":"STA',
      JSON.stringify(other),
    ]);
  });

  test('that cannot be written is told', async () => {
    await expect(send(event, { kind: 'file', path: folder }, { signal: never, again: false })).rejects.toMatchObject({
      code: 'REFIT_OPENLINEAGE_FAILED',
      retryable: true,
    });
  });
});

describe('an endpoint', () => {
  async function receiver(status: number) {
    const received: { url: string | undefined; headers: IncomingHttpHeaders; body: string }[] = [];
    server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        received.push({ url: request.url, headers: request.headers, body: Buffer.concat(chunks).toString() });
        response.writeHead(status).end();
      });
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    return { received, address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
  }

  test('is given the event, with the key', async () => {
    const { received, address } = await receiver(201);
    const found = openLineageOf('/p', { REFIT_OPENLINEAGE: address, REFIT_OPENLINEAGE_API_KEY: 'hush' });
    if (!found) throw new Error('no destination');
    await send(event, found.destination, { signal: never, again: false });
    expect(received[0]).toMatchObject({ url: '/api/v1/lineage', headers: { authorization: 'Bearer hush' } });
    expect(JSON.parse(received[0]?.body ?? '')).toEqual(JSON.parse(JSON.stringify(event)));
  });

  test('that refuses, or is not there, is told without its address', async () => {
    const { address } = await receiver(500);
    const destination = { kind: 'http' as const, url: `${address}/x?token=hush`, apiKey: undefined };
    await expect(send(event, destination, { signal: never, again: false })).rejects.toThrow(/answers 500/);
    await new Promise<void>((resolve) => server?.close(() => resolve()));
    server = undefined;
    const refused = send(event, destination, { signal: never, again: false });
    await expect(refused).rejects.toThrow(/does not answer \(ECONNREFUSED\)/);
    await expect(refused).rejects.not.toThrow(/hush/);
  });
});

test('an event that its receiver will never take is given up; any other failure is tried again', async () => {
  const destination = { kind: 'http' as const, url: '', apiKey: undefined };
  const answers: number[] = [];
  server = createServer((_, response) => void response.writeHead(answers.shift() ?? 200).end());
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  destination.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/x?token=hush`;
  const blobs = createBlobStore(createFolderStore(folder));
  const spec = await blobs.putJson({ sources: {} });
  const openLineage = { namespace: 'refit', destination };
  const refit = { blobs, places: { root: folder, state: folder }, openLineage, version: '1' } as unknown as Refit;
  const { emitLineage } = createOpenLineageActivities(refit);
  const tell = (status: number) => {
    answers.push(status);
    return mockActivity().run(() =>
      emitLineage({ run: { ...run, spec }, moment: { ...moment, stage: null, facts: {} } }),
    );
  };
  for (const status of [400, 410, 413, 422]) {
    const { origin } = new URL(destination.url);
    const refused = `The receiver of OpenLineage events at ${origin} answers ${status}.`;
    expect(await tell(status)).toEqual({ refused });
  }
  for (const status of [401, 403, 404, 408, 429, 500, 503])
    await expect(tell(status)).rejects.toMatchObject({ retryable: true });
  expect(await tell(201)).toBe(true);
});

test.each([
  [undefined, undefined],
  ['', undefined],
  ['file:events.jsonl', { kind: 'file', path: '/p/events.jsonl' }],
  ['file:///var/events.jsonl', { kind: 'file', path: '/var/events.jsonl' }],
  ['https://marquez.example/own/path', { kind: 'http', url: 'https://marquez.example/own/path', apiKey: undefined }],
])('REFIT_OPENLINEAGE=%s', (address, expected) => {
  expect(openLineageOf('/p', address === undefined ? {} : { REFIT_OPENLINEAGE: address })?.destination).toEqual(
    expected,
  );
});

test.each(['events.jsonl', 'file:', 'ftp://x', 'http://ada:secret@host'])(
  'REFIT_OPENLINEAGE=%s is refused',
  (address) => {
    expect(() => openLineageOf('/p', { REFIT_OPENLINEAGE: address })).toThrow(/REFIT_OPENLINEAGE/);
  },
);
