import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Connection } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { expect, onTestFinished, test } from 'vitest';
import { clientsOf } from '../../cli/stack.ts';
import { compose, placesOf } from '../../core/compose/refit.ts';
import { claimCheck } from '../../core/store/claim-check.ts';

test('a command reads a result that a worker put into the store because it was large', async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'refit-client-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const places = placesOf(root, {});
  const explored = {
    features: Array.from({ length: 2000 }, (_, n) => ({ name: `feature_${n}`, missing: 0, notes: [] })),
  };
  const payload = defaultPayloadConverter.toPayload(explored);
  const [stored] = await claimCheck(compose(places).blobs).encode([payload]);
  expect(stored?.data?.length).toBeLessThan(1000);
  const { loadedDataConverter } = clientsOf(places)(Connection.lazy({ address: '127.0.0.1:1' })).options;
  const [read] = await Promise.all(
    loadedDataConverter.payloadCodecs.map((codec) => codec.decode(stored ? [stored] : [])),
  );
  const [first] = read ?? [];
  expect(first && defaultPayloadConverter.fromPayload(first)).toEqual(explored);
});
