import type { Partition, Snapshot } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { ObjectStore } from '../store/ports.ts';

/** `datasets/<source>/<id>/manifest.json`. */
export interface SnapshotManifest {
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
  return snapshotOf(await readManifest(objects, source, id));
}

/** What was published of a snapshot, its partitions with the digests of their files. @throws as readSnapshot */
export async function readManifest(objects: ObjectStore, source: string, id: string): Promise<SnapshotManifest> {
  const object = await objects.get(manifestKey(source, id));
  if (!object)
    throw new RefitError('REFIT_STORE_CORRUPT', `The snapshot ${id} of "${source}" is not in the store.`, {
      source,
      id,
    });
  return JSON.parse(new TextDecoder().decode(object.body)) as SnapshotManifest;
}

const manifestKey = (source: string, id: string): string => `datasets/${source}/${id}/manifest.json`;

function snapshotOf({ source, id, columns, partitions }: SnapshotManifest): Snapshot {
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
    manifest: manifestKey(source, id),
  };
}
