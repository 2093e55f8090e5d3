import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, test } from 'vitest';
import { workflowBundle } from '../../workers/bundle.ts';

const HISTORIES = fileURLToPath(new URL('../histories', import.meta.url));
const STATE = fileURLToPath(new URL('../../.refit', import.meta.url));

/** Recorded by `node --import tsx test/support/record-history.ts` from a real run of the flights pipeline. */
const RECORDED = 'train-pipeline.promoted.json';

interface HistoryJson {
  events: { eventType: string; activityTaskScheduledEventAttributes?: { activityType: { name: string } } }[];
}

describe('replay of the recorded run', () => {
  let codePath: string;
  let recorded: HistoryJson;
  beforeAll(async () => {
    codePath = await workflowBundle(STATE);
    recorded = JSON.parse(await readFile(path.join(HISTORIES, RECORDED), 'utf8')) as HistoryJson;
  });
  const replay = (history: HistoryJson) =>
    Worker.runReplayHistory({ workflowBundle: { codePath }, replayName: RECORDED }, historyFromJSON(history));

  test('today’s workflow takes every step that was recorded', async () => {
    expect(recorded.events.length).toBeGreaterThan(50);
    await replay(recorded);
  });

  test('a history with two activities exchanged is refused', async () => {
    const tampered = structuredClone(recorded);
    const scheduled = tampered.events.flatMap((event) => event.activityTaskScheduledEventAttributes ?? []);
    const features = scheduled.find(({ activityType }) => activityType.name === 'buildTrainingSet');
    const evaluation = scheduled.find(({ activityType }) => activityType.name === 'evaluateCandidate');
    if (!features || !evaluation) throw new Error('the recorded run has both');
    [features.activityType, evaluation.activityType] = [evaluation.activityType, features.activityType];
    await expect(replay(tampered)).rejects.toThrow(/[Nn]ondeterminism|buildTrainingSet|evaluateCandidate/);
  });
});
