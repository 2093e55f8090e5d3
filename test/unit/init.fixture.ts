/** Tables nobody has described, drafted as `refit init` does, and the training set that a run would make of the draft. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach } from 'vitest';
import { literal, withDuckDb } from '../../core/dataset/duckdb.ts';
import { createExtractPartition, extractSlice } from '../../core/dataset/extract-partition.ts';
import { fingerprintFile, listPartitions } from '../../core/dataset/partitions.ts';
import { publishSnapshot } from '../../core/dataset/publish-snapshot.ts';
import { newestEventOf } from '../../core/dataset/snapshot-sql.ts';
import { buildTrainingSet } from '../../core/features/build-training-set.ts';
import { type Draft, draftPipeline } from '../../core/pipeline/draft/draft-pipeline.ts';
import { renderPipeline } from '../../core/pipeline/draft/render-pipeline.ts';
import { loadPipeline } from '../../core/pipeline/load.ts';
import type { Partition, TrainingSet } from '../../core/spec/artifacts.ts';
import type { PipelineSpec } from '../../core/spec/pipeline.ts';
import { createBlobStore } from '../../core/store/blobs.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';

const made: string[] = [];

afterEach(async () => {
  await Promise.all(made.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));
});

async function folder(): Promise<string> {
  const root = await mkdtemp(path.join(tmpdir(), 'refit-init-test-'));
  made.push(root);
  return root;
}

interface Given {
  label?: string;
  time?: string;
  key?: string;
  labelKnownAt?: string;
  zone?: string;
  name?: string;
}

export interface Drafted {
  root: string;
  draft: Draft;
}

/** Drafts a pipeline for a CSV given as text; label `y` and time `t` unless given. */
export async function draftCsv(text: string | Uint8Array, given: Given = {}, file = 'table.csv'): Promise<Drafted> {
  const root = await folder();
  await writeFile(path.join(root, file), text);
  return draftFile(root, file, given);
}

/** Drafts a pipeline for the rows of a query, as Parquet. */
export async function draftSql(sql: string, given: Given = {}): Promise<Drafted> {
  const root = await folder();
  const file = literal(path.join(root, 'table.parquet'));
  await withDuckDb({ scratch: root }, (db) => db.run(`COPY (${sql}) TO ${file} (FORMAT parquet)`));
  return draftFile(root, 'table.parquet', given);
}

async function draftFile(root: string, file: string, given: Given): Promise<Drafted> {
  const scratch = await mkdtemp(path.join(root, 'scratch-'));
  const { name = 'churn', label = 'y', time = 't', zone = 'UTC', key, labelKnownAt } = given;
  return {
    root,
    draft: await draftPipeline({ name, root, path: file, label, time, zone, key, labelKnownAt }, scratch),
  };
}

/** Header and `count` rows of a CSV. */
export function csvOf(header: string, count: number, row: (index: number) => string): string {
  return [header, ...Array.from({ length: count }, (_, index) => row(index))].join('\n');
}

/** The `index`-th day from 2024-01-01, e.g. `2024-01-02` for 1. */
export function day(index: number): string {
  return new Date(Date.UTC(2024, 0, 1 + index)).toISOString().slice(0, 10);
}

/** A number in [0, 1) that looks like chance and is the same each time. */
export function chance(index: number): number {
  return (Math.imul(index + 1, 2_654_435_761) >>> 0) / 2 ** 32;
}

/** The pipeline as a run reads it: rendered, bundled, evaluated and validated. */
export async function loaded({ root, draft }: Drafted): Promise<PipelineSpec> {
  const home = path.join(root, 'pipelines', draft.request.name);
  await mkdir(home, { recursive: true });
  await writeFile(path.join(home, 'pipeline.ts'), renderPipeline(draft, 'refit init'));
  await writeFile(path.join(home, `${draft.source}.schema.json`), JSON.stringify(draft.contract));
  return loadPipeline(path.join(root, 'pipelines'), draft.request.name);
}

/** What the steps of a run make of the pipeline, as of the end of the data. */
export async function trainingSetOf(drafted: Drafted): Promise<{ asOf: string | null; set: TrainingSet }> {
  const { root, draft } = drafted;
  const { sources, spine, features: views, split } = await loaded(drafted);
  const source = sources[draft.source];
  if (!source) throw new Error(`the pipeline has no source ${draft.source}`);
  const blobs = createBlobStore(createFolderStore(path.join(root, 'store')));
  const context = async () => {
    const scratch = await mkdtemp(path.join(root, 'step-'));
    return { blobs, scratch, signal: new AbortController().signal, progress: () => undefined, key: '0'.repeat(64) };
  };
  const partitions: Partition[] = [];
  for (const { name, path: file } of await listPartitions(root, draft.source, source)) {
    const input = {
      source: draft.source,
      spec: extractSlice(source),
      file: { name, sha256: await fingerprintFile(file) },
    };
    partitions.push(await createExtractPartition({ root }).run(input, await context()));
  }
  const asOf = newestEventOf(partitions);
  const { contract, maxBadShare } = source;
  const judged = { source: draft.source, asOf: asOf ?? '', partitions, contract, maxBadShare };
  const snapshots = { [draft.source]: await publishSnapshot.run(judged, await context()) };
  const input = { spine, views, split, asOf: asOf ?? '', snapshots, slices: [] };
  return { asOf, set: await buildTrainingSet.run(input, await context()) };
}
