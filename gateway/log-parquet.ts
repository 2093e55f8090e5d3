/**
 * Publishes a segment in the store: one Parquet file for each of its models, under the segment's own name, written over while
 * the segment grows. Whoever publishes a segment, however often, leaves the same files: no row is ever there twice.
 */
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { ObjectStore } from '../core/store/ports.ts';
import type { SegmentName } from './log-segment.ts';

/** Columns of a line, and of the Parquet file; what is JSON in a line is text in the file. */
const COLUMNS = {
  id: 'VARCHAR',
  predicted_at: 'TIMESTAMP',
  model: 'VARCHAR',
  version: 'INTEGER',
  source: 'VARCHAR',
  keys: 'JSON',
  inputs: 'JSON',
  score: 'DOUBLE',
  label: 'BOOLEAN',
  latency_ms: 'DOUBLE',
};

/** `predictions/<model>/date=2026-11-21/hour=07/<token>.parquet` */
export function predictionsKey(model: string, hour: string, token: string): string {
  return `predictions/${model}/date=${hour.slice(0, 10)}/hour=${hour.slice(11, 13)}/${token}.parquet`;
}

export type PublishSegment = (segment: SegmentName) => Promise<void>;

/** DuckDB is loaded with the first row that is published. */
export function createSegmentPublisher(objects: ObjectStore, scratchRoot: string): PublishSegment {
  return async ({ file, hour, token }) => {
    await stat(file);
    const { identifier, literal, withDuckDb } = await import('../core/dataset/duckdb.ts');
    await mkdir(scratchRoot, { recursive: true });
    const scratch = await mkdtemp(path.join(scratchRoot, 'log-'));
    const types = Object.entries(COLUMNS).map(([name, type]) => `${identifier(name)}: ${literal(type)}`);
    const select = Object.entries(COLUMNS).map(([name, type]) =>
      type === 'JSON' ? `nullif(${identifier(name)}::VARCHAR, 'null') AS ${identifier(name)}` : identifier(name),
    );
    const rows = `read_json(${literal(file)}, format = 'newline_delimited', columns = {${types.join(', ')}}, maximum_object_size = 67108864, ignore_errors = true)`;
    try {
      await withDuckDb({ scratch, threads: 1, memory: '256MB' }, async (db) => {
        await db.run(`CREATE TEMP TABLE predictions AS SELECT ${select.join(', ')} FROM ${rows} WHERE id IS NOT NULL`);
        const models = await db.rows<{ model: string }>('SELECT DISTINCT model FROM predictions ORDER BY model');
        for (const { model } of models) {
          const parquet = path.join(scratch, 'part.parquet');
          await db.run(`COPY (SELECT * FROM predictions WHERE model = ${literal(model)})
            TO ${literal(parquet)} (FORMAT parquet, COMPRESSION zstd)`);
          await objects.putFile(predictionsKey(model, hour, token), parquet);
        }
      });
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  };
}
