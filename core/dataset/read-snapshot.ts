import type { Partition, Snapshot } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { ObjectStore } from '../store/ports.ts';

/** `datasets/<source>/<id>/manifest.json`. */
interface SnapshotManifest {
  source: string;
  id: string;
  columns: Snapshot['columns'];
  partitions: Omit<Partition, 'columns'>[];
}

/**
 * A published snapshot by its id. Its counts are of all its data, not as of a date, because a manifest has none.
 * @throws RefitError REFIT_STORE_CORRUPT when it is not there
 */
export async function readSnapshot(objects: ObjectStore, source: string, id: string): Promise<Snapshot> {
  const manifest = `datasets/${source}/${id}/manifest.json`;
  const object = await objects.get(manifest);
  if (!object)
    throw new RefitError('REFIT_STORE_CORRUPT', `The snapshot ${id} of "${source}" is not in the store.`, {
      source,
      id,
    });
  const { columns, partitions } = JSON.parse(new TextDecoder().decode(object.body)) as SnapshotManifest;
  const rejected = partitions.reduce((sum, { badRows }) => sum + badRows, 0);
  return {
    source,
    id,
    columns,
    partitions: partitions.map(({ name, data }) => ({ name, data })),
    rows: partitions.reduce((sum, { rows }) => sum + rows, -rejected),
    quarantined: rejected,
    rules: partitions.flatMap(({ rules }) => rules),
    newestEvent:
      partitions
        .map(({ eventRange }) => eventRange?.newest ?? '')
        .sort()
        .at(-1) || null,
    ...(partitions.some(({ ends }) => ends) ? { ends: true } : {}),
    manifest,
  };
}
