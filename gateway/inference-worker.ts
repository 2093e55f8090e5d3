/** Runs in a worker thread: keeps the models that are asked for open, and scores tables. */
import { readFile } from 'node:fs/promises';
import { type OnnxModel, openOnnxModel } from '../core/onnx/session.ts';
import type { FeatureInfo } from '../core/spec/artifacts.ts';
import { RefitError } from '../core/spec/errors.ts';
import { sha256 } from '../core/store/digest.ts';
import { type FeatureTable, modelInput } from './feature-table.ts';

/** A model's file; its digest is its name here. */
export interface ModelFile {
  path: string;
  sha256: string;
  features: FeatureInfo[];
}

export interface Task {
  model: ModelFile;
  /** Absent: open the model only. */
  table?: FeatureTable;
}

/** An error cannot cross between threads with its code: it is told in parts. */
export type Answer =
  | { scores: Float32Array }
  | { failure: { code: RefitError['code']; message: string; details: Record<string, unknown> } };

/** Models open in a thread at most, and how long one that is not asked for stays open. */
const MOST_OPEN = 32;
const UNUSED_MS = 300_000;
const models = new Map<string, { opened: Promise<OnnxModel>; usedAt: number }>();

/** One task of the pool. Never throws a RefitError: see `Answer`. */
export default async function infer({ model, table }: Task): Promise<Answer> {
  try {
    const session = await sessionOf(model);
    return { scores: table ? await session.predict(modelInput(model.features, table)) : new Float32Array(0) };
  } catch (error) {
    if (!(error instanceof RefitError)) throw error;
    return { failure: { code: error.code, message: error.message, details: error.details } };
  }
}

async function sessionOf(model: ModelFile): Promise<OnnxModel> {
  const known = models.get(model.sha256);
  if (known) {
    known.usedAt = Date.now();
    return known.opened;
  }
  const entry = { opened: open(model), usedAt: Date.now() };
  models.set(model.sha256, entry);
  try {
    return await entry.opened;
  } catch (error) {
    models.delete(model.sha256);
    throw error;
  } finally {
    await closeUnused(model.sha256);
  }
}

/** The bytes that are opened are those that were hashed: a file that changes in between cannot slip in. */
async function open({ path, sha256: digest, features }: ModelFile): Promise<OnnxModel> {
  const bytes = await readFile(path).catch(() => undefined);
  if (!bytes || sha256(bytes) !== digest) {
    throw new RefitError('REFIT_STORE_CORRUPT', `The model file ${path} is missing or altered.`, { path });
  }
  return openOnnxModel(bytes, features);
}

async function closeUnused(current: string): Promise<void> {
  const byUse = [...models].filter(([name]) => name !== current).sort(([, a], [, b]) => a.usedAt - b.usedAt);
  for (const [position, [name, { opened, usedAt }]] of byUse.entries()) {
    const tooMany = byUse.length - position >= MOST_OPEN;
    if (!tooMany && Date.now() - usedAt < UNUSED_MS) continue;
    models.delete(name);
    await opened.then((session) => session.close()).catch(() => undefined);
  }
}
