import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import { extractSlice } from '../../core/dataset/extract-partition.ts';
import { foldChanges } from '../../core/dataset/fold-changes.ts';
import { publishSource } from '../../core/dataset/publish-source.ts';
import { declarationOf } from '../../core/dataset/sightings.ts';
import { eventOf } from '../../core/openlineage/events.ts';
import { gather } from '../../core/openlineage/gather.ts';
import type { Partition, Snapshot } from '../../core/spec/artifacts.ts';
import { type LineageMoment, type LineageRun, OpenLineageEvent } from '../../core/spec/openlineage.ts';
import type { SourceSpec } from '../../core/spec/pipeline.ts';
import type { Step } from '../../core/store/step.ts';
import { workplace } from './dataset.fixture.ts';

const ORDERS: SourceSpec = {
  ...{ format: 'parquet', path: 'orders/*.parquet', zone: 'UTC', derive: {}, maxBadShare: 0.9 },
  contract: {
    type: 'object',
    required: ['id', 'lsn', 'at'],
    properties: { id: { type: 'integer' }, lsn: { type: 'integer' }, at: { type: 'string', format: 'date-time' } },
  },
  changes: { key: ['id'], version: 'lsn', time: 'at' },
};

/** A source as runs publish it, and what OpenLineage is told of its files. */
async function source() {
  const place = await workplace();
  const { blobs, root } = place;
  const step = async <Input, Output>(one: Step<Input, Output>, input: Input) => ({
    output: await one.run(input, await place.context()),
    cached: false,
  });
  const extract = async (name: string, rows: [id: number, lsn: number, day: number][]): Promise<Partition> => {
    const values = rows.map(([id, lsn, day]) => `(${id}, ${lsn}, TIMESTAMP '2024-01-0${day}')`);
    await place.write(`orders/${name}`, `SELECT * FROM (VALUES ${values.join(', ')}) t(id, lsn, "at")`);
    return place.extract(`orders/${name}`, extractSlice(ORDERS));
  };
  const publish = async (seenAt: string, partitions: Partition[]): Promise<Snapshot> => {
    const declaration = declarationOf({}, 'orders', ORDERS);
    const found = { pipeline: 'shop', source: 'orders', spec: ORDERS, declaration, asOf: '2024-06-01T00:00:00Z' };
    return (await publishSource({ blobs, step }, { ...found, partitions, seenAt }, { fresh: false })).output;
  };
  const told = async ({ id, rows, quarantined }: Snapshot) => {
    const spec = await blobs.putJson({ sources: { orders: ORDERS } });
    const run: LineageRun = {
      ...{ pipeline: 'shop', question: '?', spec, sources: ['orders'], workflowId: 'train/shop/x' },
      runId: '01a1fda0-c6ed-7879-ba12-c892c6282555',
    };
    const moment: LineageMoment = {
      ...{ type: 'COMPLETE', stage: 'extract', at: '2024-06-01T00:00:01.000Z', asOf: '2024-06-01T00:00:00Z' },
      facts: { snapshots: { orders: { id, rows, quarantined } } },
    };
    const deps = { blobs, root, scratch: root, version: '1.2.3', namespace: 'refit' };
    const event = eventOf(run, moment, await gather(run, moment, deps));
    const isEvent = new Ajv2020({ strict: false, validateFormats: false }).compile(OpenLineageEvent);
    expect(isEvent(event), JSON.stringify(isEvent.errors)).toBe(true);
    return event;
  };
  return { place, extract, publish, told };
}

const stateOf = ({ name, raw, data }: Partition) => ({ name, sha256: raw, partition: data.sha256 });

test('OpenLineage is told every raw file that change data was folded of, and every state of one that was corrected', async () => {
  const { place, extract, publish, told } = await source();
  const first = await extract('a.parquet', [
    [1, 1, 1],
    [2, 1, 1],
  ]);
  const other = await extract('b.parquet', [[1, 2, 3]]);
  await publish('2024-02-01T00:00:00Z', [first, other]);
  const corrected = await extract('a.parquet', [[1, 1, 1]]);
  const event = await told(await publish('2024-03-01T00:00:00Z', [corrected, other]));
  expect(event.inputs[0]?.facets?.refit_partitions).toMatchObject({
    files: 3,
    partitions: [first, corrected, other].map(stateOf),
  });
  const locations = ['a.parquet', 'b.parquet'].map((name) => `${place.root}/orders/${name}`);
  expect(event.inputs[0]?.inputFacets?.subset).toMatchObject({ inputCondition: { locations } });
  // One Parquet file holds them all.
  expect(event.outputs[0]?.outputFacets?.outputStatistics).toMatchObject({ fileCount: 1 });
});

test('of a fold of very many files the first thousand are told, and how many there are', async () => {
  const { place, extract } = await source();
  const one = await extract('a.parquet', [[1, 1, 1]]);
  const many = Array.from({ length: 1_500 }, (_, i) => ({ name: `f${i}`, raw: `${i}` }));
  const before: Partition = {
    ...one,
    folded: { files: 1_500, first: many.slice(0, 1_000).map((file) => ({ ...file, data: one.data.sha256 })) },
  };
  const input = {
    source: 'orders',
    partitions: [before, { ...one, name: 'z' }],
    changes: { key: ['id'], version: 'lsn' },
  };
  const { folded } = await foldChanges.run(input, await place.context());
  expect(folded).toMatchObject({ files: 1_501, first: before.folded?.first });
  expect(folded?.first).toHaveLength(1_000);
});
