/**
 * What the online store knows about its own materialisations: which one is finished, which one is under way, and how far that
 * one came. A process that dies leaves this behind, and the next attempt goes on from there. Those of one pipeline take turns:
 * each has a number, and who takes a turn while another is under way builds on nothing of it.
 */
import type { BlobRef, Snapshot } from '../spec/artifacts.ts';
import type { SpineSpec } from '../spec/pipeline.ts';
import { digestOf } from '../store/digest.ts';
import { type OnlineLayout, readLayout, writeLayout } from './online-layout.ts';
import { areThere, isLater, placeOf, placesOf, type Stamp, sameStamp, sweepPlaces } from './online-places.ts';
import type { OnlineStore } from './online-store.ts';

/** The data that a materialisation was made from. */
export interface MaterializedData {
  asOf: string;
  sources: Record<string, { columns: string; partitions: BlobRef[] }>;
}

export interface Progress {
  stamp: Stamp;
  /** The finished materialisation that this one may build on, and what it published; undefined where everything has to be written. */
  before: { data: MaterializedData; layout: OnlineLayout } | undefined;
  /** What an attempt before this one published, and died before it could say that all is done. */
  published: OnlineLayout | undefined;
  /** How far the rows of a place came: keys before this one are written. */
  of(place: string): Promise<number>;
  reached(place: string, nextId: number): Promise<void>;
  /**
   * Makes the layout what is served, and clears what it supersedes. An older one than what is served meanwhile changes nothing.
   * @returns false where another was published that this one does not build on: everything has to be written
   */
  publish(layout: Omit<OnlineLayout, 'asOf' | 'turn' | 'before'>): Promise<boolean>;
}

const FINISHED = 'materialized';
const UNDER_WAY = 'materializing';

interface Finished extends MaterializedData {
  turn: number;
}

interface UnderWay {
  /** Of the materialisation; null when it is finished. */
  id: string | null;
  turn: number;
  /** Everything is written, not just what changed. */
  whole: boolean;
}

export function dataOf(asOf: string, snapshots: Record<string, Snapshot>): MaterializedData {
  const sources = Object.entries(snapshots).map(([name, { columns, partitions }]) => {
    return [name, { columns: digestOf(columns), partitions: partitions.map(({ data }) => data) }] as const;
  });
  return { asOf, sources: Object.fromEntries(sources) };
}

/**
 * What is served, if it was made from this very data for the same entities, or is as of a later date, and all of it is there: then
 * bringing it there changes nothing.
 */
export async function findBrought(
  store: OnlineStore,
  namespace: string,
  data: MaterializedData,
  spine: SpineSpec,
): Promise<OnlineLayout | undefined> {
  const finished = await read<Finished>(store, FINISHED, namespace);
  if (!finished) return undefined;
  const { turn: _, ...brought } = finished;
  if (Date.parse(brought.asOf) <= Date.parse(data.asOf) && digestOf(brought) !== digestOf(data)) return undefined;
  const layout = await readLayout(store, namespace);
  if (layout?.entity.spine !== digestOf(spine)) return undefined;
  return (await areThere(store, placesOf(layout))) ? layout : undefined;
}

interface Wanted {
  data: MaterializedData;
  /** Chooses the entities. */
  spine: SpineSpec;
  /** A token that sets a forced one apart from those before it. */
  anew?: string | undefined;
}

/** Opens the books for one materialisation. */
export async function startProgress(store: OnlineStore, namespace: string, wanted: Wanted): Promise<Progress> {
  const { data } = wanted;
  const { own, finished } = await takeTurn(store, namespace, wanted);
  const stamp = { asOf: data.asOf, turn: own.turn };
  const layout = await readLayout(store, namespace);
  const builds = !own.whole && finished !== undefined && layout?.turn === finished.turn;
  const reached = placeOf(namespace, stamp, 'reached');
  // What was written of the changes since one layout says nothing of those since another.
  const keyOf = (place: string) => `${builds ? layout.turn : 'whole'}/${place}`;
  return {
    stamp,
    before: builds ? { data: finished, layout } : undefined,
    published: layout && sameStamp(layout, stamp) ? layout : undefined,
    async of(place) {
      const [row] = await store.get(reached, [keyOf(place)]);
      return Number(row?.values[0] ?? 0);
    },
    async reached(place, nextId) {
      await store.put(reached, [{ key: keyOf(place), values: [nextId], eventAtUs: nextId, knownAtUs: 0 }]);
    },
    async publish(made) {
      const served = await readLayout(store, namespace);
      const other = served !== undefined && !sameStamp(served, stamp);
      if (builds && other && served.turn !== layout.turn && !isLater(served, stamp)) return false;
      const before = !served ? [] : other ? placesOf(served) : served.before;
      await writeLayout(store, namespace, { ...made, ...stamp, before });
      await write(store, FINISHED, namespace, { ...data, turn: stamp.turn }, [Date.parse(data.asOf), stamp.turn]);
      await write(store, UNDER_WAY, namespace, { ...own, id: null }, [own.turn, 1]);
      const published = await readLayout(store, namespace);
      if (published) await sweepPlaces(store, namespace, published);
      return true;
    },
  };
}

/** The turn that an attempt at this very materialisation had, or a new one. */
async function takeTurn(
  store: OnlineStore,
  namespace: string,
  { data, spine, anew }: Wanted,
): Promise<{ own: UnderWay; finished: Finished | undefined }> {
  for (;;) {
    const found = await read<UnderWay>(store, UNDER_WAY, namespace);
    const finished = await read<Finished>(store, FINISHED, namespace);
    const id = digestOf({ namespace, data, spine, before: finished ?? null, anew: anew ?? null });
    if (found?.id === id) return { own: found, finished };
    // One that died between its last two entries is finished. What another one left half done is in no book: only writing
    // everything anew is sure to replace it.
    const abandoned = found !== undefined && found.id !== null && found.turn !== finished?.turn;
    const later = finished !== undefined && Date.parse(finished.asOf) <= Date.parse(data.asOf);
    // Of the two entries, either may have been evicted: no turn is taken twice.
    const turn = Math.max(found?.turn ?? 0, finished?.turn ?? 0) + 1;
    const own = { id, turn, whole: abandoned || !later || anew !== undefined };
    if (await write(store, UNDER_WAY, namespace, own, [own.turn, 0])) return { own, finished };
  }
}

async function read<T>(store: OnlineStore, view: string, key: string): Promise<T | undefined> {
  const [row] = await store.get(view, [key]);
  return row && (JSON.parse(String(row.values[0])) as T);
}

/** @returns whether it was written, and not one as new or newer before it */
async function write(
  store: OnlineStore,
  view: string,
  key: string,
  value: unknown,
  [eventAtUs, knownAtUs]: [number, number],
): Promise<boolean> {
  const row = { key, values: [JSON.stringify(value)], eventAtUs, knownAtUs };
  return (await store.put(view, [row], 'strictly')) === 1;
}
