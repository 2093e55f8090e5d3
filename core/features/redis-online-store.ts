import { createHash } from 'node:crypto';
import { packRow, unpackRow } from './online-row-bytes.ts';
import type { OnlineRow, OnlineStore } from './online-store.ts';
import { redisAddress } from './redis-address.ts';
import { connectRedis } from './redis-connection.ts';

/** Rows and bytes in one command: Redis answers nobody else while it works on one. */
const BATCH_ROWS = 500;
const BATCH_BYTES = 1 << 20;
/** Commands under way at once: hides the way to the server and back, and bounds the memory. */
const PIPELINED = 4;
/** A longer key is kept by its digest. */
const LONGEST_KEY = 1_000;

/** `isNewer` of online-store.ts, where nobody can write in between. */
const PUT = `
-- Writes rows of the online store, each unless a newer one of its entity is there.
-- KEYS[i]  key of a row
-- ARGV[i]  that row as packRow makes it: event time and known time first, as big-endian float64
-- Returns  how many were written
local written = 0
for i = 1, #KEYS do
  local stored = redis.call('GETRANGE', KEYS[i], 0, 15)
  local newer = #stored < 16
  if not newer then
    local event, known = struct.unpack('>dd', ARGV[i])
    local storedEvent, storedKnown = struct.unpack('>dd', stored)
    newer = event > storedEvent or (event == storedEvent and known >= storedKnown)
  end
  if newer then
    redis.call('SET', KEYS[i], ARGV[i])
    written = written + 1
  end
end
return written`;

/**
 * Online store in Redis 6.2 or newer, or what speaks like it, for processes on many hosts: one string per entity and view,
 * below `refit:`. It connects when it is first used.
 * @throws RefitError REFIT_USAGE when `address` is none; the store's own calls: REFIT_ONLINE_UNREACHABLE (bounded waiting),
 * REFIT_ONLINE_REFUSED, REFIT_STORE_CORRUPT
 */
export function createRedisOnlineStore(address: string): OnlineStore {
  const place = redisAddress(address);
  const redis = connectRedis(place);

  return {
    address: place.shown,
    async put(view, rows) {
      let written = 0;
      await pipelined(batches(view, rows), async (batch) => {
        const own = Number(await redis.script(PUT, batch.keys, batch.rows));
        written += own;
      });
      return written;
    },
    async get(view, keys) {
      const found: (OnlineRow | undefined)[] = new Array(keys.length);
      const starts = Array.from({ length: Math.ceil(keys.length / BATCH_ROWS) }, (_, i) => i * BATCH_ROWS);
      await pipelined(starts, async (start) => {
        const asked = keys.slice(start, start + BATCH_ROWS);
        const answers = await redis.send(['MGET', ...asked.map((key) => redisKey(view, key))]);
        for (const [i, bytes] of (answers as (Buffer | null)[]).entries()) {
          if (bytes) found[start + i] = unpackRow(asked[i] as string, bytes);
        }
      });
      return found;
    },
    close: () => redis.close(),
  };
}

interface Batch {
  keys: string[];
  rows: Buffer[];
}

function* batches(view: string, rows: readonly OnlineRow[]): Generator<Batch> {
  let batch: Batch = { keys: [], rows: [] };
  let bytes = 0;
  for (const row of rows) {
    const packed = packRow(row);
    batch.keys.push(redisKey(view, row.key));
    batch.rows.push(packed);
    bytes += packed.length;
    if (batch.keys.length < BATCH_ROWS && bytes < BATCH_BYTES) continue;
    yield batch;
    batch = { keys: [], rows: [] };
    bytes = 0;
  }
  if (batch.keys.length > 0) yield batch;
}

/** Does some at once, started in order; stops at the first that fails. */
async function pipelined<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const source = items[Symbol.iterator]();
  let failed = false;
  const lane = async () => {
    try {
      for (let next = source.next(); !next.done && !failed; next = source.next()) await work(next.value);
    } catch (error) {
      failed = true;
      throw error;
    }
  };
  await Promise.all(Array.from({ length: PIPELINED }, lane));
}

/** A view's name ends at the first `:`, so that views are kept apart whatever they are called. */
function redisKey(view: string, key: string): string {
  const short =
    Buffer.byteLength(key) <= LONGEST_KEY ? key : `sha256:${createHash('sha256').update(key).digest('hex')}`;
  return `refit:${view.replace(/[%:]/g, encodeURIComponent)}:${short}`;
}
