/**
 * The rows of a spine as questions: who is asked about, and when. They are put in order of key and time once for all look-ups by
 * the same keys, in tables, so that they may be more than memory holds; a look-up reads as many at a time as it can hold.
 */
import type { DuckDb } from '../dataset/duckdb.ts';
import { streamNumbers } from '../dataset/number-columns.ts';
import type { KeyPair } from './join-keys.ts';
import type { Questions } from './newest-rows.ts';

export interface AskedTables {
  /** Table of the keys that are asked about: `__id` (UINTEGER, from 0) and `__k0`, `__k1`, … */
  keys: string;
  /** Table in order of `__id` and `__at`, with `__row`: the spine's rows whose key and time are not missing. */
  rows: string;
  count: number;
  /** All of them, once they were read at one time, until others are asked for: the next look-up by these keys asks them too. */
  read?: Promise<AskedSlice>;
}

let tables = 0;

export class SpineQuestions {
  readonly #spine: string;
  readonly #byKeys = new Map<string, AskedTables>();

  /** `spine`: table with `__row`, `__at` (TIMESTAMP) and the key columns. */
  constructor(spine: string) {
    this.#spine = spine;
  }

  get spine(): string {
    return this.#spine;
  }

  async byKeys(db: DuckDb, keys: readonly KeyPair[]): Promise<AskedTables> {
    const id = keys.map(({ spineSql }) => spineSql).join(', ');
    const asked = this.#byKeys.get(id) ?? (await askedTables(db, keys, this.#spine));
    this.#byKeys.set(id, asked);
    // Those of all keys together may be more than memory holds.
    for (const other of this.#byKeys.values()) if (other !== asked) delete other.read;
    return asked;
  }
}

async function askedTables(db: DuckDb, keys: readonly KeyPair[], spine: string): Promise<AskedTables> {
  const names = { keys: `__asked_keys_${tables}`, rows: `__asked_rows_${tables++}` };
  const there = ['s.__at', ...keys.map(({ spineSql }) => spineSql)].map((sql) => `${sql} IS NOT NULL`).join(' AND ');
  await db.run(`CREATE TEMP TABLE ${names.keys} AS SELECT (row_number() OVER () - 1)::UINTEGER AS __id, *
    FROM (SELECT DISTINCT ${keys.map(({ spineSql }, i) => `${spineSql} AS __k${i}`).join(', ')} FROM ${spine} s WHERE ${there})`);
  await db.run(`CREATE TEMP TABLE ${names.rows} AS SELECT q.__id, s.__at, s.__row::BIGINT AS __row
    FROM ${spine} s JOIN ${names.keys} q ON ${keys.map(({ spineSql }, i) => `${spineSql} = q.__k${i}`).join(' AND ')}
    WHERE s.__at IS NOT NULL ORDER BY q.__id, s.__at`);
  const [size] = await db.rows<{ rows: number }>(`SELECT count(*)::DOUBLE AS rows FROM ${names.rows}`);
  return { ...names, count: size?.rows ?? 0 };
}

/** So many questions, in memory. */
export interface AskedSlice extends Questions {
  /** `__row` of each. */
  rows: BigInt64Array;
  lastKey: number;
}

/** Questions [from, to) of all; those of one key may go on in the next slice. There must be one. */
export function readQuestions(db: DuckDb, asked: AskedTables, from: number, to: number): Promise<AskedSlice> {
  if (from > 0 || to < asked.count) return readSlice(db, asked, from, Math.min(to, asked.count) - from);
  asked.read ??= readSlice(db, asked, 0, asked.count);
  return asked.read;
}

async function readSlice(db: DuckDb, asked: AskedTables, from: number, count: number): Promise<AskedSlice> {
  const [ids, times, rows] = [new Uint32Array(count), new BigInt64Array(count), new BigInt64Array(count)];
  let at = 0;
  const sql = `SELECT __id, __at, __row FROM ${asked.rows} WHERE rowid >= ${from} AND rowid < ${from + count}`;
  await streamNumbers(db, sql, ([id, time, row], length) => {
    ids.set(id as Uint32Array, at);
    times.set(time as BigInt64Array, at);
    rows.set(row as BigInt64Array, at);
    at += length;
  });
  const [firstKey, lastKey] = [ids[0] as number, ids[count - 1] as number];
  const starts = new Uint32Array(lastKey - firstKey + 2);
  for (const id of ids) (starts[id - firstKey + 1] as number) += 1;
  for (let key = 1; key < starts.length; key++) (starts[key] as number) += starts[key - 1] as number;
  return { times, rows, starts, firstKey, lastKey };
}
