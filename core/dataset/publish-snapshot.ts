import type { ColumnInfo, Partition, SchemaChange, Snapshot } from '../spec/artifacts.ts';
import { digestOf } from '../store/digest.ts';
import type { BlobStore } from '../store/ports.ts';
import { defineStep } from '../store/step.ts';
import { type JudgementInput, judgeSnapshot } from './judge-snapshot.ts';
import { complaints, describeRule, nothingKnown } from './refusals.ts';
import { byName, unionColumns } from './snapshot-columns.ts';

export { nothingKnown } from './refusals.ts';

export interface SnapshotInput extends JudgementInput {
  maxBadShare: number;
  freshness?: string;
  /** How its columns differ from those of the last snapshot; absent where they do not. */
  changes?: SchemaChange[];
}

/**
 * Judges a source as of the run's date and publishes its manifest; the data is one snapshot whatever the date.
 * @throws RefitError REFIT_CONTRACT_TYPE (partitions differ), REFIT_CONTRACT_BAD_ROWS, REFIT_WINDOW_EMPTY (nothing known
 * yet), REFIT_DATA_STALE, REFIT_CONTRACT_TABLE; then nothing is published
 */
export const publishSnapshot = defineStep<SnapshotInput, Snapshot>({
  name: 'publish-snapshot',
  version: 2,
  natives: ['duckdb'],
  source: import.meta.url,
  async run(input, context) {
    const partitions = byName(input.partitions);
    const { source, changes } = input;
    if (partitions.length === 0) throw nothingKnown(source, input.asOf, null);
    const columns = unionColumns(source, partitions);
    const found = await judgeSnapshot({ ...input, partitions }, columns, context);
    const [complaint] = complaints({ ...input, partitions }, found);
    if (complaint) throw complaint;
    const id = snapshotId(columns, partitions);
    const manifest = await publishManifests(context.blobs, source, id, columns, partitions, changes);
    const checks = await context.blobs.putJson(found.checks);
    context.progress({ source, rows: found.rows, quarantined: found.rejected });
    const warnings = found.checks.rules.filter(({ kind, passed }) => kind === 'table' && !passed).map(describeRule);
    return {
      source,
      id,
      partitions: partitions.map(({ name, data }) => ({ name, data })),
      columns,
      rows: found.rows,
      quarantined: found.rejected,
      rules: found.rules,
      newestEvent: found.newestEvent,
      ...(partitions.some(({ ends }) => ends) ? { ends: true } : {}),
      manifest,
      checks,
      ...(warnings.length > 0 ? { warnings } : {}),
      ...(changes && changes.length > 0 ? { changes } : {}),
    };
  },
});

function snapshotId(columns: ColumnInfo[], partitions: Partition[]): string {
  const files = partitions.map(({ name, data, quarantine }) => [name, data.sha256, quarantine?.sha256 ?? null]);
  return digestOf({ columns, partitions: files });
}

/** Manifests say nothing of asOf: one snapshot serves every date. @returns the key of the data's manifest */
async function publishManifests(
  blobs: BlobStore,
  source: string,
  id: string,
  columns: ColumnInfo[],
  partitions: Partition[],
  changes: SchemaChange[] = [],
): Promise<string> {
  const put = (key: string, value: unknown) =>
    blobs.objects.put(key, new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`), { create: true });
  const rejected = partitions.filter(({ quarantine }) => quarantine);
  if (rejected.length > 0) {
    const files = rejected.map(({ name, quarantine, badRows, rules }) => ({ name, quarantine, badRows, rules }));
    await put(`quarantine/${source}/${id}/manifest.json`, { source, snapshot: id, partitions: files });
  }
  const key = `datasets/${source}/${id}/manifest.json`;
  const files = partitions.map(({ columns: _, ...partition }) => partition);
  await put(key, { source, id, columns, partitions: files, ...(changes.length > 0 ? { changes } : {}) });
  return key;
}
