/** A version of a model, ready to be asked: everything a request needs, and nothing that changes. */
import type { Refit } from '../core/compose/refit.ts';
import { readSnapshot } from '../core/dataset/read-snapshot.ts';
import type { Champion, VersionManifest } from '../core/registry/schemas.ts';
import { readManifest } from '../core/registry/versions.ts';
import { RefitError } from '../core/spec/errors.ts';
import type { PipelineSpec } from '../core/spec/pipeline.ts';
import { createBatcher } from './batcher.ts';
import type { FeatureTable } from './feature-table.ts';
import type { InferencePool } from './inference-pool.ts';
import { createInstanceReader, type InstanceReader } from './instances.ts';
import { createFeatureLookup, type FeatureLookup } from './online-features.ts';
import { rowColumns } from './row-columns.ts';
import type { Settings } from './settings.ts';

/** Scores from here on are `label: true`. */
const THRESHOLD = 0.5;

export interface ServedModel {
  name: string;
  version: number;
  manifest: VersionManifest;
  spec: Pick<PipelineSpec, 'question' | 'spine'>;
  instances: InstanceReader;
  features: FeatureLookup;
  /** Probabilities [rows], together with other requests. @throws RefitError REFIT_OVERLOADED and what inference throws */
  score(table: FeatureTable): Promise<Float32Array>;
  label(score: number): boolean;
}

export interface ModelLoader {
  /**
   * A version whose files are whole; it is opened first where it will be asked at once.
   * @throws RefitError REFIT_REGISTRY_DAMAGED, REFIT_STORE_CORRUPT, REFIT_MODEL_UNSUPPORTED
   */
  load(model: string, champion: Champion): Promise<ServedModel>;
}

export interface LoaderDependencies {
  refit: Pick<Refit, 'blobs' | 'objects' | 'online'>;
  pool: InferencePool;
  settings: Pick<Settings, 'batchRows' | 'queueRows' | 'warm'>;
  onBatch(model: string, rows: number): void;
}

export function createModelLoader({ refit, pool, settings, onBatch }: LoaderDependencies): ModelLoader {
  /** Columns of the table that the model was made from; none where its manifest is gone. */
  async function columnsOf({ lineage }: VersionManifest, { spine }: PipelineSpec): Promise<string[]> {
    const id = lineage.sources[spine.source]?.snapshot;
    if (id === undefined) return [];
    const { columns } = await readSnapshot(refit.objects, spine.source, id).catch(() => ({ columns: [] }));
    return columns.map(({ name }) => name);
  }

  return {
    async load(name, champion) {
      const manifest = await readManifest(refit.objects, name, champion.version);
      const { onnx, features } = manifest.trainedModel;
      if (onnx.sha256 !== champion.sha256) {
        throw new RefitError(
          'REFIT_REGISTRY_DAMAGED',
          `Routing of ${name} names another model file than the manifest of version ${champion.version}.`,
          { model: name, version: champion.version },
        );
      }
      const spec = await refit.blobs.json<PipelineSpec>(manifest.lineage.pipeline.spec);
      const file = { path: await refit.blobs.path(onnx), sha256: onnx.sha256, features };
      if (settings.warm || pool.active()) await pool.open(file);
      const batcher = createBatcher({
        score: (table) => pool.score(file, table),
        batchRows: settings.batchRows,
        queueRows: settings.queueRows,
        threads: pool.threads,
        onBatch: (rows) => onBatch(name, rows),
      });
      return {
        name,
        version: champion.version,
        manifest,
        spec,
        instances: createInstanceReader(features, spec.spine.key, rowColumns(spec, await columnsOf(manifest, spec))),
        features: createFeatureLookup(() => refit.online(), spec, features),
        score: batcher.submit,
        label: (score) => score >= THRESHOLD,
      };
    },
  };
}
