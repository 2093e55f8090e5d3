import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { Places } from '../core/compose/refit.ts';
import { RefitError } from '../core/spec/errors.ts';
import { TaskQueue } from '../core/spec/queues.ts';
import { type EmbeddedServer, startEmbeddedServer } from './embedded-server.ts';
import { dim, say } from './terminal.ts';
import { startWorker } from './worker-process.ts';

/** A Temporal server with workers, ours or somebody else's. */
export interface Stack {
  client: Client;
  address: string;
  /** Address of the Temporal UI; unknown for a server that is not ours. */
  ui: string | undefined;
  close(): Promise<void>;
}

/** What a running embedded stack leaves in `.refit/stack.json` for the commands beside it. */
interface StackFile {
  pid: number;
  address: string;
  ui: string;
}

/**
 * The stack that a command works with: what TEMPORAL_ADDRESS (or a Temporal profile) names; else one that another command
 * of this project runs; else an embedded one for as long as this command runs.
 */
export async function openStack(places: Places): Promise<Stack> {
  const { connectionOptions } = loadClientConnectConfig();
  if (connectionOptions.address) return openForeign();
  const files = stackFiles(places.state);
  mkdirSync(files.users, { recursive: true });
  for (let attempt = 0; ; attempt++) {
    const running = readStack(files.stack);
    if (running) return join(running, files);
    if (claim(files.lock)) break;
    if (attempt > 600)
      throw new RefitError(
        'REFIT_TEMPORAL_UNREACHABLE',
        `Another command has been starting a server for a minute; remove ${files.lock} if none is.`,
      );
    await pause(100);
  }
  try {
    return await own(places, files);
  } finally {
    rmSync(files.lock, { force: true });
  }
}

type Files = ReturnType<typeof stackFiles>;

function stackFiles(state: string) {
  return {
    stack: path.join(state, 'stack.json'),
    lock: path.join(state, 'stack.lock'),
    users: path.join(state, 'stack-users'),
  };
}

async function openForeign(): Promise<Stack> {
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
  const address = connectionOptions.address ?? '';
  let connection: Connection;
  try {
    connection = await Connection.connect({ ...connectionOptions, connectTimeout: '5s' });
  } catch (error) {
    throw new RefitError(
      'REFIT_TEMPORAL_UNREACHABLE',
      `No Temporal server answers at ${address}.`,
      { address },
      { cause: error },
    );
  }
  for (const queue of [TaskQueue.control, TaskQueue.cpu]) await requireWorker(connection, namespace, queue);
  return { client: new Client({ connection, namespace }), address, ui: undefined, close: () => connection.close() };
}

async function requireWorker(connection: Connection, namespace: string, queue: string): Promise<void> {
  const taskQueueType = queue === TaskQueue.control ? 1 : 2;
  const { pollers } = await connection.workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name: queue },
    taskQueueType,
  });
  if (pollers && pollers.length > 0) return;
  throw new RefitError('REFIT_WORKER_MISSING', `No worker serves the task queue ${queue} of the Temporal server.`, {
    queue,
  });
}

async function own(places: Places, files: Files): Promise<Stack> {
  let server: EmbeddedServer | undefined;
  try {
    server = await startEmbeddedServer(places.state);
    const { address, ui } = server;
    const env = { TEMPORAL_ADDRESS: address };
    const worker = await startWorker({ root: places.root, state: places.state, env }, (pid) =>
      say(dim(`The worker died; a new one goes on (process ${pid}).`)),
    );
    const connection = await Connection.connect({ address });
    const content: StackFile = { pid: process.pid, address, ui };
    writeFileSync(`${files.stack}.new`, JSON.stringify(content));
    renameSync(`${files.stack}.new`, files.stack);
    const close = async () => {
      await othersToEnd(files.users);
      rmSync(files.stack, { force: true });
      await connection.close();
      await worker.stop();
      await server?.stop();
    };
    return { client: new Client({ connection }), address, ui, close };
  } catch (error) {
    await server?.stop();
    throw error;
  }
}

/** Uses the stack of a command beside this one, which waits for us before it ends. */
async function join({ address, ui }: StackFile, files: Files): Promise<Stack> {
  const mark = path.join(files.users, String(process.pid));
  writeFileSync(mark, '');
  const connection = await Connection.connect({ address, connectTimeout: '5s' });
  const close = async () => {
    rmSync(mark, { force: true });
    await connection.close();
  };
  return { client: new Client({ connection }), address, ui, close };
}

async function othersToEnd(users: string): Promise<void> {
  let told = false;
  const alive = () => readdirSync(users).filter((name) => isAlive(Number(name)));
  while (alive().length > 0) {
    if (!told) say(dim('Another refit command uses this server; it ends when that one has.'));
    told = true;
    await pause(200);
  }
  rmSync(users, { recursive: true, force: true });
}

function readStack(file: string): StackFile | undefined {
  if (!existsSync(file)) return undefined;
  try {
    const stack = JSON.parse(readFileSync(file, 'utf8')) as StackFile;
    if (isAlive(stack.pid)) return stack;
  } catch {
    // Half a file of a command that died: as good as none.
  }
  rmSync(file, { force: true });
  return undefined;
}

/** Takes the right to start a stack; breaks the claim of a command that is gone. */
function claim(lock: string): boolean {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch {
    const owner = existsSync(lock) ? Number(readFileSync(lock, 'utf8')) : 0;
    if (owner && !isAlive(owner)) rmSync(lock, { force: true });
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
