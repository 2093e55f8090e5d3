import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { literal } from '../../core/dataset/duckdb.ts';
import { foldChanges } from '../../core/dataset/fold-changes.ts';
import { publishSource } from '../../core/dataset/publish-source.ts';
import type { Partition } from '../../core/spec/artifacts.ts';
import { RefitError } from '../../core/spec/errors.ts';
import type { SourceSpec } from '../../core/spec/pipeline.ts';
import type { Step } from '../../core/store/step.ts';
import { ANYTHING, database, type Workplace, workplace } from './dataset.fixture.ts';

/** A change row; times are days of January. */
interface Change {
  id: number | null;
  /** Tells the row from all others. */
  plan: string;
  deletes: boolean;
  lsn: number;
  known: number;
  /** When it was known to break the contract, a microsecond before. */
  bad: number | null;
  /** When a correction of its file took it away. */
  gone: number | null;
}

/** -1: always. */
const day = (of: number | null) =>
  of === -1
    ? `'-infinity'::TIMESTAMP`
    : of === null
      ? `'infinity'::TIMESTAMP`
      : `TIMESTAMP '2024-01-01' + to_days(${of})`;
const iso = (of: number) => new Date(Date.UTC(2024, 0, 1 + of)).toISOString();

/** What there is of each entity at a time, for a run as of a date: the highest version of the rows that count. */
function oracle(rows: Change[], at: number, asOf: number): string[] {
  const counting = rows.filter(
    ({ known, gone, bad }) => known <= at && (gone === null || gone > at) && (bad === null || bad > asOf),
  );
  const tops = [...new Set(counting.map(({ id }) => id))].map((id) =>
    counting
      .filter((row) => row.id === id)
      .reduce((top, row) => (row.lsn > top.lsn || (row.lsn === top.lsn && row.known > top.known) ? row : top)),
  );
  return tops
    .filter(({ deletes }) => !deletes)
    .map(({ plan }) => plan)
    .sort();
}

async function partitionOf({ root, blobs }: Workplace, rows: Change[]): Promise<Partition> {
  const file = path.join(root, 'changes.parquet');
  const values = rows.map(
    ({ id, plan, deletes, lsn, known, bad, gone }) =>
      `(${id}::BIGINT, '${plan}', '${deletes ? 'delete' : 'update'}', ${lsn}::BIGINT, ${day(known)}, NULL::TIMESTAMP, ${day(bad)} - to_microseconds(1), ${day(gone)})`,
  );
  await database(root, (db) =>
    db.run(`COPY (SELECT * FROM (VALUES ${values.join(', ')})
      t(id, plan, op, lsn, __known_0, __event_at, __bad_known_at, __gone_at)) TO ${literal(file)} (FORMAT parquet)`),
  );
  const columns = ['id', 'plan', 'op', 'lsn'].map((name) => ({ name, type: 'VARCHAR', known: ['__known_0'] }));
  const counts = { rows: rows.length, badRows: rows.filter((row) => row.bad !== null).length, rules: [] };
  return { name: 'changes', data: await blobs.putFile(file), columns, ...counts, ends: true };
}

/** What the folded history shows at each time up to the run's date. */
async function shown({ root, blobs }: Workplace, { data }: Partition, asOf: number): Promise<string[][]> {
  const from = `read_parquet(${literal(await blobs.path(data))})`;
  const rows = await database(root, (db) =>
    db.rows<{ at: number; plan: string }>(`SELECT i::INTEGER AS at, plan FROM ${from}, range(${asOf + 1}) r(i)
      WHERE __known_0 <= ${day(0)} + to_days(i::INTEGER) AND __gone_at > ${day(0)} + to_days(i::INTEGER)
        AND __bad_known_at > ${day(asOf)} ORDER BY plan`),
  );
  return times(asOf).map((at) => rows.filter((row) => row.at === at).map(({ plan }) => plan));
}

const times = (asOf: number): number[] => Array.from({ length: asOf + 1 }, (_, at) => at);

const time = fc.integer({ min: 0, max: 8 });
const change = {
  id: fc.option(fc.integer({ min: 0, max: 1 }), { freq: 5 }),
  deletes: fc.boolean(),
  lsn: fc.integer({ min: 0, max: 5 }),
  known: time,
  bad: fc.option(time, { freq: 2 }),
  gone: fc.option(time, { freq: 2 }),
};

/** Of one entity and version, one row at a time: which of two is right, nobody can say. */
function withoutTies(drafts: Omit<Change, 'plan'>[]): Change[] {
  const seen = new Set<string>();
  return drafts.flatMap((row, i): Change[] => {
    const name = `${row.id} ${row.lsn} ${row.known}`;
    if (seen.has(name)) return [];
    seen.add(name);
    return [{ ...row, plan: String(i).padStart(2, '0') }];
  });
}

/** Publishes change rows as of dates. @returns the fold that each date was given, and how many were made */
async function publishAt(place: Workplace, rows: Change[], dates: number[]) {
  const partitions = [await partitionOf(place, rows)];
  const spec: SourceSpec = {
    ...{ format: 'parquet', path: '*', contract: ANYTHING, zone: 'UTC', derive: {}, maxBadShare: 1 },
    ...{ corrections: 'replace', changes: { key: ['id'], op: 'op', version: 'lsn' } },
  };
  const kept = new Map<string, unknown>();
  let folds: Partition[] = [];
  const step = async <Input, Output>(one: Step<Input, Output>, input: Input) => {
    const key = `${one.name} ${JSON.stringify(input)}`;
    const output = (kept.get(key) as Output | undefined) ?? (await one.run(input, await place.context()));
    kept.set(key, output);
    if (one.name === 'fold-changes') folds = [...folds, output as Partition];
    return { output, cached: false };
  };
  for (const date of dates) {
    const found = { pipeline: 'p', source: 's', spec, declaration: '', partitions, asOf: iso(date), seenAt: iso(date) };
    await publishSource({ blobs: place.blobs, step }, found, { fresh: false }).catch((error: unknown) => {
      if (!(error instanceof RefitError && error.code === 'REFIT_WINDOW_EMPTY')) throw error;
    });
  }
  return { folds, made: [...kept.keys()].filter((key) => key.startsWith('fold-changes ')).length };
}

describe('folded changes', () => {
  it('are at every time, for a run as of every date, what the rows that count then say', async () => {
    const place = await workplace();
    await fc.assert(
      fc.asyncProperty(fc.array(fc.record(change), { minLength: 1, maxLength: 12 }), time, async (drafts, asOf) => {
        const rows = withoutTies(drafts);
        const input = { source: 's', changes: { key: ['id'], op: 'op', version: 'lsn' }, rejectedBy: iso(asOf) };
        const partitions = [await partitionOf(place, rows)];
        const folded = await foldChanges.run({ ...input, partitions }, await place.context());
        expect(await shown(place, folded, asOf)).toEqual(times(asOf).map((at) => oracle(rows, at, asOf)));
      }),
      { numRuns: 30 },
    );
  });

  it('are folded anew only for a date at which other rows are rejected', async () => {
    const place = await workplace();
    const dates = [8, 0, 3, 5, 4];
    const bad = fc.option(fc.integer({ min: -1, max: 8 }), { freq: 2 });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.record({ ...change, bad }), { minLength: 1, maxLength: 8 }), async (drafts) => {
        const rows = withoutTies(drafts);
        const { folds, made } = await publishAt(place, rows, dates);
        for (const [i, date] of dates.entries())
          expect(await shown(place, folds[i] as Partition, date)).toEqual(
            times(date).map((at) => oracle(rows, at, date)),
          );
        const rejected = dates.map((date) => rows.filter((row) => row.bad !== null && row.bad <= date).length);
        expect(made).toBe(new Set(rejected).size);
      }),
      { numRuns: 6 },
    );
  });
});
