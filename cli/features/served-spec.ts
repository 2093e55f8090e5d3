import type { Refit } from '../../core/compose/refit.ts';
import { loadPipeline } from '../../core/pipeline/load.ts';
import { readRouting } from '../../core/registry/routing.ts';
import { findManifest } from '../../core/registry/versions.ts';
import type { PipelineSpec } from '../../core/spec/pipeline.ts';

/**
 * The declaration that is served: the champion's, so that a change of pipeline.ts counts once a run has come through with it; else
 * that of pipeline.ts. @throws RefitError REFIT_PIPELINE_UNKNOWN and the like
 */
export async function servedSpec({ objects, blobs, places }: Refit, pipeline: string): Promise<PipelineSpec> {
  const declared = await loadPipeline(places.pipelines, pipeline);
  const champion = (await readRouting(objects, pipeline))?.champion;
  const manifest = champion && (await findManifest(objects, pipeline, champion.version));
  return manifest ? blobs.json<PipelineSpec>(manifest.lineage.pipeline.spec) : declared;
}
