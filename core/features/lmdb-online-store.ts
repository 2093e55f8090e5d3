import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { open } from 'lmdb';
import { RefitError } from '../spec/errors.ts';
import { isNewer, type OnlineRow, type OnlineStore, type StoredValue } from './online-store.ts';

/** What lies under `[view, key]`: event time, known time, values. */
type Packed = [eventAtUs: number, knownAtUs: number, ...values: StoredValue[]];

/** Rows in one write transaction: other processes wait for it. */
const BATCH = 2_000;
/** LMDB takes keys of up to 1,978 bytes; a longer one is kept by its digest. */
const LONGEST_KEY = 1_000;

/**
 * Online store in a folder on this host, shared by its processes through LMDB's own transactions.
 * @throws RefitError REFIT_STORE_UNWRITABLE when the folder cannot be made or opened
 */
export function createLmdbOnlineStore(directory: string): OnlineStore {
  const database = openDatabase(directory);
  return {
    address: `lmdb:${directory}`,
    async put(view, rows) {
      let written = 0;
      for (let start = 0; start < rows.length; start += BATCH) {
        // Look and write in one transaction, so that no other process writes a newer row in between.
        written += await database.transaction(() => {
          const newer = rows.slice(start, start + BATCH).filter((row) => {
            const id = [view, shortKey(row.key)];
            const stored = database.get(id);
            if (!isNewer(row, stored && { eventAtUs: stored[0], knownAtUs: stored[1] })) return false;
            // Settles with the transaction, which is awaited.
            void database.put(id, [row.eventAtUs, row.knownAtUs, ...row.values]);
            return true;
          });
          return newer.length;
        });
      }
      return written;
    },
    async get(view, keys) {
      const packed = await database.getMany(keys.map((key) => [view, shortKey(key)]));
      return keys.map((key, i) => unpack(key, packed[i]));
    },
    close: () => database.close(),
  };
}

function openDatabase(directory: string) {
  try {
    mkdirSync(directory, { recursive: true });
    return open<Packed, string[]>({ path: directory, encoding: 'msgpack', compression: false });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RefitError(
      'REFIT_STORE_UNWRITABLE',
      `The online store ${directory} cannot be opened: ${reason}.`,
      { directory },
      { cause: error },
    );
  }
}

function unpack(key: string, packed: Packed | undefined): OnlineRow | undefined {
  if (!packed) return undefined;
  const [eventAtUs, knownAtUs, ...values] = packed;
  return { key, values, eventAtUs, knownAtUs };
}

function shortKey(key: string): string {
  return Buffer.byteLength(key) <= LONGEST_KEY ? key : `sha256:${createHash('sha256').update(key).digest('hex')}`;
}
