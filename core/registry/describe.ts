/** What the registry knows of models and versions, for people and scripts to look at. Reads only. */
import type { ModelDescription, ModelSummary, VersionSummary } from '../spec/cli.ts';
import { RefitError } from '../spec/errors.ts';
import { nearest } from '../spec/nearest.ts';
import type { ObjectStore } from '../store/ports.ts';
import { verifyAudit } from './audit.ts';
import { pauseOf, readRouting } from './routing.ts';
import type { AuditEntry, VersionManifest } from './schemas.ts';
import { findBar } from './status.ts';
import { findManifest, listVersions, versionFolder } from './versions.ts';

/** A model, or one version of it, as a person names it: `flight-delays`, `flight-delays@3`, `flight-delays@v3`. */
export interface ModelName {
  model: string;
  version: number | undefined;
}

/** Names of the models with at least one version, sorted. */
export async function listModels(objects: ObjectStore): Promise<string[]> {
  const models: string[] = [];
  for await (const key of objects.list('models/')) {
    const model = /^models\/([^/]+)\/index\.json$/.exec(key)?.[1];
    if (model !== undefined) models.push(model);
  }
  return models.sort();
}

/** Reads `model[@version]` and looks whether it is there. @throws RefitError REFIT_MODEL_UNKNOWN, REFIT_USAGE */
export async function findModel(objects: ObjectStore, text: string): Promise<ModelName> {
  const match = /^([^@]+)(?:@v?([1-9]\d{0,8}))?$/.exec(text);
  if (!match?.[1])
    throw new RefitError('REFIT_USAGE', `"${text}" names no model; write <model> or <model>@<version>.`, {
      model: text,
    });
  const [model, version] = [match[1], match[2] === undefined ? undefined : Number(match[2])];
  const known = await listModels(objects);
  if (!known.includes(model)) {
    const hint = known.length === 0 ? '; no run has registered one yet' : nearest(model, known);
    throw new RefitError('REFIT_MODEL_UNKNOWN', `There is no model "${model}" in the store${hint}.`, { model, known });
  }
  const versions = await listVersions(objects, model);
  if (version !== undefined && !versions.includes(version)) {
    const there = versions.length === 1 ? 'version 1 is the only one' : `there are versions 1 to ${versions.at(-1)}`;
    throw new RefitError('REFIT_MODEL_UNKNOWN', `${model} has no version ${version}; ${there}.`, {
      model,
      version,
      versions,
    });
  }
  return { model, version };
}

/** As `findModel`, for commands about one version. @throws RefitError REFIT_USAGE where none is named */
export async function findModelVersion(
  objects: ObjectStore,
  text: string,
): Promise<{ model: string; version: number }> {
  const { model, version } = await findModel(objects, text);
  if (version !== undefined) return { model, version };
  const champion = (await readRouting(objects, model))?.champion.version;
  const example = champion ?? (await listVersions(objects, model)).at(-1) ?? 1;
  throw new RefitError('REFIT_USAGE', `"${text}" names no version; write e.g. ${model}@${example}.`, { model });
}

/** One line a model. @throws RefitError REFIT_REGISTRY_DAMAGED */
export async function summariseModel(objects: ObjectStore, model: string): Promise<ModelSummary> {
  const champion = (await readRouting(objects, model))?.champion;
  const manifest = champion && (await findManifest(objects, model, champion.version));
  const last = (await verifyAudit(objects, model)).entries.at(-1);
  return {
    model,
    versions: (await listVersions(objects, model)).length,
    champion: champion ? { version: champion.version, asOf: champion.asOf, sha256: champion.sha256 } : null,
    metrics: manifest?.metrics.test ?? null,
    lastDecision: last ? decision(last) : null,
  };
}

/**
 * One version; the champion where none is named, and the newest where there is no champion.
 * @throws RefitError REFIT_STORE_CORRUPT when the version was claimed but never completed, or is damaged
 */
export async function describeModel(objects: ObjectStore, { model, version }: ModelName): Promise<ModelDescription> {
  const champion = (await readRouting(objects, model))?.champion.version;
  const numbers = await listVersions(objects, model);
  const { entries } = await verifyAudit(objects, model);
  const wanted = version ?? champion ?? (await newestComplete(objects, model, numbers));
  const manifest = await findManifest(objects, model, wanted);
  if (!manifest) {
    throw new RefitError(
      'REFIT_STORE_CORRUPT',
      `Version ${wanted} of ${model} is incomplete: its run did not finish.`,
      {
        model,
        version: wanted,
      },
    );
  }
  const versions: VersionSummary[] = [];
  for (const number of numbers) versions.push(await summariseVersion(objects, { model, number, champion, entries }));
  const bar = await findBar(objects, model, wanted);
  const paused = pauseOf(entries);
  return {
    ...manifestPart(manifest),
    state: versions.find((one) => one.version === wanted)?.state ?? 'undecided',
    folder: versionFolder(model, wanted),
    files: await filesOf(objects, versionFolder(model, wanted)),
    report: manifest.page,
    barred: bar ? { by: bar.by, reason: bar.reason, at: bar.at } : null,
    paused: paused ? { by: paused.by, reason: paused.reason, at: paused.at } : null,
    decisions: entries.filter((entry) => entry.version === wanted).map(decision),
    versions,
  };
}

async function newestComplete(objects: ObjectStore, model: string, numbers: number[]): Promise<number> {
  for (const number of numbers.toReversed()) if (await findManifest(objects, model, number)) return number;
  return numbers.at(-1) ?? 1;
}

function manifestPart(manifest: VersionManifest) {
  const { model, version, asOf, createdAt, sha256, seenUntil, trainedModel, metrics, gates, signature } = manifest;
  const { pipeline, trainingSet, sources } = manifest.lineage;
  const { trainer, rounds, params, features, importance } = trainedModel;
  const snapshots = Object.entries(sources).map(([source, { snapshot }]) => [source, snapshot]);
  return {
    ...{ model, version, asOf, createdAt, sha256, seenUntil, trainer, rounds, params },
    ...{ metrics, gates, features, importance, signature },
    lineage: {
      pipeline: pipeline.digest,
      trainingSet,
      sources: Object.fromEntries(snapshots) as Record<string, string>,
    },
  };
}

interface OfVersion {
  model: string;
  number: number;
  champion: number | undefined;
  entries: AuditEntry[];
}

async function summariseVersion(objects: ObjectStore, of: OfVersion): Promise<VersionSummary> {
  const { model, number: version, champion, entries } = of;
  const manifest = await findManifest(objects, model, version);
  if (!manifest) return { version, state: 'incomplete', asOf: null, createdAt: null, metrics: null };
  const { asOf, createdAt, metrics } = manifest;
  const barred = (await findBar(objects, model, version)) !== undefined;
  const promoted = entries.some((entry) => entry.version === version && entry.action === 'promote');
  const decided = barred ? 'rejected' : promoted ? 'former' : 'undecided';
  return { version, state: version === champion ? 'champion' : decided, asOf, createdAt, metrics: metrics.test };
}

function decision({ action, version, by, reason, at }: AuditEntry) {
  return { action, version, by, reason, at };
}

async function filesOf(objects: ObjectStore, folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const key of objects.list(`${folder}/`)) files.push(key.slice(folder.length + 1));
  return files;
}
