/** Records the history that test/replay replays: a small run of the flights pipeline on a real server. */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { createProject, startRefit } from './project.ts';

const TARGET = fileURLToPath(new URL('../histories/train-pipeline.promoted.json', import.meta.url));
const ARGS = ['flight-delays', '--as-of', '2013-05-01', '--set', 'split.test=1mo', '--set', 'split.train.min=1mo'];
const SMALL = [
  '--set',
  'split.train.max=2mo',
  '--set',
  'model.rounds=40',
  '--set',
  'search.trials=2',
  '--set',
  'search.rounds=20',
];

const project = await createProject({ months: 4 });
try {
  const { output, outcome } = startRefit(project, ['run', ...ARGS, ...SMALL]);
  const address = await until(() => /Temporal (127\.0\.0\.1:\d+)/.exec(output.stderr)?.[1]);
  const connection = await Connection.connect({ address });
  const handle = new Client({ connection }).workflow.getHandle(/train\/\S+/.exec(output.stderr)?.[0] ?? '');
  // The server stays until its users are gone, so the history is read as soon as the result is there.
  await handle.result();
  const history = await handle.fetchHistory();
  // Which process on which host it was means nothing to a replay.
  const anonymous = (key: string, value: unknown) => (key === 'identity' ? 'recorded' : value);
  await writeFile(TARGET, `${JSON.stringify(JSON.parse(historyToJSON(history)), anonymous, 1)}\n`);
  await connection.close();
  await outcome;
} finally {
  await project.remove();
}

async function until<T>(probe: () => T | undefined): Promise<T> {
  for (;;) {
    const found = probe();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
