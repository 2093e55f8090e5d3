import { describe, expect, it } from 'vitest';
import { literal } from '../../core/dataset/duckdb.ts';
import { publishSource } from '../../core/dataset/publish-source.ts';
import { declarationOf } from '../../core/dataset/sightings.ts';
import { extractSlice } from '../../core/dataset/source-file.ts';
import { validatePipeline } from '../../core/pipeline/validate.ts';
import type { BlobRef, Partition, Snapshot, SnapshotChecks } from '../../core/spec/artifacts.ts';
import type { SourceSpec } from '../../core/spec/pipeline.ts';
import type { Step } from '../../core/store/step.ts';
import { database, type Workplace, workplace } from './dataset.fixture.ts';
import { pipelineSpec } from './pipeline.fixture.ts';

const CUSTOMERS: SourceSpec = {
  format: 'csv',
  path: 'customers/*.csv',
  contract: {
    type: 'object',
    required: ['id', 'op', 'lsn', 'at', 'plan'],
    properties: {
      id: { type: 'integer' },
      op: { type: 'string' },
      lsn: { type: 'integer' },
      at: { type: 'string', format: 'date-time' },
      plan: { type: 'string' },
    },
  },
  zone: 'UTC',
  derive: {},
  maxBadShare: 0.9,
  changes: { key: ['id'], op: 'op', version: 'lsn', time: 'at' },
};

type Change = [id: number, op: string, lsn: number, at: string, plan: string | null];

/** Publishes files of change rows as a run would. @returns what is there at a time: `id plan` */
async function publish(files: Record<string, Change[]>, asOf = '2024-12-31T00:00:00Z', spec = CUSTOMERS) {
  const place = await workplace();
  const step = async <Input, Output>(one: Step<Input, Output>, input: Input) => ({
    output: await one.run(input, await place.context()),
    cached: false,
  });
  const partitions: Partition[] = [];
  for (const [name, rows] of Object.entries(files)) {
    const values = rows.map(
      ([id, op, lsn, at, plan]) =>
        `(${id}, '${op}', ${lsn}, '2024-01-${at}T00:00:00Z', ${plan === null ? 'NULL' : `'${plan}'`})`,
    );
    await place.write(
      `customers/${name}.csv`,
      `SELECT * FROM (VALUES ${values.join(', ')}) t(id, op, lsn, "at", plan)`,
    );
    partitions.push(await place.extract(`customers/${name}.csv`, extractSlice(spec)));
  }
  const found = {
    pipeline: 'p',
    source: 'customers',
    spec,
    declaration: declarationOf({}, 'customers', spec),
    asOf,
    partitions,
  };
  const { output } = await publishSource(
    { blobs: place.blobs, step },
    { ...found, seenAt: '2025-01-01T00:00:00Z' },
    { fresh: false },
  );
  return { snapshot: output, at: (time: string) => at(place, output, time) };
}

async function at({ root, blobs }: Workplace, { partitions, checks }: Snapshot, time: string) {
  const { asOf } = await blobs.json<SnapshotChecks>(checks as BlobRef);
  const files = await Promise.all(partitions.map(({ data }) => blobs.path(data)));
  const rows = await database(root, (db) =>
    db.rows<{
      row: string;
    }>(`SELECT concat_ws(' ', id, plan) AS row FROM read_parquet([${files.map(literal).join(', ')}])
      WHERE __known_0 <= TIMESTAMP '2024-01-${time}' AND __gone_at > TIMESTAMP '2024-01-${time}' AND __bad_known_at > TIMESTAMP '${asOf.slice(0, 10)}' ORDER BY id`),
  );
  return rows.map(({ row }) => row);
}

describe('change data', () => {
  it('is folded into what was so when: an update replaces, a delete ends', async () => {
    const { snapshot, at } = await publish({
      '01': [
        [1, 'insert', 1, '01', 'free'],
        [2, 'insert', 2, '02', 'free'],
      ],
      '02': [
        [1, 'U', 3, '05', 'gold'],
        [2, 'delete', 4, '06', null],
        [1, 'D', 5, '09', null],
        [2, 'c', 6, '10', 'gold'],
      ],
    });
    expect(await at('01')).toEqual(['1 free']);
    expect(await at('04')).toEqual(['1 free', '2 free']);
    expect(await at('05')).toEqual(['1 gold', '2 free']);
    expect(await at('06')).toEqual(['1 gold']);
    expect(await at('09')).toEqual([]);
    expect(await at('10')).toEqual(['2 gold']);
    expect(snapshot).toMatchObject({ rows: 1, quarantined: 0, ends: true });
  });

  it('is right out of order, and when rows come twice', async () => {
    const { at } = await publish({
      b: [
        [1, 'u', 3, '03', 'gold'],
        [1, 'u', 2, '04', 'never'],
        [2, 'd', 9, '08', null],
      ],
      a: [
        [2, 'i', 8, '09', 'never'],
        [1, 'i', 1, '01', 'free'],
        [1, 'u', 3, '05', 'gold'],
        [1, 'i', 1, '06', 'free'],
      ],
    });
    expect(await at('02')).toEqual(['1 free']);
    for (const day of ['03', '04', '05', '06', '30']) expect(await at(day)).toEqual(['1 gold']);
  });

  it('lays aside what is no change, and lets it end nothing', async () => {
    const { snapshot, at } = await publish({
      a: [
        [1, 'insert', 1, '01', 'free'],
        [1, 'upsurt', 2, '02', 'gold'],
        [1, 'update', 3, '03', null],
      ],
    });
    expect(snapshot.rules).toEqual([
      { rule: 'op: insert, update or delete', column: 'op', count: 1 },
      { rule: 'plan: required', column: 'plan', count: 1 },
    ]);
    expect(await at('30')).toEqual(['1 free']);
  });

  it('counts a row that turns out to be broken until that is known, and then never did', async () => {
    const checked = {
      ...CUSTOMERS,
      contract: {
        ...CUSTOMERS.contract,
        properties: { ...(CUSTOMERS.contract.properties as object), plan: { type: 'string', enum: ['free', 'gold'] } },
      },
      derive: { heard: '"at" + INTERVAL 5 DAY' },
      knownAt: { '*': '"at"', plan: 'heard' },
    } as SourceSpec;
    const rows: Change[] = [
      [1, 'insert', 1, '01', 'free'],
      [1, 'update', 2, '03', 'golden'],
    ];
    const before = await publish({ a: rows }, '2024-01-07T00:00:00Z', checked);
    expect(before.snapshot).toMatchObject({ rows: 1, quarantined: 0 });
    expect([await before.at('02'), await before.at('04')]).toEqual([['1 free'], ['1 golden']]);
    const after = await publish({ a: rows }, '2024-01-08T00:00:00Z', checked);
    expect(after.snapshot).toMatchObject({ rows: 1, quarantined: 1 });
    expect([await after.at('02'), await after.at('09')]).toEqual([['1 free'], ['1 free']]);
  });

  it('has to say what names an entity and when a change was known', () => {
    const with_ = (changes: object) => {
      const pipeline = pipelineSpec();
      const [name = ''] = Object.keys(pipeline.sources);
      const source = { ...CUSTOMERS, ...pipeline.sources[name], contract: CUSTOMERS.contract, changes };
      return () => validatePipeline({ ...pipeline, sources: { ...pipeline.sources, [name]: source } }, 'pipeline.ts');
    };
    expect(with_({ key: ['ide'], time: 'at' })).toThrow(/names "ide".*did you mean "id"/);
    expect(with_({ key: ['id'], op: 'op' })).toThrow(/needs a version or a time/);
    expect(with_({ key: [], time: 'at' })).toThrow(/changes\.key/);
  });
});
