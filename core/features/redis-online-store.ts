import { createHash } from 'node:crypto';
import { RefitError } from '../spec/errors.ts';
import { packRow, unpackRow } from './online-row-bytes.ts';
import type { OnlineRow, OnlineStore } from './online-store.ts';
import { redisAddress } from './redis-address.ts';
import { connectRedis, type RedisConnection } from './redis-connection.ts';

/** Rows and bytes in one command: Redis answers nobody else while it works on one. */
const BATCH_ROWS = 500;
const BATCH_BYTES = 1 << 20;
/** Commands under way at once: hides the way to the server and back, and bounds the memory. */
const PIPELINED = 4;
/** A longer key is kept by its digest. */
const LONGEST_KEY = 1_000;

/** `isNewer` of online-store.ts, where nobody can write in between. */
const PUT = `
-- Writes rows of a view of the online store, each unless a newer one of its entity is there.
-- KEYS[1]    the view: a hash with a field for each entity
-- ARGV[1]    'strictly': nor where one of equal times is there; else ''
-- ARGV[i]    entity, and after it its row as packRow makes it: event time and known time first, as big-endian float64
-- Returns    how many were written
local written = 0
for i = 2, #ARGV, 2 do
  local stored = redis.call('HGET', KEYS[1], ARGV[i])
  local newer = not stored or #stored < 16
  if not newer then
    local event, known = struct.unpack('>dd', ARGV[i + 1])
    local storedEvent, storedKnown = struct.unpack('>dd', stored)
    newer = event > storedEvent
    if event == storedEvent then
      newer = known > storedKnown or (known == storedKnown and ARGV[1] == '')
    end
  end
  if newer then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    written = written + 1
  end
end
return written`;

/**
 * Online store in Redis 6.2 or newer, or what speaks like it, for processes on many hosts: one hash for each view, below
 * `refit:`, with one string for each entity. It connects when it is first used.
 * @throws RefitError REFIT_USAGE when `address` is none; the store's own calls: REFIT_ONLINE_UNREACHABLE (bounded waiting),
 * REFIT_ONLINE_REFUSED, REFIT_STORE_CORRUPT
 */
export function createRedisOnlineStore(address: string): OnlineStore {
  const place = redisAddress(address);
  const redis = connectRedis(place);

  async function scan(view: string, keys: readonly string[], use: (bytes: Buffer, place: number) => void) {
    const name = redisKey(view);
    const starts = Array.from({ length: Math.ceil(keys.length / BATCH_ROWS) }, (_, i) => i * BATCH_ROWS);
    await pipelined(starts, async (start) => {
      const command = ['HMGET', name];
      const end = Math.min(keys.length, start + BATCH_ROWS);
      for (let i = start; i < end; i++) command.push(shortKey(keys[i] as string));
      const answers = (await redis.send(command)) as (Buffer | null)[];
      for (let i = 0; i < answers.length; i++) {
        const bytes = answers[i];
        if (bytes) use(bytes, start + i);
      }
    });
  }

  return {
    address: place.shown,
    async put(view, rows, strictly) {
      let written = 0;
      const name = redisKey(view);
      await pipelined(batches(rows), async (batch) => {
        const own = Number(await redis.script(PUT, [name], [strictly ?? '', ...batch]));
        written += own;
      });
      return written;
    },
    async get(view, keys) {
      const found: (OnlineRow | undefined)[] = keys.map(() => undefined);
      await scan(view, keys, (bytes, i) => {
        found[i] = unpackRow(keys[i] as string, bytes);
      });
      return found;
    },
    scan,
    async views(prefix) {
      const found = new Set<string>();
      const pattern = redisKey(prefix).replace(/[*?[\]\\^]/g, '\\$&');
      let cursor = '0';
      do {
        const [next, names] = (await redis.send(['SCAN', cursor, 'MATCH', `${pattern}*`, 'COUNT', '1000'])) as [
          Buffer,
          Buffer[],
        ];
        for (const name of names) found.add(viewOf(String(name)));
        cursor = String(next);
      } while (cursor !== '0');
      return [...found];
    },
    async clear(view) {
      // Its memory is freed beside the work on other commands.
      await redis.send(['UNLINK', redisKey(view)]);
    },
    async hazard() {
      const policy = await evictionPolicy(redis);
      if (policy === undefined || policy === 'noeviction') return undefined;
      const message = `The online store ${place.shown} throws features away when its memory is full (maxmemory-policy ${policy}); they are then served as missing.`;
      return new RefitError('REFIT_ONLINE_EVICTS', message, { store: place.shown, policy });
    },
    close: () => redis.close(),
  };
}

/** `maxmemory-policy` of the server, by whichever command is allowed; undefined where none is. */
async function evictionPolicy(redis: RedisConnection): Promise<string | undefined> {
  const refused = (error: unknown) => {
    if (error instanceof RefitError && error.code === 'REFIT_ONLINE_REFUSED') return undefined;
    throw error;
  };
  const [, policy] = ((await redis.send(['CONFIG', 'GET', 'maxmemory-policy']).catch(refused)) ?? []) as Buffer[];
  if (policy) return String(policy);
  const info = String((await redis.send(['INFO', 'memory']).catch(refused)) ?? '');
  return /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
}

/** Keys and packed rows, one after the other. */
function* batches(rows: readonly OnlineRow[]): Generator<(string | Buffer)[]> {
  let batch: (string | Buffer)[] = [];
  let bytes = 0;
  for (const row of rows) {
    const packed = packRow(row);
    batch.push(shortKey(row.key), packed);
    bytes += packed.length;
    if (batch.length < 2 * BATCH_ROWS && bytes < BATCH_BYTES) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
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

const PREFIX = 'refit:';
const redisKey = (view: string) => `${PREFIX}${view}`;
const viewOf = (name: string) => name.slice(PREFIX.length);

function shortKey(key: string): string {
  if (key.length * 3 <= LONGEST_KEY || Buffer.byteLength(key) <= LONGEST_KEY) return key;
  return `sha256:${createHash('sha256').update(key).digest('hex')}`;
}
