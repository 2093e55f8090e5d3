/** What to do with objects of which the store itself says that their bytes are not what was stored. */
import { RefitError } from '../spec/errors.ts';
import type { ObjectStore, StoredObject } from './ports.ts';

/** Runs a read; undefined where the store says that the bytes are damaged. */
export async function unlessDamaged<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (isDamage(error)) return undefined;
    throw error;
  }
}

/** Whether an error says that stored bytes are not what was stored. */
function isDamage(error: unknown): error is RefitError {
  return error instanceof RefitError && error.code === 'REFIT_STORE_CORRUPT';
}

/** As `get`, for who mends what is damaged: its etag without its bytes. */
export async function getOrDamage(
  objects: ObjectStore,
  key: string,
): Promise<StoredObject | { body: undefined; etag: string } | undefined> {
  try {
    return await objects.get(key);
  } catch (error) {
    // Marking the damage has changed the etag.
    const now = isDamage(error) ? await objects.stat(key) : undefined;
    if (!now) throw error;
    return { body: undefined, etag: now.etag };
  }
}
