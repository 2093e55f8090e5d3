/** From relations to rows of the online store, some thousand at a time. */
import { type DuckDb, identifier } from '../dataset/duckdb.ts';
import type { Spine } from './compile.ts';
import type { KeyPair } from './join-keys.ts';
import { entityKey } from './online-layout.ts';
import type { OnlineRow, OnlineStore, OnlineValue } from './online-store.ts';

/** Writes relations into an online store, for one materialisation. */
export function createOnlineWriter(db: DuckDb, store: OnlineStore, asOf: string, signal: AbortSignal | undefined) {
  const asOfUs = Date.parse(asOf) * 1000;
  const counts = { rows: 0, written: 0 };
  return {
    counts,
    /** One row a key, from a relation of `k` (keys) and `v` (values); as of asOf unless `v` says when it happened. */
    async write(id: string, keys: string[], values: string[], relation: string, timed: boolean): Promise<void> {
      const times = timed ? [timeSql('v.__event'), timeSql('v.__known')] : ['NULL', 'NULL'];
      const columns = [
        ...keys.map((key) => `k.${identifier(key)}::VARCHAR`),
        ...times,
        ...values.map((name) => `v.${identifier(name)}`),
      ];
      await eachChunk(db, `SELECT ${columns.join(', ')} FROM ${relation}`, async (rows) => {
        signal?.throwIfAborted();
        const packed = rows.flatMap((row): OnlineRow[] => {
          const key = entityKey(texts(row, 0, keys.length));
          const [event, known] = row.slice(keys.length, keys.length + 2) as [number | null, number | null];
          const own = row.slice(keys.length + 2);
          return key === null ? [] : [{ key, values: own, eventAtUs: event ?? asOfUs, knownAtUs: known ?? asOfUs }];
        });
        counts.rows += packed.length;
        counts.written += await store.put(id, packed);
      });
    },
    /** Spine rows: their fields, then the key of each look-up. @returns how many */
    async writeEntities(id: string, key: string[], spine: Spine, lookups: KeyPair[][]): Promise<number> {
      const parts = lookups.flatMap((keys) => keys.map(({ spineSql }) => `(${spineSql})::VARCHAR`));
      const fields = spine.fields.map(({ name }) => `s.${identifier(`__field_${name}`)}`);
      const columns = [...key.map((name) => `s.${identifier(name)}::VARCHAR`), ...fields, ...parts];
      const starts = lookups.map((_, i) => key.length + fields.length + lookups.slice(0, i).flat().length);
      let entities = 0;
      await eachChunk(db, `SELECT ${columns.join(', ')} FROM ${spine.relation} s`, async (rows) => {
        signal?.throwIfAborted();
        const packed = rows.flatMap((row): OnlineRow[] => {
          const entity = entityKey(texts(row, 0, key.length));
          const wanted = lookups.map(({ length }, i) => entityKey(texts(row, starts[i] as number, length)));
          const values = [...row.slice(key.length, key.length + fields.length), ...wanted];
          return entity === null ? [] : [{ key: entity, values, eventAtUs: asOfUs, knownAtUs: asOfUs }];
        });
        entities += packed.length;
        counts.rows += packed.length;
        counts.written += await store.put(id, packed);
      });
      return entities;
    },
  };
}

function texts(row: OnlineValue[], start: number, length: number): (string | null)[] {
  return row.slice(start, start + length) as (string | null)[];
}

/** Microseconds as a number; infinities as they are. */
function timeSql(column: string): string {
  return `CASE WHEN isfinite(${column}) THEN epoch_us(${column})::DOUBLE
    WHEN ${column} < TIMESTAMP '1970-01-01' THEN '-infinity'::DOUBLE ELSE 'infinity'::DOUBLE END`;
}

/** Rows of numbers, texts and nulls, some thousand at a time. */
async function eachChunk(db: DuckDb, sql: string, use: (rows: OnlineValue[][]) => Promise<void>): Promise<void> {
  const result = await db.connection.run(sql);
  for (let chunk = await result.fetchChunk(); chunk && chunk.rowCount > 0; chunk = await result.fetchChunk()) {
    await use(chunk.getRows() as OnlineValue[][]);
  }
}
