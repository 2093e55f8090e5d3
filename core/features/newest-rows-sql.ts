/** From tables of questions and rows to a table of answers: newest-rows.ts, fed by DuckDB in slices that memory can hold. */
import type { DuckDb } from '../dataset/duckdb.ts';
import { appendNumbers, streamNumbers } from '../dataset/number-columns.ts';
import { NewestRows, NO_ROW, type Numbers, type RowColumns } from './newest-rows.ts';
import { type AskedSlice, type AskedTables, readQuestions } from './questions.ts';

/** A FLOAT that is never NaN, or a value of any type: such are numbered in their order, and found again by their number. */
export type ValueKind = 'float' | 'any';

export interface RowsThatEnter {
  /** SELECT of `__id`, `__event`, `__known`, `__enters`, `__gone` (where rows are mortal) and values `v0`, `v1`, … */
  sql: string;
  values: ValueKind[];
  mortal: boolean;
}

export interface Answers {
  /** What follows FROM: `__row`, `__at` and `__event` (TIMESTAMPs) of the questions that have an answer. */
  from: string;
  /** SQL of each value over that. */
  values: string[];
}

let tables = 0;

/** Of the memory that queries may hold, what questions and their answers so far may take beside it. */
const SHARE = 1 / 8;

/** For every question, the newest row of its key that has entered and is not gone. */
export async function newestRows(db: DuckDb, asked: AskedTables, rows: RowsThatEnter): Promise<Answers> {
  const { mortal } = rows;
  const id = tables++;
  const answers = `__answers_${id}`;
  const columns = rows.values.map((kind, i) => `v${i} ${kind === 'float' ? 'FLOAT' : 'DOUBLE'}`);
  await db.run(
    `CREATE TEMP TABLE ${answers} (${['__row BIGINT', '__at TIMESTAMP', '__event TIMESTAMP', ...columns].join(', ')})`,
  );
  const { from, words } = await numbered(db, rows, id);
  const numbers = rows.values.map((_kind, i) => {
    return words[i] ? `coalesce(${words[i]}.code, 'nan'::DOUBLE)` : `coalesce(v${i}, 'nan'::FLOAT)`;
  });
  const times = ['__event', '__known', '__enters', ...(mortal ? ['__gone'] : [])];
  const sql = `SELECT ${['__id', ...times, ...numbers].join(', ')} FROM ${from}`;
  const bytes = rows.values.map((kind) => (kind === 'float' ? 4 : 8));
  const perQuestion = 20 + (mortal ? 2 : 1) * bytes.reduce((sum, size) => sum + size, 16);
  const atOnce = Math.max(1, Math.floor((db.memoryBytes * SHARE) / perQuestion));
  for (let first = 0; first < asked.count; first += atOnce) {
    const slice = await readQuestions(db, asked, first, first + atOnce);
    const newest = new NewestRows(slice, bytes, mortal);
    await streamNumbers(db, `${sql} WHERE __id BETWEEN ${slice.firstKey} AND ${slice.lastKey}`, (all) => {
      const [keys, events, knowns, enters, ...rest] = all as [Uint32Array, BigInt64Array, BigInt64Array, BigInt64Array];
      const gone = mortal ? (rest as BigInt64Array[]).shift() : undefined;
      newest.add({ keys, events, knowns, enters, gone, values: rest as Numbers[] });
    });
    await append(db, answers, slice, newest.answers());
  }
  if (words.some(Boolean)) await db.run(`DROP TABLE __rows_${id}`);
  return {
    from: [answers, ...words.map((table, i) => (table ? `LEFT JOIN ${table} ON ${table}.code = v${i}` : ''))].join(' '),
    values: words.map((table, i) => (table ? `${table}.value` : `nullif(v${i}, 'nan'::FLOAT)`)),
  };
}

/** Tables of the values that are no numbers, each with its number in their order (a newer row is told by greater values too). */
async function numbered(db: DuckDb, rows: RowsThatEnter, id: number) {
  const words = rows.values.map((kind, i) => (kind === 'any' ? `__words_${id}_${i}` : undefined));
  if (!words.some(Boolean)) return { from: `(${rows.sql})`, words };
  const table = `__rows_${id}`;
  await db.run(`CREATE TEMP TABLE ${table} AS ${rows.sql}`);
  for (const [i, name] of words.entries()) {
    if (!name) continue;
    await db.run(`CREATE TEMP TABLE ${name} AS SELECT v${i} AS value, row_number() OVER (ORDER BY v${i})::DOUBLE AS code
      FROM (SELECT DISTINCT v${i} FROM ${table} WHERE v${i} IS NOT NULL)`);
  }
  const joins = words.map((name, i) => (name ? `LEFT JOIN ${name} ON ${name}.value = v${i}` : ''));
  return { from: [table, ...joins].join(' '), words };
}

/** Writes the questions of a slice that have an answer. */
async function append(db: DuckDb, table: string, { rows, times }: AskedSlice, { events, values }: RowColumns) {
  const columns = [rows, times, events, ...values];
  let length = 0;
  for (let from = 0; from < events.length; from++) {
    if (events[from] === NO_ROW) continue;
    for (const column of columns) column[length] = column[from] as never;
    length += 1;
  }
  await appendNumbers(db, table, columns, length);
}
