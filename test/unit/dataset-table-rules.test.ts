import { describe, expect, it } from 'vitest';
import { compileContract } from '../../core/dataset/contract.ts';
import { type JudgementInput, judgeSnapshot } from '../../core/dataset/judge-snapshot.ts';
import { publishSnapshot } from '../../core/dataset/publish-snapshot.ts';
import { requireContracts } from '../../core/dataset/require-contracts.ts';
import { unionColumns } from '../../core/dataset/snapshot-columns.ts';
import type { BlobRef, Partition, RuleResult, SnapshotChecks } from '../../core/spec/artifacts.ts';
import type { PipelineSpec } from '../../core/spec/pipeline.ts';
import { type Workplace, workplace } from './dataset.fixture.ts';

/** Readings of two sensors, one an hour; the value is known an hour after it was read, and is missing for ever where NULL. */
const READINGS = (from: number, to: number) => `SELECT i AS id, 's' || i % 2 AS sensor,
  TIMESTAMP '2020-01-01' + to_hours(i::INTEGER) AS read_at, CASE WHEN i % 10 <> 3 THEN i::DOUBLE END AS value
  FROM range(${from}, ${to}) r(i)`;
const SPEC = {
  eventTime: 'read_at',
  knownAt: { '*': 'read_at', value: 'CASE WHEN value IS NOT NULL THEN read_at + INTERVAL 1 HOUR END' },
};
const ROWS = {
  id: { type: 'integer' },
  sensor: { type: 'string' },
  read_at: { type: 'string', format: 'date-time' },
  value: { type: ['number', 'null'] },
};
type Rules = Partial<Record<keyof typeof ROWS, object>>;
const contractOf = (rules: Rules, root: object = {}) => ({
  ...root,
  'x-unique': ['id'],
  properties: Object.fromEntries(
    Object.entries(ROWS).map(([name, one]) => [name, { ...one, ...rules[name as keyof typeof ROWS] }]),
  ),
});

async function readings(place: Workplace, contract: object = contractOf({})): Promise<Partition[]> {
  const spec = { ...SPEC, contract: contract as Record<string, unknown> };
  const first = await place.extract(await place.write('d/1.parquet', READINGS(0, 50)), spec);
  return [first, await place.extract(await place.write('d/2.parquet', READINGS(50, 100)), spec)];
}

async function judge(place: Workplace, input: Omit<JudgementInput, 'source' | 'asOf'> & { asOf?: string }) {
  const whole = { source: 'readings', asOf: '2020-01-05T03:30:00Z', ...input };
  const { checks } = await judgeSnapshot(whole, unionColumns('readings', input.partitions), await place.context());
  return checks;
}

const table = ({ rules }: SnapshotChecks): RuleResult[] => rules.filter(({ kind }) => kind === 'table');
const told = (rules: RuleResult[]) => rules.map(({ rule, passed, count, value }) => [rule, passed, count, value]);

describe('rules about a table', () => {
  it('count nulls of what should be known by the date, each with its file and row', async () => {
    const place = await workplace();
    const partitions = await readings(place);
    const contract = contractOf({ value: { 'x-max-null-share': 0.05 } });
    const [nulls] = table(await judge(place, { partitions, contract }));
    // Row 99 was read at 03:00 and its value is known at 04:00: neither known nor missing yet.
    expect(nulls).toMatchObject({ rule: 'value: x-max-null-share 0.05', passed: false, count: 10, value: 10 / 99 });
    expect(nulls?.samples).toEqual(
      [3, 13, 23].map((id) => ({ partition: 'd/1.parquet', row: id + 1, values: { id: String(id), value: null } })),
    );
    const [early] = table(await judge(place, { partitions, contract, asOf: '2020-01-01T02:30:00Z' }));
    expect(early).toMatchObject({ passed: true, count: 0, value: 0 });
  });

  it('hold quantiles of what was known against their ranges, and times against freshness', async () => {
    const place = await workplace();
    const partitions = await readings(place);
    const quantiles = { p50: [40, 60], p99: [null, 90], p0: [0, null] };
    const contract = contractOf(
      { value: { 'x-quantiles': quantiles }, read_at: { 'x-freshness': '2h' } },
      { 'x-freshness': '20m' },
    );
    expect(told(table(await judge(place, { partitions, contract })))).toEqual([
      ['read_at: x-freshness 2h', true, 0, '2020-01-05T03:00:00Z'],
      ['value: x-quantiles p50 in [40, 60]', true, 0, 49],
      ['value: x-quantiles p99 in [-∞, 90]', false, 0, 98],
      ['value: x-quantiles p0 in [0, ∞]', true, 0, 0],
      ['events: x-freshness 20m', false, 0, '2020-01-05T03:00:00Z'],
    ]);
    const early = table(await judge(place, { partitions, contract, asOf: '2020-01-03T00:10:00Z' }));
    expect(told(early)[2]).toEqual(['value: x-quantiles p99 in [-∞, 90]', true, 0, 47]);
  });

  it('find where times go back: in a file, from one file to the next, or within a key', async () => {
    const place = await workplace();
    const back = `SELECT * REPLACE (CASE WHEN id = 60 THEN TIMESTAMP '2020-01-01' ELSE read_at END AS read_at) FROM (${READINGS(50, 100)})`;
    const spec = { ...SPEC, contract: contractOf({}) };
    const first = await place.extract(await place.write('d/1.parquet', READINGS(0, 50)), spec);
    const partitions = [first, await place.extract(await place.write('d/2.parquet', back), spec)];
    const monotone = contractOf({ read_at: { 'x-monotone': true } });
    const [all] = table(await judge(place, { partitions, contract: monotone }));
    expect(all).toMatchObject({ rule: 'read_at: x-monotone', passed: false, count: 1 });
    expect(all?.samples).toMatchObject([{ partition: 'd/2.parquet', row: 11, values: { id: '60' } }]);
    const swapped = [...partitions].reverse();
    expect(table(await judge(place, { partitions: swapped, contract: monotone }))[0]).toMatchObject({ count: 2 });
    const strict = contractOf({ id: { 'x-monotone': { strict: true, by: ['sensor'], severity: 'warn' } } });
    expect(table(await judge(place, { partitions, contract: strict }))[0]).toMatchObject({
      rule: 'id: x-monotone strict by sensor',
      severity: 'warn',
      passed: true,
    });
  });

  it('hold of a source that has a column of the name "filename"', async () => {
    const place = await workplace();
    const contract = { properties: { i: { type: 'integer', 'x-monotone': true }, filename: { type: 'string' } } };
    const name = await place.write('d/1.parquet', `SELECT i, 'x' AS filename FROM (VALUES (2), (1)) t(i)`);
    const partitions = [await place.extract(name, { contract })];
    expect(told(table(await judge(place, { partitions, contract })))).toEqual([['i: x-monotone', false, 1, 1]]);
  });

  it('take keys of two types for what they are: large whole numbers apart, a day for its first moment', async () => {
    const place = await workplace();
    const looked = async (ours: string, theirs: string, property: object) => {
      const to = { 'x-references': 'other.k' };
      const contract = { properties: { k: { ...property, ...to } } };
      const at = ", TIMESTAMP '2020-01-01' AS since";
      const spec = { eventTime: 'since', knownAt: { '*': 'since' } };
      const file = await place.write('o.parquet', `SELECT ${ours} AS k${at}`);
      const partitions = [await place.extract(file, { ...spec, contract })];
      const other = [await place.extract(await place.write('t.parquet', `SELECT ${theirs} AS k${at}`), spec)];
      return table(await judge(place, { partitions, contract, references: { other } }))[0]?.passed;
    };
    const integer = { type: 'integer' };
    expect(await looked('9007199254740993', '9007199254740993::UBIGINT', integer)).toBe(true);
    expect(await looked('9007199254740993', '9007199254740992::UBIGINT', integer)).toBe(false);
    expect(await looked('7', "'7'", integer)).toBe(true);
    const time = { type: 'string', format: 'date-time' };
    expect(await looked("TIMESTAMP '2020-01-01'", "DATE '2020-01-01'", time)).toBe(true);
    expect(await looked("TIMESTAMP '2020-01-01 01:00:00'", "DATE '2020-01-01'", time)).toBe(false);
  });

  it('look references up in the other source as it was known', async () => {
    const place = await workplace();
    const sensors = `SELECT 's' || i AS name, TIMESTAMP '2020-01-01' + to_days((i * 3)::INTEGER) AS since FROM range(2) r(i)`;
    const other = {
      contract: { properties: { name: { type: 'string' } } },
      eventTime: 'since',
      knownAt: { '*': 'since' },
    };
    const references = { sensors: [await place.extract(await place.write('s.parquet', sensors), other)] };
    const partitions = await readings(place);
    const contract = contractOf({ sensor: { 'x-references': { source: 'sensors', to: 'name', limit: 0.1 } } });
    const late = await judge(place, { partitions, contract, references });
    expect(told(table(late))).toEqual([['sensor: x-references sensors.name', true, 0, 0]]);
    const early = await judge(place, { partitions, contract, references, asOf: '2020-01-02T00:30:00Z' });
    expect(told(table(early))).toEqual([['sensor: x-references sensors.name', false, 12, 12 / 25]]);
    expect(table(early)[0]?.samples[0]).toEqual({
      partition: 'd/1.parquet',
      row: 2,
      values: { sensor: 's1', id: '1' },
    });
    const wrong = contractOf({ sensor: { 'x-references': 'sensors.nam' } });
    await expect(judge(place, { partitions, contract: wrong, references })).rejects.toThrow(
      /"sensors" has no column "nam"/,
    );
  });

  it('refuse the snapshot with the rule and its figures, or warn', async () => {
    const place = await workplace();
    const partitions = await readings(place);
    const rule = (severity: string) => contractOf({ value: { 'x-max-null-share': { limit: 0.01, severity } } });
    const input = { source: 'readings', asOf: '2020-02-01T00:00:00Z', partitions, maxBadShare: 0 };
    const context = await place.context();
    await expect(publishSnapshot.run({ ...input, contract: rule('fail') }, context)).rejects.toMatchObject({
      code: 'REFIT_CONTRACT_TABLE',
      message:
        'Source "readings" as of 2020-02-01T00:00:00Z breaks its contract: value: x-max-null-share 0.01 (10 rows, 10 %).',
      details: { rules: [{ count: 10, samples: [{ row: 4 }, { row: 14 }, { row: 24 }] }] },
    });
    const snapshot = await publishSnapshot.run({ ...input, contract: rule('warn') }, context);
    expect(snapshot.warnings).toEqual(['value: x-max-null-share 0.01 (10 rows, 10 %)']);
    const checks = await place.blobs.json<SnapshotChecks>(snapshot.checks as BlobRef);
    expect(checks.rules.map((one) => one.rule)).toEqual([
      'unique (id)',
      'across files: unique (id)',
      'value: x-max-null-share 0.01',
    ]);
  });

  it('do not make partitions be read again when they change', async () => {
    const place = await workplace();
    const plain = await readings(place);
    const ruled = await readings(place, contractOf({ value: { 'x-max-null-share': 0.5 } }, { 'x-freshness': '1d' }));
    expect(ruled.map(({ data }) => data.sha256)).toEqual(plain.map(({ data }) => data.sha256));
  });

  it('name the sources that they need, and are refused where they cannot be held', () => {
    const source = (contract: object) => ({ contract }) as PipelineSpec['sources'][string];
    const a = (to: string, more: object = {}) =>
      source({ properties: { x: { type: 'string', 'x-references': to, ...more } } });
    const b = source({ properties: { y: { type: 'string', 'x-pii': 'drop' } } });
    expect(requireContracts({ a: a('a.x'), c: source({ properties: {} }) }, {})).toEqual({ a: ['a'] });
    expect(() => requireContracts({ a: a('d.y'), b }, {})).toThrow(/there is no source "d"/);
    expect(() => requireContracts({ a: a('b.y'), b }, {})).toThrow(/not treated alike by x-pii/);
  });

  it.each([
    [{ value: { 'x-max-null-share': 5 } }, /share between 0 and 1/],
    [{ value: { 'x-max-null-share': { limit: 0.1, severity: 'loud' } } }, /"fail" or "warn"/],
    [{ sensor: { 'x-quantiles': { p50: [0, 1] } } }, /does not apply to a column of type string/],
    [{ value: { 'x-quantiles': { median: [0, 1] } } }, /p0 to p100/],
    [{ value: { 'x-quantiles': { p50: [2, 1] } } }, /\[lowest, highest\]/],
    [{ value: { 'x-freshness': '1d' } }, /does not apply/],
    [{ value: { 'x-pii': 'hash', 'x-quantiles': { p50: [0, 1] } } }, /hashed as PII, which leaves it no order/],
    [{ read_at: { 'x-freshness': 'soon' } }, /a duration/],
    [{ read_at: { 'x-monotone': { by: ['senser'] } } }, /did you mean "sensor"/],
    [{ sensor: { 'x-references': 'sensors' } }, /must name a source and its column/],
  ])('are refused by name: %j', (rules, message) => {
    expect(() => compileContract(contractOf(rules as Rules))).toThrow(message);
  });
});
