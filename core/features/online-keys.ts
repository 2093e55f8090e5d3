/** Which keys of a part have to be written: all of them, or those whose rows changed since the last materialisation. */
import { type DuckDb, identifier } from '../dataset/duckdb.ts';
import type { OnlinePart } from './online-parts.ts';

/** Makes a table of all keys that the part's source has, `__id` from 0 in their order. @returns its name and how many there are */
export async function keysTable(db: DuckDb, part: OnlinePart, place: number): Promise<{ table: string; keys: number }> {
  const table = identifier(`__online_keys_${place}`);
  const { source } = part;
  const columns = part.keys.map(({ sourceSql }, i) => `${sourceSql} AS __k${i}`).join(', ');
  const present = part.keys.map(({ sourceSql }) => `${sourceSql} IS NOT NULL`).join(' AND ');
  const k = part.keys.map((_key, i) => `__k${i}`).join(', ');
  await db.run(`CREATE OR REPLACE TEMP TABLE ${table} AS SELECT row_number() OVER (ORDER BY ${k}) - 1 AS __id, ${k}
    FROM (SELECT DISTINCT ${columns} FROM ${source.relation} WHERE ${source.good} AND ${present})`);
  const [row] = await db.rows<{ n: number }>(`SELECT count(*)::DOUBLE AS n FROM ${table}`);
  return { table, keys: row?.n ?? 0 };
}
