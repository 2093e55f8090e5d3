import type { BlobRef } from '../spec/artifacts.ts';
import { defineStep } from '../store/step.ts';
import { withDuckDb } from './duckdb.ts';
import { partitionsSql } from './snapshot-sql.ts';
import { timestampLiteral } from './time-sql.ts';

export interface LastRejectionInput {
  /** Data of the partitions with rejected rows. */
  data: BlobRef[];
  /** ISO UTC. */
  asOf: string;
}

/**
 * When a row was last found to break its contract, up to a date, as DuckDB writes it (`-infinity`: always known); null where none was.
 * Runs between two such times see the same rows rejected.
 */
export const lastRejection = defineStep<LastRejectionInput, { at: string | null }>({
  name: 'last-rejection',
  version: 1,
  natives: ['duckdb'],
  source: import.meta.url,
  async run({ data, asOf }, { blobs, scratch, signal }) {
    const from = partitionsSql(await Promise.all(data.map((one) => blobs.path(one))));
    const [row] = await withDuckDb({ scratch, signal }, (db) =>
      db.rows<{ at: string | null }>(
        `SELECT max(__bad_known_at)::VARCHAR AS at FROM ${from} WHERE __bad_known_at <= ${timestampLiteral(asOf)}`,
      ),
    );
    return { at: row?.at ?? null };
  },
});
