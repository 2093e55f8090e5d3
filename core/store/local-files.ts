/**
 * For how long a local copy of an object stays: until the work that asked for it ends. Work that is not bounded so (a gateway
 * that serves a model) keeps its files until its process ends.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

const scopes = new AsyncLocalStorage<Map<string, () => void>>();

/** Runs work; local files that stores hand out meanwhile may be evicted again when it has ended. */
export async function releasingLocalFiles<T>(work: () => Promise<T>): Promise<T> {
  const releases = new Map<string, () => void>();
  try {
    return await scopes.run(releases, work);
  } finally {
    for (const release of releases.values()) release();
  }
}

/** Registers a file with the work that is under way; `hold` is called once for each file and work. */
export function heldByWork(name: string, hold: () => () => void): void {
  const releases = scopes.getStore();
  if (!releases) hold();
  else if (!releases.has(name)) releases.set(name, hold());
}
