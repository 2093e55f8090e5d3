import type { Connection } from '@temporalio/client';
import { expect, test } from 'vitest';
import { SearchAttribute } from '../../core/spec/queues.ts';
import { registerSearchAttributes } from '../../workers/search-attributes.ts';

/** A namespace whose attributes are added by another worker, or by nobody, when we try. */
function namespace({ race }: { race: boolean }): Connection {
  let customAttributes: Record<string, number> = { RefitModel: 2 };
  const all = Object.fromEntries(Object.values(SearchAttribute).map((name) => [name, 2]));
  const operatorService = {
    listSearchAttributes: async () => ({ customAttributes }),
    addSearchAttributes: async () => {
      if (race) customAttributes = all;
      throw new Error(race ? '6 ALREADY_EXISTS' : '7 PERMISSION_DENIED');
    },
  };
  return { operatorService } as unknown as Connection;
}

test('a worker that is overtaken by another finds the search attributes there', async () => {
  await registerSearchAttributes(namespace({ race: true }), 'default');
});

test('a worker that may not add search attributes names those that are missing', async () => {
  const registered = registerSearchAttributes(namespace({ race: false }), 'prod');
  await expect(registered).rejects.toMatchObject({ code: 'REFIT_SETUP_MISSING' });
  await expect(registered).rejects.toThrow(/prod lacks .*RefitPipeline, RefitVersion/);
});
