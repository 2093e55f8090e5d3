import type { Connection } from '@temporalio/client';
import { SearchAttribute } from '../core/spec/queues.ts';

const KEYWORD = 2;

/** Registers what is missing: a workflow that sets an unregistered attribute would retry its task for ever. */
export async function registerSearchAttributes(connection: Connection, namespace: string): Promise<void> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  const missing = Object.values(SearchAttribute).filter((name) => !(name in (customAttributes ?? {})));
  if (missing.length === 0) return;
  await connection.operatorService.addSearchAttributes({
    namespace,
    searchAttributes: Object.fromEntries(missing.map((name) => [name, KEYWORD])),
  });
}
