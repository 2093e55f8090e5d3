/** From relations to rows of the online store, some thousand at a time. */
import type { DuckDBDataChunk } from '@duckdb/node-api';
import { type DuckDb, identifier } from '../dataset/duckdb.ts';
import type { AggregateValue } from './aggregate.ts';
import type { Spine } from './compile.ts';
import type { KeyPair } from './join-keys.ts';
import { RowKeeper } from './keep-rows.ts';
import { entityKey } from './online-layout.ts';
import type { OnlinePart } from './online-parts.ts';
import type { Stamp } from './online-places.ts';
import { keptRowsSql, LEADING } from './online-rows-sql.ts';
import type { OnlineRow, OnlineStore, StoredValue } from './online-store.ts';

/** Keys that are written together. */
const BATCH_KEYS = 2_000;
/** Or fewer, where their rows are many. */
const BATCH_BYTES = 8 << 20;

export interface WritePart {
  part: OnlinePart;
  /** View to write to. */
  id: string;
  /** Table with `__id`, `__k0`, …: the keys to write. */
  keys: string;
  /** Keys before this one are written already. */
  fromId: number;
  /** Keys without rows are written too: they may have had some before. */
  empty: boolean;
  /** Told when all keys before an id are in the store. */
  written(nextId: number): Promise<void>;
}

/** Writes into an online store, for one materialisation: its rows replace those of an earlier date, then of an earlier turn. */
export function createOnlineWriter(
  db: DuckDb,
  store: OnlineStore,
  { asOf, turn }: Stamp,
  signal: AbortSignal | undefined,
) {
  const asOfUs = Date.parse(asOf) * 1000;
  const times = { eventAtUs: asOfUs, knownAtUs: turn };
  const counts = { rows: 0, written: 0 };
  const put = async (id: string, rows: OnlineRow[]) => {
    counts.rows += rows.length;
    counts.written += await store.put(id, rows);
  };
  return {
    counts,
    /** The kept rows of each key, as of asOf. */
    async writePart({ part, id: view, keys, fromId, empty, written }: WritePart): Promise<void> {
      let batch: OnlineRow[] = [];
      let bytes = 0;
      // One batch is on its way while the next one is gathered.
      let underWay = Promise.resolve();
      const write = async (rows: OnlineRow[], nextId: number) => {
        await put(view, rows);
        await written(nextId);
      };
      const flush = async (nextId: number) => {
        await underWay;
        signal?.throwIfAborted();
        underWay = write(batch, nextId);
        // Thrown where it is awaited.
        underWay.catch(() => undefined);
        [batch, bytes] = [[], 0];
      };
      for await (const gathered of keyedRows(db, keptRowsSql(part, keys, asOf, fromId), part, asOfUs)) {
        for (const { id, key, values, isEmpty } of gathered) {
          if (isEmpty && !empty) continue;
          batch.push({ key, values, ...times });
          for (const value of values) bytes += value instanceof Uint8Array ? value.byteLength : 0;
          if (batch.length >= BATCH_KEYS || bytes >= BATCH_BYTES) await flush(id + 1);
        }
      }
      await flush(Number.MAX_SAFE_INTEGER);
      await underWay;
    },
    /** Spine rows: their fields, then the key of each look-up. @returns how many */
    async writeEntities(id: string, key: string[], spine: Spine, lookups: KeyPair[][]): Promise<number> {
      const parts = lookups.flatMap((keys) => keys.map(({ spineSql }) => `(${spineSql})::VARCHAR`));
      const fields = spine.fields.map(({ name }) => `s.${identifier(`__field_${name}`)}`);
      const columns = [...key.map((name) => `s.${identifier(name)}::VARCHAR`), ...fields, ...parts];
      const starts = lookups.map((_, i) => key.length + fields.length + lookups.slice(0, i).flat().length);
      let entities = 0;
      for await (const chunk of db.chunks(`SELECT ${columns.join(', ')} FROM ${spine.relation} s`)) {
        signal?.throwIfAborted();
        const packed = (chunk.getRows() as StoredValue[][]).flatMap((row): OnlineRow[] => {
          const entity = entityKey(texts(row, 0, key.length));
          const wanted = lookups.map(({ length }, i) => entityKey(texts(row, starts[i] as number, length)));
          const values = [...row.slice(key.length, key.length + fields.length), ...wanted];
          return entity === null ? [] : [{ key: entity, values, ...times }];
        });
        entities += packed.length;
        await put(id, packed);
      }
      return entities;
    },
  };
}

function texts(row: StoredValue[], start: number, length: number): (string | null)[] {
  return row.slice(start, start + length) as (string | null)[];
}

interface KeyedRows {
  id: number;
  key: string;
  values: StoredValue[];
  isEmpty: boolean;
}

/** The rows of each key, gathered and packed; one key at a time is in memory, and those that a chunk of rows completes. */
async function* keyedRows(db: DuckDb, sql: string, part: OnlinePart, asOfUs: number): AsyncGenerator<KeyedRows[]> {
  const parts = part.keys.length;
  const keeper = new RowKeeper(part.lookup, asOfUs);
  let current: { id: number; key: string } | undefined;
  const done = ({ id, key }: { id: number; key: string }): KeyedRows => {
    return { id, key, values: keeper.packed(), isEmpty: keeper.isEmpty };
  };
  for await (const chunk of db.chunks(sql)) {
    const numbers = (column: number) => (chunk.getColumnVector(column) as unknown as { items: Float64Array }).items;
    const [ids, events, knowns] = [numbers(0), numbers(1), numbers(2)];
    const keys = part.keys.map((_key, i) => chunk.getColumnVector(LEADING + i));
    const values = part.lookup.texts.map((text, i) => reader(chunk, LEADING + parts + i, text));
    const gathered: KeyedRows[] = [];
    const rows = chunk.rowCount;
    let row = 0;
    const valueAt = (column: number) => values[column]?.(row) ?? null;
    for (; row < rows; row++) {
      if (ids[row] !== current?.id) {
        if (current) gathered.push(done(current));
        keeper.begin();
        const key = entityKey(keys.map((vector) => vector.getItem(row) as string | null)) as string;
        current = { id: ids[row] as number, key };
      }
      const knownUs = knowns[row] as number;
      if (!Number.isNaN(knownUs)) keeper.add(events[row] as number, knownUs, valueAt);
    }
    yield gathered;
  }
  if (current) yield [done(current)];
}

/** Reads a column by row; NaN stands for a missing number. */
function reader(chunk: DuckDBDataChunk, column: number, text: boolean): (row: number) => AggregateValue {
  const vector = chunk.getColumnVector(column);
  if (text) return (row) => vector.getItem(row) as string | null;
  const { items } = vector as unknown as { items: Float64Array };
  return (row) => (Number.isNaN(items[row]) ? null : (items[row] as number));
}
