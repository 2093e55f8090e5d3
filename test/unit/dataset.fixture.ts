import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach } from 'vitest';
import { type DuckDb, literal, withDuckDb } from '../../core/dataset/duckdb.ts';
import { createExtractPartition, type ExtractSlice } from '../../core/dataset/extract-partition.ts';
import { fingerprintFile } from '../../core/dataset/partitions.ts';
import type { BlobRef, Partition } from '../../core/spec/artifacts.ts';
import { createBlobStore } from '../../core/store/blobs.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';
import type { BlobStore } from '../../core/store/ports.ts';
import type { StepContext } from '../../core/store/step.ts';

const made: string[] = [];

afterEach(async () => {
  await Promise.all(made.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));
});

/** A project folder with a store, both removed after the test. */
export async function workplace() {
  const root = await mkdtemp(path.join(tmpdir(), 'refit-dataset-'));
  made.push(root);
  const blobs = createBlobStore(createFolderStore(path.join(root, 'store')));
  const place = {
    root,
    blobs,
    context: (signal?: AbortSignal) => context(root, blobs, signal),
    /** Writes the query's rows to a Parquet file (or CSV, by its ending) below the root. */
    write: (name: string, sql: string) =>
      database(root, async (db) => {
        await mkdir(path.dirname(path.join(root, name)), { recursive: true });
        const format = name.endsWith('.csv') ? 'csv' : 'parquet';
        await db.run(`COPY (${sql}) TO ${literal(path.join(root, name))} (FORMAT ${format})`);
        return name;
      }),
    /** Extracts a file with a spec of defaults. */
    async extract(name: string, spec: Partial<ExtractSlice> = {}): Promise<Partition> {
      const sha256 = await fingerprintFile(path.join(root, name));
      const slice: ExtractSlice = { format: 'parquet', contract: ANYTHING, zone: 'UTC', derive: {}, ...spec };
      return createExtractPartition({ root }).run(
        { source: 'flights', spec: slice, file: { name, sha256 } },
        await place.context(),
      );
    },
    /** Rows of a blob, all values as text. */
    async rows(ref: BlobRef, columns = '*', where = 'true'): Promise<Record<string, string | null>[]> {
      const file = await blobs.path(ref);
      const from = `read_parquet(${literal(file)})`;
      return database(root, (db) =>
        db.rows(`SELECT COLUMNS(*)::VARCHAR FROM (SELECT ${columns} FROM ${from} WHERE ${where})`),
      );
    },
  };
  return place;
}

export type Workplace = Awaited<ReturnType<typeof workplace>>;

/** A contract that any row keeps. */
export const ANYTHING = { type: 'object', properties: {} };

export function database<T>(scratch: string, use: (db: DuckDb) => Promise<T>, threads = 1): Promise<T> {
  return withDuckDb({ scratch, threads }, use);
}

async function context(root: string, blobs: BlobStore, signal = new AbortController().signal): Promise<StepContext> {
  const scratch = await mkdtemp(path.join(root, 'scratch-'));
  return { blobs, scratch, signal, progress: () => undefined, key: '0'.repeat(64) };
}
