import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createPrepareActivities } from '../../activities/prepare.ts';
import { compose, placesOf } from '../../core/compose/refit.ts';
import type { RunInput } from '../../core/spec/run.ts';
import { mockActivity } from '../support/activity-context.ts';
import { CONTRACT, createPipelines, type PipelinesFolder, pipelineText } from './pipeline.fixture.ts';

let pipelines: PipelinesFolder;
let root: string;
beforeEach(async () => {
  pipelines = await createPipelines();
  await pipelines.write({ 'trips/pipeline.ts': pipelineText('trips'), 'trips/trips.schema.json': CONTRACT });
  root = await mkdtemp(join(tmpdir(), 'refit-prepare-'));
});
afterEach(async () => {
  await pipelines.remove();
  await rm(root, { recursive: true });
});

const resolve = (input: RunInput) => {
  const refit = compose({ ...placesOf(root, {}), pipelines: pipelines.folder });
  const { resolveRun } = createPrepareActivities(refit);
  return mockActivity().run(() => resolveRun({ input, startedAt: '2021-01-01T00:00:00.000Z' }));
};

test('a start that is wrong takes no idempotency key: mended, it may use it', async () => {
  const wrong = resolve({ pipeline: 'trips', asOf: '2020-02-30', key: 'k' });
  await expect(wrong).rejects.toMatchObject({ code: 'REFIT_AS_OF_INVALID' });
  expect(await resolve({ pipeline: 'trips', asOf: '2020-02-28', key: 'k' })).toMatchObject({
    asOf: '2020-02-28T00:00:00Z',
  });
  const other = resolve({ pipeline: 'trips', asOf: '2020-02-29', key: 'k' });
  await expect(other).rejects.toMatchObject({ code: 'REFIT_KEY_REUSED' });
});
