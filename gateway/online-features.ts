/** Completes instances that name an entity: what they do not bring comes from the online store. */
import { onlineNamespace, readLayout } from '../core/features/online-layout.ts';
import type { OnlineStore } from '../core/features/online-store.ts';
import { readFeaturesOf } from '../core/features/read-features.ts';
import type { FeatureInfo } from '../core/spec/artifacts.ts';
import { RefitError } from '../core/spec/errors.ts';
import type { PipelineSpec } from '../core/spec/pipeline.ts';
import type { FeatureTable } from './feature-table.ts';
import { packRows } from './feature-table.ts';
import { shown } from './http-errors.ts';
import type { Instance } from './instances.ts';

export interface FeatureLookup {
  /**
   * The features of all instances. `asOf` (canonical) says at which time they are asked for; without it that is the time the
   * features were materialised for where the pipeline follows its data (`asOf: 'latest'`), else the clock.
   * `missing`: how many values of each view were looked up and not there.
   * @throws RefitError REFIT_ENTITY_UNKNOWN, REFIT_REQUEST_INVALID for a time before the features'
   */
  complete(instances: Instance[], asOf?: string): Promise<{ table: FeatureTable; missing: Record<string, number> }>;
  /** How fresh the features are; undefined where none were materialised. @throws RefitError of the online store */
  freshness(): Promise<Freshness | undefined>;
}

export interface Freshness {
  /** What the features were brought to, ISO UTC. */
  asOf: string;
  /** View → its newest event, milliseconds since 1970; views without events are left out. */
  newestMs: ReadonlyMap<string, number>;
}

/** `store` is opened when an entity is first asked for. */
export function createFeatureLookup(
  store: () => OnlineStore,
  { name, asOf: rule, spine, features: views }: Pick<PipelineSpec, 'name' | 'asOf' | 'spine' | 'features'>,
  features: FeatureInfo[],
): FeatureLookup {
  const namespace = onlineNamespace(name, spine, views);

  async function vectorsOf(asked: { instance: Instance; position: number }[], asOf: string | undefined) {
    const layout = await readLayout(store(), namespace);
    if (!layout) {
      const message = `No online features of ${name} were materialised for the champion's views yet.`;
      throw new RefitError('REFIT_ENTITY_UNKNOWN', message, { model: name });
    }
    const keys = asked.map(({ instance }) => instance.key ?? {});
    const { vectors } = await readFeaturesOf(store(), layout, keys, timeOf(layout.asOf, asOf));
    const unknown = asked.filter((_, i) => !vectors[i]?.found);
    const [first] = unknown;
    if (first) {
      const more = unknown.length > 1 ? `, and ${unknown.length - 1} more,` : '';
      throw new RefitError(
        'REFIT_ENTITY_UNKNOWN',
        `The entity ${shown(JSON.stringify(first.instance.key), 300)} of instances[${first.position}]${more} has no online features as of ${layout.asOf}.`,
        { asOf: layout.asOf, instances: unknown.slice(0, 100).map(({ position }) => position) },
      );
    }
    return vectors;
  }

  /** The store holds the newest values only: of an earlier time it knows too much. */
  function timeOf(materialised: string, asked: string | undefined): string {
    if (asked === undefined) {
      const now = new Date().toISOString();
      return rule === 'latest' || now < materialised ? materialised : now;
    }
    if (Date.parse(asked) >= Date.parse(materialised)) return asked;
    throw new RefitError(
      'REFIT_REQUEST_INVALID',
      `The online features of ${name} are as of ${materialised}; they cannot answer for the earlier ${asked}.`,
      { asOf: materialised },
    );
  }

  return {
    async freshness() {
      const layout = await readLayout(store(), namespace);
      if (!layout) return undefined;
      const newestMs = new Map<string, number>();
      for (const { view, newestUs } of layout.lookups) {
        if (newestUs !== null) newestMs.set(view, Math.max(newestMs.get(view) ?? -Infinity, newestUs / 1000));
      }
      return { asOf: layout.asOf, newestMs };
    },
    async complete(instances, asOf) {
      const asked = instances.flatMap((instance, position) => (instance.lookUp ? [{ instance, position }] : []));
      const rows = instances.map(({ given }) => given);
      const missing: Record<string, number> = {};
      if (asked.length > 0) {
        for (const [i, { values }] of (await vectorsOf(asked, asOf)).entries()) {
          const { instance, position } = asked[i] as (typeof asked)[number];
          const row = { ...values, ...instance.given };
          rows[position] = row;
          for (const { name: feature, view } of features) {
            if ((row[feature] ?? null) === null) missing[view] = (missing[view] ?? 0) + 1;
          }
        }
      }
      return { table: packRows(features, rows), missing };
    },
  };
}
