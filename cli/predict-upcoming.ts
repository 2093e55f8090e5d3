import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Refit } from '../core/compose/refit.ts';
import { readSnapshot } from '../core/dataset/read-snapshot.ts';
import { onlineNamespace } from '../core/features/online-layout.ts';
import type { OnlineValue } from '../core/features/online-store.ts';
import { readFeatures } from '../core/features/read-features.ts';
import { type UpcomingEntity, upcomingEntities } from '../core/features/upcoming-entities.ts';
import { openOnnxModel } from '../core/onnx/session.ts';
import { readRouting } from '../core/registry/routing.ts';
import { findManifest, listVersions, readManifest } from '../core/registry/versions.ts';
import type { FeatureInfo, Snapshot } from '../core/spec/artifacts.ts';
import { RefitError } from '../core/spec/errors.ts';
import type { PipelineSpec } from '../core/spec/pipeline.ts';
import { ownerToken } from '../core/store/process-identity.ts';

export type PredictedEntity = UpcomingEntity & { score: number };

/**
 * Asks the champion about the next entities after `asOf`, from the online features, next to what happened in the end.
 * @throws RefitError REFIT_PIPELINE_UNKNOWN when the model has no champion
 */
export async function predictUpcoming(
  refit: Refit,
  model: string,
  asOf: string,
  count: number,
): Promise<{ version: number; entities: PredictedEntity[] }> {
  const { blobs, objects, places } = refit;
  const champion = (await readRouting(objects, model))?.champion;
  if (!champion)
    throw new RefitError('REFIT_REJECTED', `The model ${model} has no champion yet: no version passed its gates.`);
  const { trainedModel, lineage } = await readManifest(objects, model, champion.version);
  const { spine, features: views } = await blobs.json<PipelineSpec>(lineage.pipeline.spec);
  const scratch = path.join(places.state, 'scratch', ownerToken());
  await mkdir(scratch, { recursive: true });
  try {
    const snapshots = await newestSnapshots(refit, model);
    const entities = await upcomingEntities({ spine, views, snapshots, asOf, count }, { blobs, scratch });
    const namespace = onlineNamespace(model, spine, views);
    const { vectors } = await readFeatures(
      refit.online(),
      namespace,
      entities.map(({ key }) => key),
      asOf,
    );
    const session = await openOnnxModel(await blobs.path(trainedModel.onnx), trainedModel.features);
    try {
      const scores = await session.predict(
        columnsOf(
          trainedModel.features,
          vectors.map(({ values }) => values),
        ),
      );
      return {
        version: champion.version,
        entities: entities.map((entity, row) => ({ ...entity, score: scores[row] ?? Number.NaN })),
      };
    } finally {
      await session.close();
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The data of the newest run, whatever its verdict: a rejected version is registered with its lineage, too. */
async function newestSnapshots({ objects }: Refit, model: string): Promise<Record<string, Snapshot>> {
  const numbers = await listVersions(objects, model);
  const manifests = (await Promise.all(numbers.map((version) => findManifest(objects, model, version)))).flatMap(
    (found) => found ?? [],
  );
  const newest = manifests.sort((a, b) => (a.asOf < b.asOf ? -1 : 1)).at(-1);
  const sources = Object.entries(newest?.lineage.sources ?? {});
  const snapshots = sources.map(
    async ([source, { snapshot }]) => [source, await readSnapshot(objects, source, snapshot)] as const,
  );
  return Object.fromEntries(await Promise.all(snapshots));
}

function columnsOf(features: FeatureInfo[], rows: Record<string, OnlineValue>[]) {
  const of = (kind: FeatureInfo['kind']) => features.filter((feature) => feature.kind === kind).map(({ name }) => name);
  return {
    rows: rows.length,
    numbers: Object.fromEntries(
      of('number').map((name) => [name, Float32Array.from(rows, (row) => Number(row[name] ?? Number.NaN))]),
    ),
    categories: Object.fromEntries(
      of('category').map((name) => [name, rows.map((row) => (row[name] === null ? null : String(row[name])))]),
    ),
  };
}
