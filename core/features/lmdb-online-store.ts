import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { open } from 'lmdb';
import { RefitError } from '../spec/errors.ts';
import { eventAtUsOf, knownAtUsOf, packRow, unpackRow } from './online-row-bytes.ts';
import { isNewer, type OnlineStore } from './online-store.ts';

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
    async put(view, rows, strictly) {
      let written = 0;
      for (let start = 0; start < rows.length; start += BATCH) {
        // Look and write in one transaction, so that no other process writes a newer row in between.
        written += await database.transaction(() => {
          let newer = 0;
          for (const row of rows.slice(start, start + BATCH)) {
            const id = [view, shortKey(row.key)];
            const stored = database.getBinaryFast(id);
            const times = stored && { eventAtUs: eventAtUsOf(stored), knownAtUs: knownAtUsOf(stored) };
            if (!isNewer(row, times, strictly)) continue;
            // Settles with the transaction, which is awaited.
            void database.put(id, packRow(row));
            newer += 1;
          }
          return newer;
        });
      }
      return written;
    },
    async get(view, keys) {
      return keys.map((key) => {
        const bytes = database.getBinary([view, shortKey(key)]);
        return bytes && unpackRow(key, bytes);
      });
    },
    async scan(view, keys, use) {
      // The file is mapped into memory: reading it here is quicker than asking a thread to. The bytes are LMDB's own, and good
      // until the next row is read.
      for (let place = 0; place < keys.length; place++) {
        const bytes = database.getBinaryFast([view, shortKey(keys[place] as string)]);
        if (bytes) use(bytes, place);
      }
    },
    async views(prefix) {
      const found: string[] = [];
      for (let start = prefix; ; start = after(found.at(-1) ?? '')) {
        const [next] = database.getKeys({ start: [start], limit: 1 });
        const view = next?.[0];
        if (view === undefined || !view.startsWith(prefix)) return found;
        found.push(view);
      }
    },
    async clear(view) {
      for (;;) {
        const removed = await database.transaction(() => {
          const ids = [...database.getKeys({ start: [view], end: [after(view)], limit: BATCH })];
          for (const id of ids) void database.remove(id);
          return ids.length;
        });
        if (removed < BATCH) return;
      }
    },
    hazard: async () => undefined,
    close: () => database.close(),
  };
}

function openDatabase(directory: string) {
  try {
    mkdirSync(directory, { recursive: true });
    return open<Buffer, string[]>({ path: directory, encoding: 'binary', compression: false });
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

/** Sorts after all keys of a view, and before those of a view whose name goes on; LMDB has another order for control characters. */
const after = (view: string): string => `${view} `;

function shortKey(key: string): string {
  if (key.length * 3 <= LONGEST_KEY || Buffer.byteLength(key) <= LONGEST_KEY) return key;
  return `sha256:${createHash('sha256').update(key).digest('hex')}`;
}
