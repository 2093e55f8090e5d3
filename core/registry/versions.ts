/**
 * Versions of a model. One compare-and-set index maps version key → version, so that one key has one version whatever
 * crashes; a version's folder is complete when its manifest is there, and everything else in it follows from the manifest.
 */
import { OUTPUT_NAME } from '../onnx/graph-builder.ts';
import type { TrainedModel, TrainingSet } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { GateSpec } from '../spec/pipeline.ts';
import { digestOf, fileDigest, sha256 } from '../store/digest.ts';
import type { BlobStore, ObjectStore } from '../store/ports.ts';
import { jsonBytes, readJson, untilSettled, writeJson } from './json-object.ts';
import { VersionIndex, VersionManifest } from './schemas.ts';

const indexKey = (model: string): string => `models/${model}/index.json`;
/** Folder of a version in the store. */
export const versionFolder = (model: string, version: number): string => `models/${model}/${version}`;
const manifestKey = (model: string, version: number): string => `${versionFolder(model, version)}/manifest.json`;

/** The version of a key: the one it has, else the next. @throws RefitError REFIT_CONFLICT, REFIT_STORE_CORRUPT */
export async function claimVersion(objects: ObjectStore, model: string, key: string): Promise<number> {
  return untilSettled(indexKey(model), async () => {
    const index = await readJson(objects, indexKey(model), VersionIndex);
    const versions = index?.value.versions ?? {};
    const known = versions[key];
    if (known !== undefined) return known;
    const next = Object.keys(versions).length + 1;
    const condition = index ? { ifMatch: index.etag } : ({ create: true } as const);
    const changed = { model, versions: { ...versions, [key]: next } };
    return (await writeJson(objects, indexKey(model), changed, condition)) ? next : undefined;
  });
}

/** The version that a key was given, complete or not. */
export async function findVersion(objects: ObjectStore, model: string, key: string): Promise<number | undefined> {
  return (await readJson(objects, indexKey(model), VersionIndex))?.value.versions[key];
}

/** Numbers of all claimed versions, ascending. */
export async function listVersions(objects: ObjectStore, model: string): Promise<number[]> {
  const index = await readJson(objects, indexKey(model), VersionIndex);
  return Object.values(index?.value.versions ?? {}).sort((a, b) => a - b);
}

/** The manifest, or undefined when the version does not exist or is incomplete. */
export async function findManifest(
  objects: ObjectStore,
  model: string,
  version: number,
): Promise<VersionManifest | undefined> {
  return (await readJson(objects, manifestKey(model, version), VersionManifest))?.value;
}

/** @throws RefitError REFIT_STORE_CORRUPT when there is no complete version of that number, or its manifest is damaged. */
export async function readManifest(objects: ObjectStore, model: string, version: number): Promise<VersionManifest> {
  const manifest = await findManifest(objects, model, version);
  if (!manifest) {
    throw new RefitError('REFIT_STORE_CORRUPT', `Version ${version} of model ${model} has no manifest in the store.`, {
      model,
      version,
    });
  }
  return manifest;
}

/** What makes a version: the model to the last bit, the rows it was made of and judged by, and the gates it has to pass. */
export function versionKey(of: { model: TrainedModel; trainingSet: TrainingSet; gates: GateSpec[] }): string {
  const { onnx, native, params, seenUntil } = of.model;
  const model = { onnx: onnx.sha256, native: native.sha256, params, seenUntil };
  return digestOf({ model, trainingSet: of.trainingSet.digest, gates: of.gates });
}

/** What a caller says of a new version; the rest of its manifest follows. */
export type VersionDraft = Omit<
  VersionManifest,
  'version' | 'sha256' | 'seenUntil' | 'profile' | 'lineage' | 'createdAt'
>;

/**
 * Claims the version of the draft's key and completes its folder. A version that is complete keeps its manifest, whatever the
 * draft says, and has damaged files mended. `existed`: it was complete before.
 * @throws RefitError REFIT_CONFLICT, REFIT_STORE_CORRUPT when the model's blobs are damaged
 */
export async function publishVersion(
  blobs: BlobStore,
  draft: VersionDraft,
  now: () => Date = () => new Date(),
): Promise<{ version: number; manifest: VersionManifest; existed: boolean }> {
  const { objects } = blobs;
  const { model } = draft;
  const version = await claimVersion(objects, model, draft.key);
  const existed = (await findManifest(objects, model, version)) !== undefined;
  if (!existed) {
    const proposed = complete(draft, version, now());
    await writeFiles(blobs, proposed);
    await writeJson(objects, manifestKey(model, version), proposed, { create: true });
  }
  // A racing attempt with another draft may have been first: the files are those of the manifest that stands.
  const manifest = await readManifest(objects, model, version);
  if (manifest.key !== draft.key) {
    throw new RefitError(
      'REFIT_STORE_CORRUPT',
      `Version ${version} of ${model} belongs to another key than its index says.`,
      {
        model,
        version,
      },
    );
  }
  await writeFiles(blobs, manifest);
  return { version, manifest, existed };
}

function complete(draft: VersionDraft, version: number, now: Date): VersionManifest {
  const { trainedModel, evaluation, snapshots, spec, trainingSet } = draft;
  const sources = Object.entries(snapshots).map(([source, { id, partitions }]) => [
    source,
    { snapshot: id, partitions: partitions.map(({ name, data }) => ({ name, sha256: data.sha256 })) },
  ]);
  return {
    ...draft,
    version,
    sha256: trainedModel.onnx.sha256,
    seenUntil: trainedModel.seenUntil,
    profile: evaluation.profile,
    lineage: {
      pipeline: { digest: spec.sha256, spec },
      trainingSet: trainingSet.digest,
      sources: Object.fromEntries(sources) as VersionManifest['lineage']['sources'],
    },
    createdAt: now.toISOString(),
  };
}

/** Inputs and outputs of model.onnx: one column [rows, 1] a feature in, probabilities out; names are those of the graph. */
function signatureOf({ trainedModel }: VersionManifest): object {
  const inputs = trainedModel.features.map(({ name, kind }) => ({
    name,
    dtype: kind === 'number' ? 'float32' : 'string',
    shape: ['rows', 1],
  }));
  return { inputs, outputs: [{ name: OUTPUT_NAME, dtype: 'float32', shape: ['rows'] }] };
}

/** Everything beside the manifest, each file written only where it is missing or differs. */
async function writeFiles(blobs: BlobStore, manifest: VersionManifest): Promise<void> {
  const { objects } = blobs;
  const folder = versionFolder(manifest.model, manifest.version);
  const modelKey = `${folder}/model.onnx`;
  const standing = await objects.localPath(modelKey);
  if (standing === undefined || (await fileDigest(standing)).sha256 !== manifest.sha256) {
    await objects.putFile(modelKey, await blobs.path(manifest.trainedModel.onnx));
  }
  const files = {
    'signature.json': jsonBytes(signatureOf(manifest)),
    'metrics.json': jsonBytes(metricsOf(manifest)),
    'profile.json': await blobs.bytes(manifest.profile),
    'lineage.json': jsonBytes(manifest.lineage),
  };
  for (const [name, bytes] of Object.entries(files)) {
    const found = await objects.get(`${folder}/${name}`);
    if (!found || sha256(found.body) !== sha256(bytes)) await objects.put(`${folder}/${name}`, bytes);
  }
}

function metricsOf({ evaluation, comparison, gates }: VersionManifest): object {
  const { metrics, baseline, slices, parity } = evaluation;
  return { ...metrics, baseline, slices, parity, comparison, gates };
}
