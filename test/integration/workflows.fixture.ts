import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { startEmbeddedServer } from '../../cli/embedded-server.ts';
import type { RunEvent } from '../../core/spec/activities.ts';
import { TaskQueue } from '../../core/spec/queues.ts';
import type { Progress, RunInput, RunResult } from '../../core/spec/run.ts';
import { createBlobStore } from '../../core/store/blobs.ts';
import { claimCheck } from '../../core/store/claim-check.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';
import { workflowBundle } from '../../workers/bundle.ts';

const STATE = path.resolve('.refit');

type Activities = Record<string, (input: never) => Promise<unknown>>;

/** What the stubs are asked and answer; a test changes what it is about. */
export interface Script {
  /** Every activity in the order it was started, e.g. `fitModel`. */
  calls: string[];
  /** Arguments of the calls, beside them. */
  inputs: { name: string; input: Record<string, unknown> }[];
  events: RunEvent[];
  run: Record<string, unknown>;
  newestEvent: string;
  /** Files of the source, and what a partition tells of its columns. */
  files: number;
  columns: string;
  /** Long lists that the steps of a run came to. */
  found: { rules: unknown[]; drifted: string[]; gates: unknown[] };
  decide: (input: { approved?: { action: string; by: string; reason: string } }) => unknown;
  /** Holds activities of this name up until it resolves. */
  gate: Record<string, Promise<void> | undefined>;
  fails: Record<string, Error | undefined>;
  /** Stage whose events the receiver of lineage will not take. */
  refuses?: string;
}

const quality = { auc: 0.7, logLoss: 0.5, brier: 0.2 };
const done = <T>(output: T) => ({ output, cached: false, seconds: 0 });
export const decided = (verdict: string, gates: unknown[] = []) => ({
  ...{ verdict, gates, serving: 1 },
  model: { name: 'p', version: 1, sha256: 'a'.repeat(64), path: 'models/p/1' },
});

export function newScript(): Script {
  return {
    calls: [],
    inputs: [],
    events: [],
    run: {},
    newestEvent: '2021-01-01T00:00:00Z',
    ...{ files: 1, columns: '' },
    found: { rules: [], drifted: [], gates: [] },
    decide: () => decided('promoted'),
    gate: {},
    fails: {},
  };
}

/** Activities that do nothing: what a workflow makes of their answers is under test. */
function stubs(script: () => Script): Activities {
  const answers: Record<string, (input: Record<string, unknown>) => unknown> = {
    resolveRun: ({ input, scheduledAt }) => ({
      pipeline: (input as RunInput).pipeline,
      asOf: (input as RunInput).asOf ?? null,
      spec: { uri: 'blobs/x', sha256: 'b'.repeat(64), bytes: 1 },
      ...{ question: '?', sources: ['s'], spineSource: 's', seed: 1, resources: 'cpu', announces: true },
      search: { trials: 0, batch: 1, rounds: 1, rowShare: 1, space: {} },
      digest: JSON.stringify([(input as RunInput).set ?? {}, (input as RunInput).force ?? false]).replaceAll(
        /\W/g,
        '_',
      ),
      ...(scheduledAt ? { notAfter: scheduledAt } : {}),
      ...script().run,
    }),
    recordResult: ({ result }) => result,
    inspectSource: () =>
      Array.from({ length: script().files }, (_, i) => {
        return { name: `f${i}`, sha256: 'c'.repeat(64), rows: 1, knownFrom: null, newestEvent: script().newestEvent };
      }),
    extractPartition: ({ file }) => done({ name: (file as { name: string }).name, columns: script().columns }),
    publishSnapshot: ({ source, partitions }) => {
      return done({ source, id: 'i', partitions, rows: 1, quarantined: 0, rules: script().found.rules });
    },
    buildTrainingSet: () =>
      done({ rows: { train: 1, validate: 1, test: 1 }, features: [], excluded: { unlabelled: 0, labelLate: 0 } }),
    fitBaseline: () => done({}),
    fitModel: () => done({ rounds: 1, roundsTrained: 1 }),
    evaluateCandidate: () => done({}),
    judgeCandidate: () =>
      done({
        ...{ metrics: { validate: quality, test: quality, baseline: quality }, gates: [], evaluation: {} },
        ...{ comparison: null, champion: null, report: null, page: 'p', reportAddress: 'reports/p.html' },
      }),
    registerVersion: () => done({ version: 1 }),
    resolveServed: (input) => answers.resolveRun?.(input),
    materializeOnline: () =>
      done({ entities: 1, rows: 3, written: 2, incremental: true, resumed: 0, store: 'lmdb:online' }),
    decide: (input) => {
      const decision = script().decide(input) as object;
      return 'gates' in decision
        ? { ...decision, gates: [...(decision.gates as unknown[]), ...script().found.gates] }
        : decision;
    },
    checkDrift: () => {
      const { drifted } = script().found;
      return done({ rows: 1, drifted, share: drifted.length > 0 ? 0.5 : 0 });
    },
    emitLineage: ({ moment }) =>
      script().refuses !== undefined && (moment as { stage: string | null }).stage === script().refuses
        ? { refused: 'The receiver answers 413.' }
        : true,
    announce: (event) => script().events.push(event as unknown as RunEvent) > 0,
  };
  return Object.fromEntries(
    Object.entries(answers).map(([name, answer]) => [
      name,
      async (input: never) => {
        const now = script();
        now.calls.push(name);
        now.inputs.push({ name, input });
        await now.gate[name];
        const failure = now.fails[name];
        if (failure) throw failure;
        return answer(input);
      },
    ]),
  );
}

export interface WorkflowStack {
  client: Client;
  script: Script;
  start(workflowId: string, input: RunInput): Promise<WorkflowHandle>;
  run(workflowId: string, input: RunInput): Promise<RunResult>;
  progress(handle: WorkflowHandle): Promise<Progress>;
  /** Starts a test over with fresh answers. */
  reset(): void;
  close(): Promise<void>;
}

/** The real workflows on a real server, with stubs for activities. */
export async function startWorkflows(): Promise<WorkflowStack> {
  // Failing runs are what is tested: their stack traces are no news.
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const state = await mkdtemp(path.join(tmpdir(), 'refit-workflows-'));
  const server = await startEmbeddedServer(state);
  const connection = await Connection.connect({ address: server.address });
  const native = await NativeConnection.connect({ address: server.address });
  const client = new Client({ connection });
  let script = newScript();
  const activities = stubs(() => script);
  const codePath = await workflowBundle(STATE);
  const blobs = createBlobStore(createFolderStore(path.join(state, 'store')));
  const common = { connection: native, dataConverter: { payloadCodecs: [claimCheck(blobs)] } };
  const workers = await Promise.all([
    Worker.create({ ...common, taskQueue: TaskQueue.control, workflowBundle: { codePath } }),
    Worker.create({ ...common, taskQueue: TaskQueue.cpu, activities }),
  ]);
  const running = workers.map((worker) => worker.run());
  const start = (workflowId: string, input: RunInput) =>
    client.workflow.start('trainPipeline', { taskQueue: TaskQueue.control, workflowId, args: [input] });
  return {
    client,
    get script() {
      return script;
    },
    start,
    run: async (workflowId, input) => (await start(workflowId, input)).result() as Promise<RunResult>,
    progress: (handle) => handle.query<Progress>('progress'),
    reset: () => {
      script = newScript();
    },
    close: async () => {
      for (const worker of workers) worker.shutdown();
      await Promise.all(running);
      await native.close();
      await connection.close();
      await server.stop();
      await rm(state, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Asks until the answer is there. @throws when it is not within half a minute */
export async function eventually<T>(probe: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
  const deadline = Date.now() + 30_000;
  while (Date.now() < deadline) {
    const found = await probe();
    if (found !== undefined && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('It did not come about within half a minute.');
}

/** A promise and its end. */
export function latch(): { open: () => void; opened: Promise<void> } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}
