import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, test } from 'vitest';
import { workflowBundle } from '../../workers/bundle.ts';

const HISTORIES = fileURLToPath(new URL('../histories', import.meta.url));
const STATE = fileURLToPath(new URL('../../.refit', import.meta.url));

/** Recorded by `node --import tsx test/support/record-history.ts` from real runs of the flights pipeline. */
const NAMES = (await readdir(HISTORIES)).filter((name) => name.endsWith('.json'));
const NEWEST = 'train-pipeline.promoted.json';

interface HistoryJson {
  events: { eventType: string; activityTaskScheduledEventAttributes?: { activityType: { name: string } } }[];
}

const read = async (name: string) => JSON.parse(await readFile(path.join(HISTORIES, name), 'utf8')) as HistoryJson;

describe('replay of recorded runs', () => {
  let codePath: string;
  beforeAll(async () => {
    codePath = await workflowBundle(STATE);
  });
  const replay = (history: HistoryJson) =>
    Worker.runReplayHistory({ workflowBundle: { codePath }, replayName: NEWEST }, historyFromJSON(history));

  test('those of today, of before run keys and of a materialization are there', () => {
    expect(NAMES.sort()).toEqual(['materialize-features.json', 'train-pipeline.before-run-keys.json', NEWEST]);
  });

  test.each(NAMES)('today’s workflow takes every step of %s', async (name) => {
    const recorded = await read(name);
    expect(recorded.events.length).toBeGreaterThan(40);
    await replay(recorded);
  });

  test('a history with two activities exchanged is refused', async () => {
    const tampered = await read(NEWEST);
    const scheduled = tampered.events.flatMap((event) => event.activityTaskScheduledEventAttributes ?? []);
    const features = scheduled.find(({ activityType }) => activityType.name === 'buildTrainingSet');
    const evaluation = scheduled.find(({ activityType }) => activityType.name === 'evaluateCandidate');
    if (!features || !evaluation) throw new Error('the recorded run has both');
    [features.activityType, evaluation.activityType] = [evaluation.activityType, features.activityType];
    await expect(replay(tampered)).rejects.toThrow(/[Nn]ondeterminism|buildTrainingSet|evaluateCandidate/);
  });
});
