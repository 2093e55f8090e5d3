import type { FeatureView } from '../spec/pipeline.ts';
import { digestOf } from '../store/digest.ts';

/** Identity of a view: the digest of its declaration, so that pipelines which declare the same view share it. */
export function viewDigest(view: FeatureView): string {
  return digestOf(view);
}
