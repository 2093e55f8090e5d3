import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { RefitError } from '../spec/errors.ts';
import type { SourceSpec, TableSpec } from '../spec/pipeline.ts';
import { withDuckDbTable } from './duckdb-table.ts';
import type { PartitionFile } from './partitions.ts';
import { withPostgresTable } from './postgres-table.ts';
import type { RemoteFiles } from './remote-files.ts';
import type { OpenTable, TableContext, TablePeriod } from './table-port.ts';

/**
 * Tables of databases as sources. A table is copied period by period (`by`, `every`), all in one reading transaction, into
 * Parquet files that are kept on this machine by their content: a period whose rows are as they were is the same partition. Where a
 * `version` column is declared, a period of which the database tells the same count and the same highest version is not copied again.
 */

/** The periods of a table as partitions, copied where that is needed. @throws RefitError REFIT_SOURCE_MISSING, REFIT_SOURCE_UNREACHABLE */
export async function listTable(
  context: Omit<TableContext, 'path' | 'table' | 'scratch'>,
  spec: { path: string; format?: SourceSpec['format'] | undefined; table?: TableSpec | undefined },
  remote: RemoteFiles,
): Promise<PartitionFile[]> {
  const { table } = spec;
  if (!table) throw new RefitError('REFIT_PIPELINE_INVALID', `sources.${context.source} names no table.`);
  const scratch = await remote.draft();
  await mkdir(scratch);
  const withTable = spec.format === 'postgres' ? withPostgresTable : withDuckDbTable;
  try {
    return await withTable({ ...context, path: spec.path, table, scratch }, async (reader) => {
      const files: PartitionFile[] = [];
      for (const period of await reader.periods()) {
        context.signal?.throwIfAborted();
        files.push(await partitionOf(reader, period));
      }
      return files.sort((a, b) => (a.name < b.name ? -1 : 1));
    });
    async function partitionOf(reader: OpenTable, period: TablePeriod): Promise<PartitionFile> {
      const name = nameOf(spec.path, table as TableSpec, period);
      // Without a version nothing cheap tells whether rows were changed in place.
      const version = table?.version === undefined ? undefined : JSON.stringify([table, period.rows, period.version]);
      const known = version === undefined ? undefined : await remote.remembered({ address: name, version });
      // The copy may have made room for others meanwhile.
      if (known !== undefined && (await remote.kept(known)) !== undefined)
        return { name, path: name, bytes: 0, sha256: known };
      const draft = path.join(scratch, 'rows.parquet');
      await reader.copy(period, draft);
      return {
        name,
        path: name,
        bytes: 0,
        sha256: await remote.keep({ address: name, version: version ?? '' }, draft),
      };
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

const LABEL: Record<string, number> = { '1y': 4, '1mo': 7, '1w': 10, '1d': 10, '1h': 13 };

/** `data/shop.duckdb/orders/2024-01` */
function nameOf(at: string, { name, every, by }: TableSpec, { start }: TablePeriod): string {
  const table = name === undefined || at.startsWith('postgres:') ? at : `${at}/${name}`;
  if (start === undefined) return table;
  return `${table}/${start === null ? `without-${by}` : start.slice(0, LABEL[every ?? '1mo'])}`;
}
