/** Features of entities from the online store: the spine row by its key, from there the keys of the other views. */
import type { FeatureInfo } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import { shift } from '../spec/time.ts';
import { entityKey, type OnlineLookup, readLayout } from './online-layout.ts';
import type { OnlineRow, OnlineStore, OnlineValue } from './online-store.ts';

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
  const entities = await store.get(
    layout.entity.id,
    keys.map((key) => spineKey(layout.key, key)),
  );
  const own = layout.entity.features;
  const vectors = entities.map((entity) =>
    vectorOf(
      own,
      entity?.values,
      own.map(() => null),
      entity !== undefined,
    ),
  );
  await Promise.all(
    layout.lookups.map(async (lookup, position) => {
      const wanted = entities.map((entity) => entity?.values[own.length + position] ?? null);
      await addLookup(store, lookup, wanted as (string | null)[], vectors, at);
    }),
  );
  return { asOf: layout.asOf, features: layout.features, vectors };
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

async function addLookup(
  store: OnlineStore,
  lookup: OnlineLookup,
  wanted: (string | null)[],
  vectors: FeatureVector[],
  at: string,
) {
  // Many entities share a key (all flights of an airport): each is fetched once.
  const distinct = [...new Set(wanted.filter((key) => key !== null))];
  const rows = await store.get(lookup.id, distinct);
  const byKey = new Map(distinct.map((key, i) => [key, fresh(rows[i], lookup.ttl, at)]));
  for (const [i, key] of wanted.entries()) {
    const row = key === null ? undefined : byKey.get(key);
    const vector = vectors[i] as FeatureVector;
    const absent = vector.found ? lookup.absent : lookup.absent.map(() => null);
    Object.assign(vector.values, vectorOf(lookup.features, row?.values, absent, vector.found).values);
  }
}

/** A row exactly as old as the ttl still answers. */
function fresh(row: OnlineRow | undefined, ttl: string | undefined, at: string): OnlineRow | undefined {
  if (!row || ttl === undefined) return row;
  return row.eventAtUs < shift(new Date(at), ttl, -1).getTime() * 1000 ? undefined : row;
}

function vectorOf(
  features: FeatureInfo[],
  values: OnlineValue[] | undefined,
  absent: OnlineValue[],
  found: boolean,
): FeatureVector {
  const from = values ?? absent;
  return { found, values: Object.fromEntries(features.map(({ name }, i) => [name, from[i] ?? null])) };
}
