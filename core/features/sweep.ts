/**
 * One sweep through rows and questions, key by key and in order of time, for what running sums cannot answer: quantiles,
 * distinct values and the last rows; rows may end (they were deleted or replaced). DuckDB sorts, and spills where it must;
 * window-rows.ts holds the rows of one key. Nothing is quadratic in the rows of a key, and results depend neither on threads
 * nor on the order of files.
 */
import type { DuckDBConnection, DuckDBDataChunk } from '@duckdb/node-api';
import type { DuckDb } from '../dataset/duckdb.ts';
import type { Aggregate } from '../spec/pipeline.ts';
import { type AggregateValue, aggregateValues } from './aggregate.ts';
import type { KeyPair } from './join-keys.ts';
import { WindowRows } from './window-rows.ts';

export interface SweepMeasure {
  of: Pick<Aggregate, 'fn' | 'q'>;
  /** SQL over the source's row: DOUBLE, or VARCHAR for `text`; NULL = missing. */
  sql: string;
  text: boolean;
}

export interface Sweep {
  keys: KeyPair[];
  /** Table with `__row`, `__at` and the key columns. */
  spine: string;
  /** What follows FROM, WHERE included: rows that may count. */
  from: string;
  /** SQL of TIMESTAMPs over a row; `gone` is infinity, or left out, where rows do not end. Only finite `enters` and `event` count. */
  event: string;
  known: string;
  enters: string;
  gone: string | undefined;
  /** Length of the window; Infinity = all history. */
  overSeconds: number;
  /** Only the newest so many rows. */
  last: number | undefined;
  measures: SweepMeasure[];
}

const ENTERS = 0;
const LEAVES = 1;
const ASKS = 2;

let tables = 0;

/**
 * Answers every row of the spine, one whose key or time is missing as if there were no rows. @returns table with `__row` (DOUBLE)
 * and `v0`, `v1`, …: the measures, FLOAT, or VARCHAR where the answer is a text
 */
export async function sweep(db: DuckDb, request: Sweep): Promise<string> {
  const table = `__sweep_${tables++}`;
  const columns = request.measures.map(({ of, text }, i) => `v${i} ${text && of.fn === 'last' ? 'VARCHAR' : 'FLOAT'}`);
  // A second connection writes while the first one still reads; it sees only what is not temporary.
  const writer = await db.fork();
  try {
    await writer.run(`CREATE TABLE ${table} (__row DOUBLE, ${columns.join(', ')})`);
    await answer(db, writer, request, table);
    const none = request.measures.map(({ of }) => aggregateValues(of, []) ?? 'NULL');
    const asks = ['isfinite(s.__at)', ...request.keys.map(({ spineSql }) => `${spineSql} IS NOT NULL`)].join(' AND ');
    await db.run(`INSERT INTO ${table} SELECT s.__row, ${none.join(', ')} FROM ${request.spine} s
      WHERE NOT coalesce(${asks}, false)`);
  } finally {
    writer.closeSync();
  }
  return table;
}

async function answer(db: DuckDb, writer: DuckDBConnection, request: Sweep, table: string): Promise<void> {
  const { DuckDBDataChunkWriter } = await import('@duckdb/node-api');
  const { measures, last, overSeconds, gone } = request;
  const options = {
    measures: measures.map(({ of }) => of),
    ...{ overUs: overSeconds * 1e6, last, mortal: gone !== undefined },
  };
  const appender = await writer.createAppender(table);
  const out = DuckDBDataChunkWriter.forAppender(appender);
  let key = Number.NaN;
  let rows = new WindowRows(options);
  const read = (chunk: DuckDBDataChunk) => {
    const numbers = (column: number) => (chunk.getColumnVector(column) as unknown as { items: Float64Array }).items;
    const [ids, times, kinds, refs] = [numbers(0), numbers(1), numbers(2), numbers(3)];
    const facts = gone ? numbers(5 + measures.length) : undefined;
    const values = measures.map(({ text }, i) => reader(chunk.getColumnVector(5 + i), text));
    for (let i = 0; i < chunk.rowCount; i++) {
      if (ids[i] !== key) {
        key = ids[i] as number;
        rows = new WindowRows(options);
      }
      const [kind, ref] = [kinds[i], refs[i] as number];
      if (kind === ASKS) out.appendRow([ref, ...rows.ask(times[i] as number)]);
      else if (kind === LEAVES) rows.leave(ref);
      else {
        const own = values.map((value) => value(i));
        rows.enter(facts?.[i] ?? 0, ref, own);
      }
    }
  };
  for await (const chunk of db.chunks(movesSql(request))) read(chunk);
  out.flush();
  appender.closeSync();
}

interface Vector {
  getItem(row: number): unknown;
}

/** Reads a column by row; NaN stands for a missing number. */
function reader(vector: Vector, text: boolean): (row: number) => AggregateValue {
  if (text) return (row) => vector.getItem(row) as string | null;
  const { items } = vector as unknown as { items: Float64Array };
  return (row) => (Number.isNaN(items[row]) ? null : (items[row] as number));
}

/**
 * Rows that enter or leave, and rows that ask, in order of key, time, rows before questions, and of one time from the oldest to
 * the newest: key, time (µs), kind, event (µs; of a question its `__row`, of one that leaves the number of the row), known (µs),
 * values, and where rows end the number of the row.
 */
function movesSql({ keys, spine, from, event, known, enters, gone, overSeconds, measures }: Sweep): string {
  const values = measures.map((_measure, i) => `v${i}`);
  const columns = measures.map(({ sql, text }, i) => `${text ? sql : `coalesce((${sql})::DOUBLE, 'nan')`} AS v${i}`);
  const all = (of: (key: KeyPair, i: number) => string, between: string) => keys.map(of).join(between);
  const us = (time: string) => `epoch_us(${time})::DOUBLE`;
  const old = Number.isFinite(overSeconds) ? `__event + INTERVAL ${overSeconds} SECOND` : undefined;
  const end = [...(old ? [old] : []), ...(gone ? ['__gone'] : [])];
  const ends =
    end.length === 0
      ? ''
      : `AND __enters < least(${end.join(', ')}) AND least(${end.join(', ')}) > (SELECT min(__at) FROM ${spine})`;
  const knownUs = `CASE WHEN isfinite(__known) THEN ${us('__known')} ELSE -1e18 END`;
  const row = [us('__event'), knownUs, ...values, ...(gone ? ['__fact'] : [])].join(', ');
  const nothing = [
    ...measures.map(({ text }) => (text ? 'NULL' : "'nan'::DOUBLE")),
    ...(gone ? ['0::DOUBLE'] : []),
  ].join(', ');
  const leaves = `UNION ALL SELECT __id, ${us('__gone')}, ${LEAVES}, __fact, 0, ${nothing} FROM facts WHERE isfinite(__gone)`;
  return `WITH asked AS MATERIALIZED (
    SELECT *, row_number() OVER ()::DOUBLE AS __id FROM (SELECT DISTINCT ${all(({ spineSql }, i) => `${spineSql} AS __k${i}`, ', ')}
      FROM ${spine} s WHERE ${all(({ spineSql }) => `${spineSql} IS NOT NULL`, ' AND ')})
  ), raw AS (
    SELECT ${all(({ sourceSql }, i) => `${sourceSql} AS __k${i}`, ', ')}, ${event} AS __event, ${known} AS __known, ${enters} AS __enters,
      ${gone ? `${gone} AS __gone, ` : ''}${columns.join(', ')}
    FROM ${from}
  ), facts AS ${gone ? 'MATERIALIZED ' : ''}(
    SELECT *${gone ? ', row_number() OVER ()::DOUBLE AS __fact' : ''} FROM raw JOIN asked q USING (${all((_key, i) => `__k${i}`, ', ')})
    WHERE isfinite(__event) AND isfinite(__enters) AND __enters <= (SELECT max(__at) FROM ${spine}) ${ends}
  ), moves AS (
    SELECT __id, ${us('__enters')}, ${ENTERS}::DOUBLE, ${row} FROM facts
    ${gone ? leaves : ''}
    UNION ALL SELECT q.__id, ${us('s.__at')}, ${ASKS}, s.__row::DOUBLE, 0, ${nothing}
    FROM ${spine} s JOIN asked q ON ${all(({ spineSql }, i) => `${spineSql} = q.__k${i}`, ' AND ')} WHERE isfinite(s.__at)
  )
  SELECT * FROM moves ORDER BY ALL`;
}
