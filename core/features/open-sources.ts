import { type DuckDb, type DuckDbOptions, withDuckDb } from '../dataset/duckdb.ts';
import { snapshotRelation } from '../dataset/snapshot-sql.ts';
import type { Snapshot } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { BlobStore } from '../store/ports.ts';
import { openSource, type SourceTable, type SourceTables } from './source-table.ts';

/** What feature code runs in; a StepContext is one. */
export interface FeatureContext extends DuckDbOptions {
  blobs: BlobStore;
  progress?(details: Record<string, unknown>): void;
}

interface Snapshots {
  /** By source name. */
  snapshots: Record<string, Snapshot>;
  /** Canonical asOf. */
  asOf: string;
}

/**
 * Opens a database with the snapshots as of the run's date, and tells whoever watches that the work goes on. An expression
 * that fails on a row is told by its place in the pipeline. @throws RefitError REFIT_EXPRESSION_INVALID, REFIT_STORE_CORRUPT
 */
export function withSources<T>(
  { snapshots, asOf }: Snapshots,
  context: FeatureContext,
  use: (db: DuckDb, sources: SourceTables) => Promise<T>,
): Promise<T> {
  return withDuckDb(context, (db) =>
    heartbeat(context, async () => {
      const sources = await openSources(db, snapshots, context.blobs, asOf);
      try {
        return await use(db, sources);
      } catch (error) {
        throw context.signal?.aborted ? error : await explain(db, sources, error);
      }
    }),
  );
}

/** Opens every snapshot in a database, as of the run's date. @throws RefitError REFIT_STORE_CORRUPT */
export async function openSources(
  db: DuckDb,
  snapshots: Record<string, Snapshot>,
  blobs: BlobStore,
  asOf: string,
): Promise<SourceTables> {
  const sources = new Map<string, SourceTable>();
  for (const [name, snapshot] of Object.entries(snapshots)) {
    sources.set(name, await openSource(db, snapshot, await snapshotRelation(db, snapshot, blobs), asOf));
  }
  return sources;
}

const INTERVAL_MS = 2_000;

/** On a timer, because DuckDB's own progress stands still in joins. */
async function heartbeat<T>(context: FeatureContext, work: () => Promise<T>): Promise<T> {
  const started = Date.now();
  const timer = setInterval(
    () => context.progress?.({ seconds: Math.round((Date.now() - started) / 1000) }),
    INTERVAL_MS,
  );
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

/** DuckDB names the value that an expression failed on, not the expression: it is found by running each alone. */
async function explain(db: DuckDb, sources: SourceTables, error: unknown): Promise<unknown> {
  const failure = error instanceof Error && /^(Conversion|Out of Range|Invalid Input) Error/.test(error.message);
  if (!failure || error instanceof RefitError) return error;
  for (const source of sources.values()) {
    for (const [where, sql] of source.checked) {
      try {
        await db.run(`SELECT count(${sql}) FROM ${source.relation} WHERE ${source.good}`);
      } catch (cause) {
        const message = `The expression ${where} fails on a row of ${source.name}: ${firstLine(cause)}.`;
        return new RefitError('REFIT_EXPRESSION_INVALID', message, { where, source: source.name }, { cause });
      }
    }
  }
  return new RefitError(
    'REFIT_EXPRESSION_INVALID',
    `The features cannot be computed: ${firstLine(error)}.`,
    {},
    { cause: error },
  );
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]?.replace(/\.$/, '') ?? '';
}
