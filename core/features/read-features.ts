/** Features of entities from the online store: the spine row by its key, from there the keys of the other views. */
import type { FeatureInfo } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import { calendarValues } from './calendar.ts';
import { derivedValues } from './derive.ts';
import { answerer } from './online-answer.ts';
import { entityKey, type OnlineLayout, type OnlineLookup, readLayout } from './online-layout.ts';
import type { OnlineStore, OnlineValue } from './online-store.ts';

export interface FeatureVector {
  /** False where no spine row of that key was materialised: then every feature is missing. */
  found: boolean;
  /** By feature name. */
  values: Record<string, OnlineValue>;
}

export interface OnlineFeatures {
  /** Date as of which the values were materialised, ISO UTC. */
  asOf: string;
  features: FeatureInfo[];
  /** In the order of the keys. */
  vectors: FeatureVector[];
}

/**
 * Reads the features of entities at a time (ISO UTC), e.g. `[{ flight_id: 'AA-1-JFK-20140101' }]`.
 * @throws RefitError REFIT_USAGE when nothing was materialised in the namespace, or a key column is not given
 */
export async function readFeatures(
  store: OnlineStore,
  namespace: string,
  keys: readonly Record<string, unknown>[],
  at: string,
): Promise<OnlineFeatures> {
  const layout = await readLayout(store, namespace);
  if (!layout) {
    throw new RefitError(
      'REFIT_USAGE',
      `The online store has no features of ${namespace}: they are written by a run of the pipeline.`,
      {
        namespace,
        store: store.address,
      },
    );
  }
  return readFeaturesOf(store, layout, keys, at);
}

/** As `readFeatures`, where the layout was read already. @throws RefitError REFIT_USAGE, REFIT_ONLINE_STALE */
export async function readFeaturesOf(
  store: OnlineStore,
  layout: OnlineLayout,
  keys: readonly Record<string, unknown>[],
  at: string,
): Promise<OnlineFeatures> {
  const entities = await store.get(
    layout.entity.id,
    keys.map((key) => spineKey(layout.key, key)),
  );
  const own = layout.entity.features;
  const answers = await Promise.all(
    layout.lookups.map((lookup, position) => {
      const wanted = entities.map((entity) => entity?.values[own.length + position] ?? null);
      return lookUp(store, lookup, wanted as (string | null)[], at);
    }),
  );
  const vectors = entities.map((entity, i): FeatureVector => {
    if (!entity) return { found: false, values: Object.fromEntries(layout.features.map(({ name }) => [name, null])) };
    const values: FeatureVector['values'] = {};
    assign(values, own, entity.values as OnlineValue[]);
    for (const [position, { features }] of layout.lookups.entries()) {
      assign(values, features, answers[position]?.[i] as OnlineValue[]);
    }
    for (const view of layout.computed) Object.assign(values, computedValues(view, values, at));
    return { found: true, values };
  });
  return { asOf: layout.asOf, features: layout.features, vectors };
}

function assign(values: FeatureVector['values'], features: FeatureInfo[], from: OnlineValue[]): void {
  for (const [i, { name }] of features.entries()) values[name] = from[i] ?? null;
}

/** What is made of the time, or of features before it. */
export function computedValues(
  view: OnlineLayout['computed'][number],
  before: FeatureVector['values'],
  at: string,
): FeatureVector['values'] {
  return view.kind === 'calendar' ? calendarValues(view, Date.parse(at)) : derivedValues(view, before);
}

function spineKey(columns: string[], key: Record<string, unknown>): string {
  const parts = columns.map((column) => {
    const value = key[column];
    if (value === undefined || value === null) {
      throw new RefitError('REFIT_USAGE', `The key has no "${column}"; an entity is named by ${columns.join(', ')}.`, {
        key,
        columns,
      });
    }
    return String(value);
  });
  return entityKey(parts) as string;
}

/** The values of a look-up for each wanted key; null = no key, which nothing matches. */
async function lookUp(
  store: OnlineStore,
  lookup: OnlineLookup,
  wanted: (string | null)[],
  at: string,
): Promise<OnlineValue[][]> {
  // Many entities share a key (all flights of an airport): each is fetched and computed once.
  const distinct = [...new Set(wanted.filter((key) => key !== null))];
  const rows = await store.get(lookup.id, distinct);
  const answer = answerer(lookup, at);
  const byKey = new Map(distinct.map((key, i) => [key, answer(rows[i]).values]));
  return wanted.map((key) => (key === null ? lookup.absent : (byKey.get(key) as OnlineValue[])));
}
