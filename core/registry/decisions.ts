import type { TrainedModel, TrainingSet } from '../spec/artifacts.ts';
import type { Comparison, GateResult } from '../spec/evaluation.ts';
import type { GateSpec } from '../spec/pipeline.ts';
import { digestOf } from '../store/digest.ts';
import type { ObjectStore } from '../store/ports.ts';
import { readAudit } from './audit.ts';
import { RULINGS } from './decide-version.ts';
import { findBar } from './status.ts';
import { findManifest, findVersion } from './versions.ts';

/** What makes a version: the model to the last bit, the rows it was made of and judged by, and the gates it has to pass. */
export function versionKey(of: { model: TrainedModel; trainingSet: TrainingSet; gates: GateSpec[] }): string {
  const { onnx, native, params, seenUntil } = of.model;
  const model = { onnx: onnx.sha256, native: native.sha256, params, seenUntil };
  return digestOf({ model, trainingSet: of.trainingSet.digest, gates: of.gates });
}

/** What a version was decided on, once and for all: the gates as they were judged then. */
export interface DecidedVersion {
  version: number;
  gates: GateResult[];
  /** Null where there was no champion, or where the gates were held against another one than at registration. */
  comparison: Comparison | null;
}

/** The version of a key if it was promoted or rejected before. @throws RefitError REFIT_REGISTRY_DAMAGED */
export async function decidedVersion(
  objects: ObjectStore,
  model: string,
  key: string,
): Promise<DecidedVersion | undefined> {
  const version = await findVersion(objects, model, key);
  const manifest = version === undefined ? undefined : await findManifest(objects, model, version);
  if (!manifest) return undefined;
  const decided = (await readAudit(objects, model)).find((entry) => entry.version === manifest.version);
  const standing = decided ?? (await findBar(objects, model, manifest.version));
  if (!standing) return undefined;
  const gates = standing.gates.filter(({ name }) => !RULINGS.includes(name));
  // Where the champion moved before the decision, the manifest tells of the gates and the comparison before that.
  const comparison = digestOf(gates) === digestOf(manifest.gates) ? manifest.comparison : null;
  return { version: manifest.version, gates, comparison };
}
