/**
 * How a pipeline's features lie in the online store: what the writer (materialize.ts) and the reader (read-features.ts) agree
 * on. The reader needs no SQL engine and no source.
 */
import type { FeatureInfo } from '../spec/artifacts.ts';
import type { AgeSpec, Aggregate, CalendarView, DerivedView, FeatureView, SpineSpec } from '../spec/pipeline.ts';
import { digestOf } from '../store/digest.ts';
import type { OnlineStore, OnlineValue } from './online-store.ts';

/** How the kept rows of a view answer. */
export type OnlineRead =
  | {
      kind: 'latest';
      ttl?: string;
      /** Forecasts: rows count so much before their event time. */
      aheadUs: number;
      /** By feature: whether it is the age of the row, in this unit, and not a value of it. */
      ages: (AgeSpec['unit'] | null)[];
    }
  | {
      kind: 'window';
      /** Length of the window; null = all history. */
      overUs: number | null;
      /** Only the newest so many rows. */
      last: number | null;
      /** By feature. */
      measures: Pick<Aggregate, 'fn' | 'q'>[];
    };

/** Values of one view that are looked up together, by one key, and are known together. */
export interface OnlineLookup {
  /** View's name in the online store: where its rows lie. */
  id: string;
  /** Name of these features among those of the pipeline, wherever they lie. */
  part: string;
  view: string;
  features: FeatureInfo[];
  /** What a feature is where the entity has no row: null, or 0 for a count of nothing. */
  absent: OnlineValue[];
  /** By column of the kept rows: whether it holds texts. */
  texts: boolean[];
  read: OnlineRead;
  /** Newest event that was known, in microseconds since 1970; null where there is none. */
  newestUs: number | null;
  /** Rows that its place was written with as a whole, and that were written there since. */
  size: { whole: number; since: number };
}

export interface OnlineLayout {
  asOf: string;
  /** Which materialisation made it: a later one of the same asOf has a greater number. */
  turn: number;
  /** Key columns of the spine, in order. */
  key: string[];
  /**
   * Spine row by its key: values of `features`, then for each look-up the key to look up (null = unknown). `rows`: how many there
   * are; `spine`: digest of the declaration that chose them.
   */
  entity: { id: string; features: FeatureInfo[]; rows: number; spine: string };
  lookups: OnlineLookup[];
  /** Views that are computed from the time and from the features before them. */
  computed: (CalendarView | DerivedView)[];
  /** All features, in the pipeline's order. */
  features: FeatureInfo[];
  /** Views of the layout before, which somebody may be in the middle of reading. */
  before: string[];
}

/** Raised when what is stored changes its shape: features of an older Refit then lie elsewhere, and are never misread. */
const LAYOUT_VERSION = 7;

/** Where the features of a pipeline lie; another set of views lies elsewhere, so that two versions can serve side by side. */
export function onlineNamespace(pipeline: string, spine: SpineSpec, views: FeatureView[]): string {
  return `${pipeline}/${digestOf({ layout: LAYOUT_VERSION, key: spine.key, source: spine.source, views }).slice(0, 16)}`;
}

/** An entity's key as text. `['JFK', 'AA']` → `["JFK","AA"]`; null when a part is missing, because NULL matches nothing. */
export function entityKey(parts: readonly (string | null)[]): string | null {
  return parts.includes(null) ? null : JSON.stringify(parts);
}

/** Where all layouts lie, by namespace. */
export const LAYOUTS = 'layout';

/** Publishes a layout; one of an earlier date, or of an earlier turn at the same one, never replaces it. */
export async function writeLayout(store: OnlineStore, namespace: string, layout: OnlineLayout): Promise<void> {
  const eventAtUs = Date.parse(layout.asOf) * 1000;
  await store.put(LAYOUTS, [{ key: namespace, values: [JSON.stringify(layout)], eventAtUs, knownAtUs: layout.turn }]);
}

/** The newest layout of a namespace; undefined where nothing was materialised yet. */
export async function readLayout(store: OnlineStore, namespace: string): Promise<OnlineLayout | undefined> {
  const [row] = await store.get(LAYOUTS, [namespace]);
  return row === undefined ? undefined : (JSON.parse(String(row.values[0])) as OnlineLayout);
}
