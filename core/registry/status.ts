import type { ObjectStore } from '../store/ports.ts';
import { readJson, writeJson } from './json-object.ts';
import { Bar } from './schemas.ts';
import { versionFolder } from './versions.ts';

const barKey = (model: string, version: number): string => `${versionFolder(model, version)}/barred.json`;

/** The mark of a rejected version; undefined when it is not barred. @throws RefitError REFIT_REGISTRY_DAMAGED */
export async function findBar(objects: ObjectStore, model: string, version: number): Promise<Bar | undefined> {
  return (await readJson(objects, barKey(model, version), Bar))?.value;
}

/** Marks a version as rejected; the first mark stands. */
export async function barVersion(objects: ObjectStore, bar: Bar): Promise<void> {
  await writeJson(objects, barKey(bar.model, bar.version), bar, { create: true });
}

/** Takes the mark of a rejection away that never came to be. */
export async function liftBar(objects: ObjectStore, model: string, version: number): Promise<void> {
  await objects.delete(barKey(model, version));
}
