/**
 * `npm run bench:orchestration`: what orchestration costs on the local stack, against its targets. Times are from the
 * client's start of a workflow to its result, medians of several runs. `--json` prints them as JSON; `--steps-only` leaves
 * out the flights run, which must be computed once (about a minute) before its cached run can be timed.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { startEmbeddedServer } from '../cli/embedded-server.ts';
import { openStack } from '../cli/stack.ts';
import { placesOf } from '../core/compose/places.ts';
import { TaskQueue } from '../core/spec/queues.ts';
import type { RunInput, RunResult } from '../core/spec/run.ts';
import { noOpActivities } from './no-op.ts';

interface Figure {
  name: string;
  ms: number;
  targetMs: number;
}

const REPOSITORY = fileURLToPath(new URL('..', import.meta.url));
const QUEUE = 'refit-bench';

async function main(args: string[]): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const state = await mkdtemp(path.join(tmpdir(), 'refit-bench-'));
  try {
    const figures = await stepFigures(state);
    if (!args.includes('--steps-only')) figures.push(...(await cachedRunFigures(path.join(state, 'project'))));
    process.stdout.write(args.includes('--json') ? `${JSON.stringify({ figures })}\n` : table(figures));
  } finally {
    await rm(state, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** No-op steps on a worker with the SDK's usual concurrency. */
async function stepFigures(state: string): Promise<Figure[]> {
  const server = await startEmbeddedServer(state);
  const silent = new DefaultLogger('ERROR');
  const workflowBundle = await bundleWorkflowCode({
    workflowsPath: path.join(REPOSITORY, 'bench/workflows/index.ts'),
    logger: silent,
  });
  const connection = await NativeConnection.connect({ address: server.address });
  const worker = await Worker.create({ connection, taskQueue: QUEUE, workflowBundle, activities: noOpActivities });
  const running = worker.run();
  const client = new Client({ connection: await Connection.connect({ address: server.address }) });
  const time = (type: string, steps: number, runs: number) =>
    median(runs, async (index) => {
      await client.workflow.execute(type, {
        taskQueue: QUEUE,
        workflowId: `bench/${type}/${steps}/${index}`,
        args: [steps],
      });
    });
  try {
    return [
      { name: '6 no-op steps, one after the other', ms: await time('inSequence', 6, 25), targetMs: 100 },
      { name: '200 no-op steps at once', ms: await time('allAtOnce', 200, 7), targetMs: 600 },
      { name: '1,000 no-op steps at once', ms: await time('allAtOnce', 1_000, 5), targetMs: 2_000 },
    ];
  } finally {
    worker.shutdown();
    await running;
    await client.connection.close();
    await connection.close();
    await server.stop();
  }
}

/** The flights pipeline when every step is found in the cache: all of its time is orchestration and looking up. */
async function cachedRunFigures(root: string): Promise<Figure[]> {
  for (const folder of ['pipelines/flight-delays', 'data/nycflights13', '.refit/lib']) {
    await cp(path.join(REPOSITORY, folder), path.join(root, folder), { recursive: true });
  }
  const stack = await openStack(placesOf(root, {}));
  const input: RunInput = { pipeline: 'flight-delays', asOf: '2014-01-01T00:00:00Z' };
  let ran = 0;
  const run = async (): Promise<RunResult> => {
    ran += 1;
    const workflowId = `bench/flight-delays/${ran}`;
    return stack.client.workflow.execute('trainPipeline', { taskQueue: TaskQueue.control, workflowId, args: [input] });
  };
  try {
    await run();
    const ms = await median(5, async () => {
      const fresh = (await run()).stages.filter(({ cached }) => !cached);
      if (fresh.length > 0) throw new Error(`not cached: ${fresh.map(({ name }) => name).join(', ')}`);
    });
    return [{ name: 'flight-delays, every step cached', ms, targetMs: 2_000 }];
  } finally {
    await stack.close();
  }
}

/** Median wall time in ms, after one run that does not count. */
async function median(runs: number, work: (index: number) => Promise<void>): Promise<number> {
  await work(0);
  const times: number[] = [];
  for (let index = 1; index <= runs; index++) {
    const started = performance.now();
    await work(index);
    times.push(performance.now() - started);
  }
  return Math.round(times.toSorted((a, b) => a - b)[Math.floor(runs / 2)] ?? Number.NaN);
}

function table(figures: Figure[]): string {
  const lines = figures.map(
    ({ name, ms, targetMs }) =>
      `${name.padEnd(36)} ${`${ms} ms`.padStart(9)}   target ${`${targetMs} ms`.padStart(8)}   ${ms <= targetMs ? 'within' : 'ABOVE'}`,
  );
  return `Median times on this machine (${cpus().length} cores), from start to result:\n${lines.join('\n')}\n`;
}

await main(process.argv.slice(2));
