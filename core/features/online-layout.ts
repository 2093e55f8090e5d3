/**
 * How a pipeline's features lie in the online store: what the writer (materialize.ts) and the reader (read-features.ts) agree
 * on. The reader needs no SQL engine and no source.
 */
import type { FeatureInfo } from '../spec/artifacts.ts';
import type { FeatureView, SpineSpec } from '../spec/pipeline.ts';
import { digestOf } from '../store/digest.ts';
import type { OnlineStore, OnlineValue } from './online-store.ts';

/** Values of one view that are looked up together, by one key. */
export interface OnlineLookup {
  /** View's name in the online store. */
  id: string;
  view: string;
  features: FeatureInfo[];
  /** What a feature is where the entity has no row: null, or 0 for a count of nothing. */
  absent: OnlineValue[];
  /** An older row no longer answers; absent = it always does. */
  ttl?: string;
}

export interface OnlineLayout {
  asOf: string;
  /** Key columns of the spine, in order. */
  key: string[];
  /** Spine row by its key: values of `features`, then for each look-up the key to look up (null = unknown). */
  entity: { id: string; features: FeatureInfo[] };
  lookups: OnlineLookup[];
  /** All features, in the pipeline's order. */
  features: FeatureInfo[];
}

/** Where the features of a pipeline lie; another set of views lies elsewhere, so that two versions can serve side by side. */
export function onlineNamespace(pipeline: string, spine: SpineSpec, views: FeatureView[]): string {
  return `${pipeline}/${digestOf({ key: spine.key, source: spine.source, views }).slice(0, 16)}`;
}

/** An entity's key as text. `['JFK', 'AA']` → `["JFK","AA"]`; null when a part is missing, because NULL matches nothing. */
export function entityKey(parts: readonly (string | null)[]): string | null {
  return parts.includes(null) ? null : JSON.stringify(parts);
}

const LAYOUTS = 'layout';

/** Publishes a layout; one as of an earlier date never replaces it. */
export async function writeLayout(store: OnlineStore, namespace: string, layout: OnlineLayout): Promise<void> {
  const asOfUs = Date.parse(layout.asOf) * 1000;
  await store.put(LAYOUTS, [
    { key: namespace, values: [JSON.stringify(layout)], eventAtUs: asOfUs, knownAtUs: asOfUs },
  ]);
}

/** The newest layout of a namespace; undefined where nothing was materialised yet. */
export async function readLayout(store: OnlineStore, namespace: string): Promise<OnlineLayout | undefined> {
  const [row] = await store.get(LAYOUTS, [namespace]);
  return row === undefined ? undefined : (JSON.parse(String(row.values[0])) as OnlineLayout);
}
