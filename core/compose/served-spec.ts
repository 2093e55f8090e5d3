import { loadPipeline } from '../pipeline/load.ts';
import { readRouting } from '../registry/routing.ts';
import { findManifest } from '../registry/versions.ts';
import type { PipelineSpec } from '../spec/pipeline.ts';
import type { Refit } from './refit.ts';

/**
 * The declaration that is served: the champion's, so that a change of pipeline.ts counts once a run has come through with it; else
 * that of pipeline.ts. @throws RefitError REFIT_PIPELINE_UNKNOWN and the like
 */
export async function servedSpec(
  { objects, blobs, places }: Pick<Refit, 'objects' | 'blobs' | 'places'>,
  pipeline: string,
): Promise<PipelineSpec> {
  const declared = await loadPipeline(places.pipelines, pipeline);
  const champion = (await readRouting(objects, pipeline))?.champion;
  const manifest = champion && (await findManifest(objects, pipeline, champion.version));
  return manifest ? blobs.json<PipelineSpec>(manifest.lineage.pipeline.spec) : declared;
}
