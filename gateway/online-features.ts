/** Completes instances that name an entity: what they do not bring comes from the online store. */
import { onlineNamespace, readLayout } from '../core/features/online-layout.ts';
import type { OnlineStore } from '../core/features/online-store.ts';
import { createFeatureReader, type FeatureColumns, type FeatureReader } from '../core/features/read-features.ts';
import type { FeatureInfo } from '../core/spec/artifacts.ts';
import { RefitError } from '../core/spec/errors.ts';
import type { PipelineSpec } from '../core/spec/pipeline.ts';
import { type FeatureTable, fillRows, packRows } from './feature-table.ts';
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
  let reader: FeatureReader | undefined;

  async function lookUp(asked: readonly Asked[], asOf: string | undefined): Promise<FeatureColumns> {
    reader ??= createFeatureReader(store(), namespace);
    const keys = asked.map(({ key }) => key);
    const read = await reader.read(keys, (materialised) => timeOf(materialised, asOf));
    if (!read) {
      const message = `No online features of ${name} were materialised for the champion's views yet.`;
      throw new RefitError('REFIT_ENTITY_UNKNOWN', message, { model: name });
    }
    const unknown = asked.filter((_, i) => !read.found[i]);
    const [first] = unknown;
    if (first) {
      const more = unknown.length > 1 ? `, and ${unknown.length - 1} more,` : '';
      throw new RefitError(
        'REFIT_ENTITY_UNKNOWN',
        `The entity ${shown(JSON.stringify(first.key), 300)} of instances[${first.position}]${more} has no online features as of ${read.asOf}.`,
        { asOf: read.asOf, instances: unknown.slice(0, 100).map(({ position }) => position) },
      );
    }
    return read;
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
      const rows = instances.map(({ given }) => given);
      const table = packRows(features, rows);
      const asked = instances.flatMap(({ lookUp: wanted, key, given }, position): Asked[] => {
        return wanted ? [{ key: key ?? {}, given, position }] : [];
      });
      if (asked.length === 0) return { table, missing: {} };
      return { table, missing: fillRows(features, table, await lookUp(asked, asOf), asked) };
    },
  };
}

interface Asked {
  key: Record<string, string>;
  given: Instance['given'];
  /** Among the instances of the request. */
  position: number;
}
