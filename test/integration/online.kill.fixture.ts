/**
 * A process of its own that materialises: `online.kill.fixture.ts <plan as JSON>`. Prints a line for each batch of keys that is
 * in the store, and at last the result as JSON; or dies where the plan says so.
 */
import { type MaterializeInput, materializeOnline } from '../../core/features/materialize.ts';
import { createRedisOnlineStore } from '../../core/features/redis-online-store.ts';
import { createBlobStore } from '../../core/store/blobs.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';

export interface Plan {
  /** Folder of the object store. */
  objects: string;
  scratch: string;
  redis: string;
  input: MaterializeInput;
  /** View of the online store: killed when something was written to it. */
  diesAfter?: string;
}

if (process.argv[2]) {
  const { objects, scratch, redis, input, diesAfter } = JSON.parse(process.argv[2]) as Plan;
  const store = createRedisOnlineStore(redis);
  const { put } = store;
  store.put = async (view, rows, strictly) => {
    const written = await put(view, rows, strictly);
    if (view === diesAfter) process.kill(process.pid, 'SIGKILL');
    return written;
  };
  const blobs = createBlobStore(createFolderStore(objects));
  const progress = (details: Record<string, unknown>) => process.stdout.write(`${JSON.stringify(details)}\n`);
  const done = await materializeOnline(input, store, { blobs, scratch, progress });
  await store.close();
  process.stdout.write(`${JSON.stringify({ done })}\n`, () => process.exit(0));
}
