/**
 * Where the rows of a materialisation lie. What is written as a whole lies in a place of its own, so that no row of an older one
 * can answer for it, and nobody sees it half done; what only changed is written where it lies already. Places that nobody can
 * come to any more are cleared.
 */
import type { OnlineLayout } from './online-layout.ts';
import type { OnlineStore } from './online-store.ts';

/** Names a materialisation, and says which of two is newer: by asOf, then by turn. */
export interface Stamp {
  /** ISO UTC. */
  asOf: string;
  turn: number;
}

export function isLater(one: Stamp, other: Stamp): boolean {
  const [a, b] = [Date.parse(one.asOf), Date.parse(other.asOf)];
  return a > b || (a === b && one.turn > other.turn);
}

export const sameStamp = (one: Stamp, other: Stamp): boolean => !isLater(one, other) && !isLater(other, one);

/** Name in the online store of what a materialisation writes anew. `('p/1f', { asOf: '1970-01-01T00:00:01Z', turn: 3 }, 'w')` → p/1f/1000-3/w */
export function placeOf(namespace: string, { asOf, turn }: Stamp, name: string): string {
  return `${namespace}/${Date.parse(asOf)}-${turn}/${name}`;
}

/** The views that the rows of a layout lie in. */
export function placesOf({ entity, lookups }: Pick<OnlineLayout, 'entity' | 'lookups'>): string[] {
  return [entity.id, ...lookups.map(({ id }) => id)];
}

/** Key of a row in every place that was written as a whole; entities' keys are JSON arrays. */
const WHOLE = 'whole';

/** Says that a place was written; once it is lost (evicted, deleted by hand) nothing may be built on it. */
export async function markWhole(store: OnlineStore, place: string): Promise<void> {
  await store.put(place, [{ key: WHOLE, values: [], eventAtUs: 0, knownAtUs: 0 }]);
}

export async function areThere(store: OnlineStore, places: readonly string[]): Promise<boolean> {
  const rows = await Promise.all(places.map(async (place) => (await store.get(place, [WHOLE]))[0]));
  return rows.every((row) => row !== undefined);
}

/**
 * Clears what was written by materialisations up to that of the published layout, and neither it nor the layout before it names:
 * none of them can be published any more. What is stopped half way is cleared by the next one.
 */
export async function sweepPlaces(store: OnlineStore, namespace: string, published: OnlineLayout): Promise<void> {
  const kept = new Set([...placesOf(published), ...published.before]);
  for (const view of await store.views(`${namespace}/`)) {
    const [, atMs, turn] = /^(-?\d+)-(\d+)\//.exec(view.slice(namespace.length + 1)) ?? [];
    if (atMs === undefined || kept.has(view)) continue;
    const stamp = { asOf: new Date(Number(atMs)).toISOString(), turn: Number(turn) };
    if (!isLater(stamp, published)) await store.clear(view);
  }
}
