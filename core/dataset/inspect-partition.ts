import type { SourceFile } from '../spec/activities.ts';
import { defineStep, type Step } from '../store/step.ts';
import { type ExtractInput, withSourceFile } from './source-file.ts';
import type { SourceOrigin } from './source-files.ts';
import { isoSql } from './time-sql.ts';

export type Inspection = Omit<SourceFile, 'name' | 'sha256' | 'extracted'>;

/**
 * Looks at the times a file covers, without writing anything. A row that breaks its contract is no event, but it counts for
 * when the file begins to be known: it may have been a good row until the broken value was known.
 */
export function createInspectPartition(origin: SourceOrigin): Step<ExtractInput, Inspection> {
  return defineStep<ExtractInput, Inspection>({
    name: 'inspect-partition',
    version: 4,
    natives: ['duckdb'],
    source: import.meta.url,
    run: (input, context) =>
      withSourceFile(origin, input, context, async ({ columns, read }) => {
        const known = [...new Set(['__known_0', ...columns.flatMap((column) => column.known)])];
        const [row] = await read((db) =>
          db.rows<{ rows: number; known_from: string | null; newest: string | null }>(`SELECT count(*)::DOUBLE AS rows,
            ${isoSql(`min(least(${known.join(', ')}))`)} AS known_from,
            ${isoSql('max(__event_at) FILTER (WHERE NOT __broken)')} AS newest FROM timed`),
        );
        return { rows: row?.rows ?? 0, knownFrom: row?.known_from ?? null, newestEvent: row?.newest ?? null };
      }),
  });
}
