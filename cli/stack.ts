import path from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { compose, type Places } from '../core/compose/refit.ts';
import { RefitError } from '../core/spec/errors.ts';
import { TaskQueue } from '../core/spec/queues.ts';
import { claimCheck } from '../core/store/claim-check.ts';
import { startEmbeddedServer } from './embedded-server.ts';
import { nodeProgram } from './node-program.ts';
import {
  type Claim,
  claimStack,
  findStack,
  joinStack,
  type RunningStack,
  stackToSettle,
  unshareStack,
} from './running-stack.ts';
import { supervise } from './supervise.ts';
import { dim, say } from './terminal.ts';

/** A Temporal server with workers, ours or somebody else's. */
export interface Stack {
  client: Client;
  address: string;
  /** Address of the Temporal UI; unknown for a server that is not ours. */
  ui: string | undefined;
  /** It ends when this is closed. */
  own: boolean;
  close(): Promise<void>;
}

/** How long another command may take to start or end its server. */
const PATIENCE_MS = 60_000;

/**
 * The stack that a command works with: what TEMPORAL_ADDRESS (or a Temporal profile) names; else one that another command
 * of this project runs; else an embedded one for as long as this command runs. Without `workers`, a server alone will do.
 */
export async function openStack(places: Places, { workers = true } = {}): Promise<Stack> {
  const clientOf = clientsOf(places);
  const { connectionOptions } = loadClientConnectConfig();
  if (connectionOptions.address) return openForeign(clientOf, workers);
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const running = findStack(places.state);
    const leave = running && joinStack(places.state, running);
    if (leave) return use(clientOf, running, leave);
    const claim = await claimStack(places.state);
    if (claim) return own(places, clientOf, claim);
    await stackToSettle(places.state, deadline);
  }
}

async function openForeign(clientOf: MakeClient, workers: boolean): Promise<Stack> {
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
  const queues = workers ? [TaskQueue.control, TaskQueue.cpu] : [];
  for (const queue of queues) await requireWorker(connection, namespace, queue);
  const client = clientOf(connection, namespace);
  return { client, address, ui: undefined, own: false, close: () => connection.close() };
}

type MakeClient = (connection: Connection, namespace?: string) => Client;

/** Clients that read what the workers of this project have put into its store because it was large. */
export function clientsOf(places: Places): MakeClient {
  const dataConverter = { payloadCodecs: [claimCheck(compose(places).blobs)] };
  return (connection, namespace = 'default') => new Client({ connection, namespace, dataConverter });
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

async function own(places: Places, clientOf: MakeClient, claim: Claim): Promise<Stack> {
  const started: { stop(): Promise<void> }[] = [];
  const end = async () => {
    // The worker first: it has something to tell the server.
    for (const one of started.toReversed()) await one.stop();
    claim.release();
  };
  try {
    const server = await startEmbeddedServer(places.state);
    started.push(server);
    const { address, ui } = server;
    const log = path.join(places.state, 'logs', 'worker.log');
    const worker = nodeProgram({ name: 'worker', root: places.root, env: { TEMPORAL_ADDRESS: address }, log });
    started.push(
      await supervise(worker, (news) => {
        if (news.what === 'back') say(dim(`The worker died; a new one goes on (process ${news.pid}).`));
      }),
    );
    const connection = await Connection.connect({ address });
    claim.publish({ command: `refit ${process.argv[2] ?? ''}`.trim(), address, ...(ui ? { ui } : {}) });
    const close = async () => {
      await unshareStack(places.state, claim, () =>
        say(dim('Another refit command uses this server; it ends when that one has.')),
      );
      await connection.close();
      await end();
    };
    return { client: clientOf(connection), address, ui, own: true, close };
  } catch (error) {
    await end();
    throw error;
  }
}

/** Uses the stack of a command beside this one, which waits for us before it ends if it is a short one. */
async function use(clientOf: MakeClient, { address, ui }: RunningStack, leave: () => void): Promise<Stack> {
  try {
    const connection = await Connection.connect({ address, connectTimeout: '5s' });
    const close = async () => {
      leave();
      await connection.close();
    };
    return { client: clientOf(connection), address, ui, own: false, close };
  } catch (error) {
    leave();
    throw new RefitError(
      'REFIT_TEMPORAL_UNREACHABLE',
      `The Temporal server that another command of this project runs does not answer at ${address}.`,
      { address },
      { cause: error },
    );
  }
}
