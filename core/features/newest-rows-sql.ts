/** From tables of questions and rows to a table of answers: newest-rows.ts, fed by DuckDB in slices that memory can hold. */
import type { DuckDb } from '../dataset/duckdb.ts';
import { appendNumbers, type NumberColumn, streamNumbers } from '../dataset/number-columns.ts';
import { NewestRows, NO_ROW, type Numbers } from './newest-rows.ts';
import { type AskedSlice, type AskedTables, readQuestions } from './questions.ts';

/** A FLOAT that is never NaN, or a value of any type: such are numbered in their order, and found again by their number. */
export type ValueKind = 'float' | 'any';

export interface RowsThatEnter {
  /** SELECT of `__id`, `__event`, `__known`, `__gone` (where rows are mortal) and values `v0`, `v1`, … */
  sql: string;
  values: ValueKind[];
  mortal: boolean;
  /** Whether the times of questions and of rows are wanted with the answers. */
  timed: boolean;
}

export interface Answers {
  /** What follows FROM: `__row`, and where wanted `__at` and `__event` (TIMESTAMPs), of the questions that have an answer. */
  from: string;
  /** SQL of each value over that. */
  values: string[];
}

let tables = 0;

/** Of the memory that queries may hold, what may be taken beside it: by questions with their answers so far, and by rows that wait. */
const [ASKED, WAITING] = [1 / 8, 1 / 12];
/** More than one array may have is of no use. */
const BYTES_AT_MOST = 2 ** 30;

/** For every question, the newest row of its key that has entered and is not gone. */
export async function newestRows(db: DuckDb, asked: AskedTables, rows: RowsThatEnter): Promise<Answers> {
  const { mortal } = rows;
  const id = tables++;
  const answers = `__answers_${id}`;
  const columns = rows.values.map((kind, i) => `v${i} ${kind === 'float' ? 'FLOAT' : 'DOUBLE'}`);
  const asks = ['__row BIGINT', ...(rows.timed ? ['__at TIMESTAMP', '__event TIMESTAMP'] : [])];
  await db.run(`CREATE TEMP TABLE ${answers} (${[...asks, ...columns].join(', ')})`);
  const { from, words } = await numbered(db, rows, id);
  const numbers = rows.values.map((_kind, i) => {
    return words[i] ? `coalesce(${words[i]}.code, 'nan'::DOUBLE)` : `coalesce(v${i}, 'nan'::FLOAT)`;
  });
  const times = ['__event', '__known', ...(mortal ? ['__gone'] : [])];
  const sql = `SELECT ${['__id', ...times, ...numbers].join(', ')} FROM ${from}`;
  const bytesFor = (share: number) => Math.min(BYTES_AT_MOST, db.memoryBytes * share);
  const perQuestion = 20 + NewestRows.bytes(rows.values.length, mortal);
  const atOnce = Math.max(1, Math.floor(bytesFor(ASKED) / perQuestion));
  for (let first = 0; first < asked.count; first += atOnce) {
    const slice = await readQuestions(db, asked, first, first + atOnce);
    const newest = new NewestRows(slice, rows.values.length, mortal, bytesFor(WAITING));
    await streamNumbers(db, `${sql} WHERE __id BETWEEN ${slice.firstKey} AND ${slice.lastKey}`, (all) => {
      const [keys, events, knowns, ...rest] = all as [Uint32Array, BigInt64Array, BigInt64Array];
      const gone = mortal ? (rest as BigInt64Array[]).shift() : undefined;
      newest.add({ keys, events, knowns, gone, values: rest as Numbers[] });
    });
    newest.finish();
    await appendNumbers(db, answers, answered(slice, newest, rows));
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

const BLOCK = 8192;

/** Blocks of the questions of a slice that have an answer, with it. */
function* answered({ rows, times }: AskedSlice, newest: NewestRows, wanted: RowsThatEnter): Iterable<NumberColumn[]> {
  const [row, at, event] = [new BigInt64Array(BLOCK), new BigInt64Array(BLOCK), new BigInt64Array(BLOCK)];
  const values = wanted.values.map((kind) => (kind === 'float' ? new Float32Array(BLOCK) : new Float64Array(BLOCK)));
  let length = 0;
  const columns = [row, ...(wanted.timed ? [at, event] : []), ...values];
  const block = () => columns.map((column) => column.subarray(0, length));
  for (let question = 0; question < times.length; question++) {
    const found = newest.event(question);
    if (found === NO_ROW) continue;
    row[length] = rows[question] as bigint;
    at[length] = times[question] as bigint;
    event[length] = found;
    for (let c = 0; c < values.length; c++) (values[c] as Numbers)[length] = newest.value(question, c);
    length += 1;
    if (length < BLOCK) continue;
    yield block();
    length = 0;
  }
  yield block();
}
