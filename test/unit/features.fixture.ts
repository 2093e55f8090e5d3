/** Small tables with known-at times for tests of features, in one DuckDB, and the blobs they become. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type DuckDb, literal, withDuckDb } from '../../core/dataset/duckdb.ts';
import type { ColumnInfo, Snapshot } from '../../core/spec/artifacts.ts';
import { createBlobStore } from '../../core/store/blobs.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';
import type { BlobStore } from '../../core/store/ports.ts';
import type { StepContext } from '../../core/store/step.ts';

/** Hour 0 is 2024-01-01T00:00Z; ±Infinity are SQL's infinities, null is NULL. */
export function time(hour: number | null): string {
  if (hour === null) return 'NULL::TIMESTAMP';
  if (!Number.isFinite(hour)) return `'${hour > 0 ? '' : '-'}infinity'::TIMESTAMP`;
  return `TIMESTAMP '${iso(hour).slice(0, 19).replace('T', ' ')}'`;
}

export function iso(hour: number): string {
  return `${new Date(Date.UTC(2024, 0, 1) + hour * 3_600_000).toISOString().slice(0, 19)}Z`;
}

/** A source table: column → [type, names of its known columns]. */
export type Shape = Record<string, [type: string, ...known: string[]]>;

export function snapshotOf(source: string, shape: Shape, partitions: Snapshot['partitions'] = []): Snapshot {
  const columns: ColumnInfo[] = Object.entries(shape).map(([name, [type, ...known]]) => ({ name, type, known }));
  return {
    source,
    id: 'test',
    partitions,
    columns,
    rows: 0,
    quarantined: 0,
    rules: [],
    newestEvent: null,
    manifest: '',
  };
}

/** SQL rows for a table: values as SQL, in the order of `columns`. */
export function rowsSql(columns: string[], types: string[], rows: string[][]): string {
  const typed = columns.map((name, i) => `col${i}::${types[i]} AS "${name}"`).join(', ');
  const values = rows.length > 0 ? rows : [columns.map(() => 'NULL')];
  const selected = `SELECT ${typed} FROM (VALUES ${values.map((row) => `(${row.join(', ')})`).join(', ')})`;
  return rows.length > 0 ? selected : `${selected} LIMIT 0`;
}

export interface Bench {
  scratch: string;
  blobs: BlobStore;
  context(options?: { threads?: number; signal?: AbortSignal }): StepContext & { threads?: number };
  /** Writes SELECTs as the partitions of a source. */
  publish(source: string, shape: Shape, selects: string[]): Promise<Snapshot>;
  remove(): Promise<void>;
}

/** A store in a temporary folder. */
export async function createBench(): Promise<Bench> {
  const root = await mkdtemp(path.join(tmpdir(), 'refit-features-'));
  const blobs = createBlobStore(createFolderStore(path.join(root, 'store')));
  const scratch = await mkdtemp(path.join(root, 'scratch-'));
  return {
    scratch,
    blobs,
    context: (options = {}) => ({
      blobs,
      scratch,
      key: 'test',
      signal: new AbortController().signal,
      progress: () => {},
      ...options,
    }),
    publish: (source, shape, selects) =>
      withDuckDb({ scratch }, async (db) => {
        const partitions = [];
        for (const [i, select] of selects.entries()) {
          const file = path.join(scratch, `${source}-${i}.parquet`);
          await db.run(`COPY (${select}) TO ${literal(file)} (FORMAT parquet)`);
          partitions.push({ name: `${source}-${i}`, data: await blobs.putFile(file) });
        }
        return snapshotOf(source, shape, partitions);
      }),
    remove: () => rm(root, { recursive: true, force: true }),
  };
}

/** Rows of a relation, in the order of its rows. */
export async function valuesOf(db: DuckDb, sql: string): Promise<unknown[][]> {
  return (await db.connection.runAndReadAll(sql)).getRowsJS();
}
