import type { Static, TSchema } from 'typebox';
import Value from 'typebox/value';
import { RefitError } from '../spec/errors.ts';
import { getOrDamage } from '../store/damage.ts';
import { canonicalJson } from '../store/digest.ts';
import type { ObjectStore, PutCondition } from '../store/ports.ts';

/** A checked JSON object and its etag; undefined when there is none. @throws RefitError REFIT_REGISTRY_DAMAGED */
export async function readJson<Schema extends TSchema>(
  objects: ObjectStore,
  key: string,
  schema: Schema,
): Promise<{ value: Static<Schema>; etag: string } | undefined> {
  const found = await getOrDamage(objects, key);
  if (!found) return undefined;
  const value = found.body && parseJson(found.body);
  if (!Value.Check(schema, value)) {
    throw new RefitError('REFIT_REGISTRY_DAMAGED', `${key} in the store is damaged.`, { key });
  }
  return { value, etag: found.etag };
}

/** What JSON says, or undefined where it is none. */
export function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch {
    return undefined;
  }
}

/** Canonical JSON with a line end. */
export function jsonBytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(`${canonicalJson(value)}\n`);
}

/** @returns false when the condition did not hold. */
export async function writeJson(
  objects: ObjectStore,
  key: string,
  value: unknown,
  condition: PutCondition,
): Promise<boolean> {
  return (await objects.put(key, jsonBytes(value), condition)) !== undefined;
}

/**
 * Tries until a compare-and-set goes through. Each lost round means that somebody else got on, so many rounds lost in a row
 * mean something is wrong. `attempt` answers undefined for a lost round.
 * @throws RefitError REFIT_CONFLICT
 */
export async function untilSettled<T extends object | number>(
  what: string,
  attempt: () => Promise<T | undefined>,
): Promise<T> {
  for (let left = 100; left > 0; left--) {
    const outcome = await attempt();
    if (outcome !== undefined) return outcome;
  }
  throw new RefitError('REFIT_CONFLICT', `${what} is being changed by others all the time.`, { what });
}
