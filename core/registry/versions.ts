/**
 * Versions of a model. One compare-and-set index maps version key → version, so that one key has one version whatever
 * crashes; a version's folder is complete when its manifest is there, and everything else in it follows from the manifest.
 */
import Value from 'typebox/value';
import { RefitError } from '../spec/errors.ts';
import { getOrDamage } from '../store/damage.ts';
import { digestOf, sha256 } from '../store/digest.ts';
import type { BlobStore, ObjectStore } from '../store/ports.ts';
import { jsonBytes, parseJson, readJson, untilSettled, writeJson } from './json-object.ts';
import { VersionIndex, VersionManifest } from './schemas.ts';

const indexKey = (model: string): string => `models/${model}/index.json`;
/** Folder of a version in the store. */
export const versionFolder = (model: string, version: number): string => `models/${model}/${version}`;
const manifestKey = (model: string, version: number): string => `${versionFolder(model, version)}/manifest.json`;

/** The version of a key: the one it has, else the next. @throws RefitError REFIT_CONFLICT, REFIT_REGISTRY_DAMAGED */
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

/** The manifest; undefined when the version does not exist, or is incomplete: without manifest, or with a damaged one. */
export async function findManifest(
  objects: ObjectStore,
  model: string,
  version: number,
): Promise<VersionManifest | undefined> {
  return (await lookAtManifest(objects, model, version)).manifest;
}

async function lookAtManifest(objects: ObjectStore, model: string, version: number) {
  const found = await getOrDamage(objects, manifestKey(model, version));
  const value = found?.body && parseJson(found.body);
  const manifest = Value.Check(VersionManifest, value) && sealed(value).digest === value.digest ? value : undefined;
  return { manifest, etag: found?.etag };
}

function sealed({ digest: _, ...rest }: Omit<VersionManifest, 'digest'> & { digest?: string }): VersionManifest {
  return { ...rest, digest: digestOf(rest) };
}

/** @throws RefitError REFIT_REGISTRY_DAMAGED when there is no complete version of that number, or its manifest is damaged. */
export async function readManifest(objects: ObjectStore, model: string, version: number): Promise<VersionManifest> {
  const manifest = await findManifest(objects, model, version);
  if (!manifest) {
    throw new RefitError(
      'REFIT_REGISTRY_DAMAGED',
      `Version ${version} of model ${model} has no intact manifest in the store.`,
      {
        model,
        version,
      },
    );
  }
  return manifest;
}

/** What a caller says of a new version; the rest of its manifest follows. */
export type VersionDraft = Omit<VersionManifest, 'version' | 'sha256' | 'seenUntil' | 'createdAt' | 'digest'>;

/**
 * Claims the version of the draft's key and completes its folder. A version that is complete keeps its manifest, whatever the
 * draft says, and has damaged files mended. @returns the manifest in force
 * @throws RefitError REFIT_CONFLICT, REFIT_REGISTRY_DAMAGED when the model's blobs are damaged
 */
export async function registerVersion(
  blobs: BlobStore,
  draft: VersionDraft,
  now: () => Date = () => new Date(),
): Promise<VersionManifest> {
  const version = await claimVersion(blobs.objects, draft.model, draft.key);
  return publishVersion(blobs, version, draft, now);
}

/** As `registerVersion`, for a version that is claimed. */
async function publishVersion(
  blobs: BlobStore,
  version: number,
  draft: VersionDraft,
  now: () => Date,
): Promise<VersionManifest> {
  const { objects } = blobs;
  const { onnx, seenUntil } = draft.trainedModel;
  const standing = await lookAtManifest(objects, draft.model, version);
  if (!standing.manifest) {
    const proposed = sealed({ ...draft, version, sha256: onnx.sha256, seenUntil, createdAt: now().toISOString() });
    const condition = standing.etag === undefined ? ({ create: true } as const) : { ifMatch: standing.etag };
    await writeFiles(blobs, proposed);
    await writeJson(objects, manifestKey(draft.model, version), proposed, condition);
  }
  // A racing attempt with another draft may have been first: the files are those of the manifest that stands.
  const manifest = await readManifest(objects, draft.model, version);
  if (manifest.key !== draft.key) {
    throw new RefitError(
      'REFIT_REGISTRY_DAMAGED',
      `Version ${version} of ${draft.model} belongs to another key than its index says.`,
      { model: draft.model, version },
    );
  }
  await writeFiles(blobs, manifest);
  return manifest;
}

/** Everything beside the manifest, each file written only where it is missing or differs. */
async function writeFiles(blobs: BlobStore, manifest: VersionManifest): Promise<void> {
  const { objects } = blobs;
  const folder = versionFolder(manifest.model, manifest.version);
  const modelKey = `${folder}/model.onnx`;
  if ((await digestAt(objects, modelKey)) !== manifest.sha256) {
    await objects.putFile(modelKey, await blobs.path(manifest.trainedModel.onnx));
  }
  const files = {
    'signature.json': jsonBytes(manifest.signature),
    'metrics.json': jsonBytes({ metrics: manifest.metrics, gates: manifest.gates, comparison: manifest.comparison }),
    'profile.json': await blobs.bytes(manifest.profile),
    'lineage.json': jsonBytes(manifest.lineage),
  };
  for (const [name, bytes] of Object.entries(files)) {
    const found = await getOrDamage(objects, `${folder}/${name}`);
    if (!found?.body || sha256(found.body) !== sha256(bytes)) await objects.put(`${folder}/${name}`, bytes);
  }
}

/** SHA-256 of what stands there; undefined for nothing, and for what the store knows to be damaged. */
async function digestAt(objects: ObjectStore, key: string): Promise<string | undefined> {
  if (objects.remembered) return (await objects.remembered(key))?.sha256;
  return (await objects.digest(key))?.sha256;
}
