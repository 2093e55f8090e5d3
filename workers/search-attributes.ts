import type { Connection } from '@temporalio/client';
import { RefitError } from '../core/spec/errors.ts';
import { SearchAttribute } from '../core/spec/queues.ts';

const KEYWORD = 2;

/**
 * Registers what is missing: a workflow that sets an unregistered attribute would retry its task for ever.
 * @throws RefitError REFIT_SETUP_MISSING where we may not, with the names for somebody who may
 */
export async function registerSearchAttributes(connection: Connection, namespace: string): Promise<void> {
  const missing = await missingAttributes(connection, namespace);
  if (missing.length === 0) return;
  const searchAttributes = Object.fromEntries(missing.map((name) => [name, KEYWORD]));
  try {
    await connection.operatorService.addSearchAttributes({ namespace, searchAttributes });
  } catch (error) {
    // Workers that start together race for it: what another one registered is there.
    const still = await missingAttributes(connection, namespace);
    if (still.length === 0) return;
    throw new RefitError(
      'REFIT_SETUP_MISSING',
      `The namespace ${namespace} lacks the search attributes ${still.join(', ')}, and this worker may not add them: somebody who may adds each as a Keyword (temporal operator search-attribute create, or tcld).`,
      { namespace, missing: still },
      { cause: error },
    );
  }
}

async function missingAttributes(connection: Connection, namespace: string): Promise<string[]> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  return Object.values(SearchAttribute).filter((name) => !(name in (customAttributes ?? {})));
}
