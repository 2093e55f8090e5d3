import type { FeatureView } from '../spec/pipeline.ts';
import { digestOf } from '../store/digest.ts';

/**
 * Identity of a view: the digest of its declaration, so that pipelines which declare the same view share it. What it reads is told
 * beside it: by the digest of the source's declaration (`refit features list`), or by the snapshot (lineage, training sets).
 */
export function viewDigest(view: FeatureView): string {
  return digestOf(view);
}
