import { RefitError } from '../spec/errors.ts';
import type { ObjectStore } from '../store/ports.ts';

/** Whether the store can be reached and read with what the environment gives. @throws RefitError REFIT_STORE_* */
export async function probeStore(objects: ObjectStore): Promise<void> {
  // Reading, not looking: an answer without a body does not tell a missing bucket from a missing object.
  await objects.get('routing/refit-probe.json');
}

/** As `probeStore`, for who reports instead of failing. */
export async function storeProblem(objects: ObjectStore): Promise<RefitError | undefined> {
  try {
    await probeStore(objects);
    return undefined;
  } catch (error) {
    if (error instanceof RefitError) return error;
    throw error;
  }
}
