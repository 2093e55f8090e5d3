/**
 * Records the histories that test/replay replays: a small run of the flights pipeline on a real server, and a materialization of its
 * features. `node --import tsx test/support/record-history.ts [train] [materialize]`
 */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { createProject, startRefit } from './project.ts';

const target = (name: string) => fileURLToPath(new URL(`../histories/${name}.json`, import.meta.url));
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

const RECORDED = {
  train: { file: 'train-pipeline.promoted', command: ['run', ...ARGS, ...SMALL], months: 4 },
  materialize: {
    file: 'materialize-features',
    command: ['features', 'materialize', '--pipeline', 'flight-delays', '--as-of', '2013-02-01', '--workflow'],
    months: 1,
  },
};

const asked = process.argv.slice(2) as (keyof typeof RECORDED)[];
for (const name of asked.length > 0 ? asked : (Object.keys(RECORDED) as typeof asked)) await record(RECORDED[name]);

async function record({ file, command, months }: (typeof RECORDED)[keyof typeof RECORDED]): Promise<void> {
  const project = await createProject({ months });
  try {
    const { output, outcome } = startRefit(project, command);
    const address = await until(() => /Temporal (127\.0\.0\.1:\d+)/.exec(output.stderr)?.[1]);
    const connection = await Connection.connect({ address });
    const id = await until(() => /(train|materialize)\/\S+/.exec(output.stderr)?.[0]);
    const handle = new Client({ connection }).workflow.getHandle(id);
    // The server stays until its users are gone, so the history is read as soon as the result is there.
    // It is named a moment before it is started.
    await until(() => handle.describe().catch(() => undefined));
    await handle.result();
    const history = await handle.fetchHistory();
    // Which process on which host it was means nothing to a replay.
    const anonymous = (key: string, value: unknown) => (key === 'identity' ? 'recorded' : value);
    await writeFile(target(file), `${JSON.stringify(JSON.parse(historyToJSON(history)), anonymous, 1)}\n`);
    await connection.close();
    await outcome;
  } finally {
    await project.remove();
  }
}

async function until<T>(probe: () => T | undefined | Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
