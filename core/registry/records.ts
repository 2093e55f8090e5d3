import { RefitError } from '../spec/errors.ts';
import { canonicalJson } from '../store/digest.ts';
import type { ObjectStore } from '../store/ports.ts';

/** JSON records in an object store: read with their etag, created once, changed by compare-and-set. */

export async function readRecord<T>(
  objects: ObjectStore,
  key: string,
): Promise<{ value: T; etag: string } | undefined> {
  const object = await objects.get(key);
  if (!object) return undefined;
  try {
    return { value: JSON.parse(new TextDecoder().decode(object.body)) as T, etag: object.etag };
  } catch (error) {
    throw new RefitError(
      'REFIT_STORE_CORRUPT',
      `The record ${key} of the store is damaged.`,
      { key },
      { cause: error },
    );
  }
}

const bytes = (value: unknown) => new TextEncoder().encode(`${canonicalJson(value)}\n`);

/** @returns false where something is there already. */
export async function createRecord(objects: ObjectStore, key: string, value: unknown): Promise<boolean> {
  return (await objects.put(key, bytes(value), { create: true })) !== undefined;
}

const MOST_TRIES = 50;

/**
 * Changes a record by compare-and-set until it holds: `change` is called with what is there and answers the new value, or
 * undefined to leave it. @returns what is there afterwards. @throws RefitError REFIT_CONFLICT
 */
export async function updateRecord<T>(
  objects: ObjectStore,
  key: string,
  change: (before: T | undefined) => T | undefined,
): Promise<T | undefined> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const before = await readRecord<T>(objects, key);
    const after = change(before?.value);
    if (after === undefined) return before?.value;
    const condition = before ? { ifMatch: before.etag } : ({ create: true } as const);
    if ((await objects.put(key, bytes(after), condition)) !== undefined) return after;
  }
  throw new RefitError('REFIT_CONFLICT', `The record ${key} is being changed by others all the time.`, { key });
}
