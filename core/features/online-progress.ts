/**
 * What the online store knows about its own materialisations: which one is finished, which one is under way, and how far that
 * one came. A process that dies leaves this behind, and the next attempt goes on from there.
 */
import type { BlobRef, Snapshot } from '../spec/artifacts.ts';
import { digestOf } from '../store/digest.ts';
import type { OnlineStore } from './online-store.ts';

/** The data that a materialisation was made from. */
export interface MaterializedData {
  asOf: string;
  sources: Record<string, { columns: string; partitions: BlobRef[] }>;
}

export interface Progress {
  /** The finished materialisation that this one may build on; undefined where everything has to be written. */
  before: MaterializedData | undefined;
  /** How far a part came: keys before `nextId` are written, `newestUs` is the newest event among them. */
  of(part: string): Promise<{ nextId: number; newestUs: number | undefined }>;
  reached(part: string, nextId: number, newestUs: number | undefined): Promise<void>;
  /** After the layout was published. */
  finish(): Promise<void>;
}

const FINISHED = 'materialized';
const UNDER_WAY = 'materializing';
const REACHED = 'materializing-part';

export function dataOf(asOf: string, snapshots: Record<string, Snapshot>): MaterializedData {
  const sources = Object.entries(snapshots).map(([name, { columns, partitions }]) => {
    return [name, { columns: digestOf(columns), partitions: partitions.map(({ data }) => data) }] as const;
  });
  return { asOf, sources: Object.fromEntries(sources) };
}

/** Opens the books for one materialisation. `anew`: a token that sets a forced one apart from those before it. */
export async function startProgress(
  store: OnlineStore,
  namespace: string,
  data: MaterializedData,
  anew: string | undefined,
): Promise<Progress> {
  const read = async <T>(view: string): Promise<T | undefined> => {
    const [row] = await store.get(view, [namespace]);
    return row && (JSON.parse(String(row.values[0])) as T);
  };
  const nowUs = Date.now() * 1000;
  const write = (view: string, value: unknown, timeUs: number) =>
    store.put(view, [{ key: namespace, values: [JSON.stringify(value)], eventAtUs: timeUs, knownAtUs: nowUs }]);

  const finished = await read<MaterializedData>(FINISHED);
  const id = digestOf({ namespace, data, before: finished ?? null, anew: anew ?? null });
  const found = await read<UnderWay>(UNDER_WAY);
  const own = found?.id === id ? found : begun(id, found, finished, data, anew);
  if (own !== found) await write(UNDER_WAY, own, nowUs);
  return {
    before: own.whole ? undefined : finished,
    async of(part) {
      const [row] = await store.get(REACHED, [`${own.attempt}/${part}`]);
      const [nextId = 0, newestUs = null] = (row?.values ?? []) as [number?, (number | null)?];
      return { nextId, newestUs: newestUs ?? undefined };
    },
    async reached(part, nextId, newestUs) {
      const values = [nextId, newestUs ?? null];
      await store.put(REACHED, [{ key: `${own.attempt}/${part}`, values, eventAtUs: nextId, knownAtUs: 0 }]);
    },
    async finish() {
      await write(FINISHED, data, Date.parse(data.asOf) * 1000);
      await write(UNDER_WAY, { ...own, id: null }, Date.now() * 1000);
    },
  };
}

interface UnderWay {
  /** Of the materialisation; null when it is finished. */
  id: string | null;
  /** Name under which it keeps how far it came. */
  attempt: string;
  /** Everything is written, not just what changed. */
  whole: boolean;
}

function begun(
  id: string,
  found: UnderWay | undefined,
  finished: MaterializedData | undefined,
  data: MaterializedData,
  anew: string | undefined,
): UnderWay {
  // What another one left half done is in no book: only writing everything anew is sure to replace it.
  const abandoned = found !== undefined && found.id !== null;
  const later = finished !== undefined && Date.parse(finished.asOf) <= Date.parse(data.asOf);
  const attempt = digestOf({ id, after: abandoned ? found.attempt : null });
  return { id, attempt, whole: abandoned || !later || anew !== undefined };
}
