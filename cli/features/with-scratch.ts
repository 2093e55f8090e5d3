import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Refit } from '../../core/compose/refit.ts';
import type { FeatureContext } from '../../core/features/open-sources.ts';
import { RefitError } from '../../core/spec/errors.ts';
import { ownerToken } from '../../core/store/process-identity.ts';
import { withStore } from '../with-stack.ts';

export interface Workbench {
  refit: Refit;
  context: FeatureContext & { signal: AbortSignal };
}

/** The stores and a scratch folder for a command that computes in this process. Ctrl-C stops it and leaves nothing behind. */
export function withScratch<T>(work: (bench: Workbench) => Promise<T>): Promise<T> {
  return withStore(async (refit) => {
    const { state } = refit.places;
    // Beside the steps' own and named like them: what a killed command leaves is swept away with theirs.
    const scratch = path.join(state, 'scratch', ownerToken());
    await mkdir(scratch, { recursive: true });
    const stop = new AbortController();
    const cancel = () => stop.abort(new RefitError('REFIT_CANCELLED', 'The command was interrupted.'));
    process.once('SIGINT', cancel);
    process.once('SIGTERM', cancel);
    try {
      return await work({ refit, context: { blobs: refit.blobs, scratch, signal: stop.signal } });
    } finally {
      process.removeListener('SIGINT', cancel);
      process.removeListener('SIGTERM', cancel);
      await rm(scratch, { recursive: true, force: true });
    }
  });
}
