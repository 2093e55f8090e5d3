import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { literal } from '../../core/dataset/duckdb.ts';
import { foldChanges } from '../../core/dataset/fold-changes.ts';
import type { Partition } from '../../core/spec/artifacts.ts';
import { database, type Workplace, workplace } from './dataset.fixture.ts';

/** A change row; times are days of January. */
interface Change {
  id: number | null;
  /** Tells the row from all others. */
  plan: string;
  deletes: boolean;
  lsn: number;
  known: number;
  /** When it was known to break the contract. */
  bad: number | null;
  /** When a correction of its file took it away. */
  gone: number | null;
}

const day = (of: number | null) => (of === null ? `'infinity'::TIMESTAMP` : `TIMESTAMP '2024-01-01' + to_days(${of})`);
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
      `(${id}::BIGINT, '${plan}', '${deletes ? 'delete' : 'update'}', ${lsn}::BIGINT, ${day(known)}, NULL::TIMESTAMP, ${day(bad)}, ${day(gone)})`,
  );
  await database(root, (db) =>
    db.run(`COPY (SELECT * FROM (VALUES ${values.join(', ')})
      t(id, plan, op, lsn, __known_0, __event_at, __bad_known_at, __gone_at)) TO ${literal(file)} (FORMAT parquet)`),
  );
  const columns = ['id', 'plan', 'op', 'lsn'].map((name) => ({ name, type: 'VARCHAR', known: ['__known_0'] }));
  const counts = { rows: rows.length, badRows: 0, rules: [] };
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
const change = fc.record({
  id: fc.option(fc.integer({ min: 0, max: 1 }), { freq: 5 }),
  deletes: fc.boolean(),
  lsn: fc.integer({ min: 0, max: 5 }),
  known: time,
  bad: fc.option(time, { freq: 2 }),
  gone: fc.option(time, { freq: 2 }),
});

describe('folded changes', () => {
  it('are at every time, for a run as of every date, what the rows that count then say', async () => {
    const place = await workplace();
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 12 }), time, async (drafts, asOf) => {
        // Of one entity and version, one row at a time: which of two is right, nobody can say.
        const seen = new Set<string>();
        const rows = drafts.flatMap((row, i): Change[] => {
          const name = `${row.id} ${row.lsn} ${row.known}`;
          if (seen.has(name)) return [];
          seen.add(name);
          return [{ ...row, plan: String(i).padStart(2, '0') }];
        });
        const input = { source: 's', changes: { key: ['id'], op: 'op', version: 'lsn' }, asOf: iso(asOf) };
        const partitions = [await partitionOf(place, rows)];
        const folded = await foldChanges.run({ ...input, partitions }, await place.context());
        expect(await shown(place, folded, asOf)).toEqual(times(asOf).map((at) => oracle(rows, at, asOf)));
      }),
      { numRuns: 30 },
    );
  });
});
