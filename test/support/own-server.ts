import { Client, Connection } from '@temporalio/client';
import { startEmbeddedServer } from '../../cli/embedded-server.ts';
import { nodeProgram } from '../../cli/node-program.ts';
import type { Project } from './project.ts';

/** A Temporal server and a worker of a project, which can be stopped and started again on the same database. */
export interface Services {
  client: Client;
  /** For `refit` commands that shall use this server. */
  env: { TEMPORAL_ADDRESS: string };
  stop(): Promise<void>;
}

/** `settings`: more of the worker's environment. */
export async function startServices(project: Project, settings: NodeJS.ProcessEnv = {}): Promise<Services> {
  const server = await startEmbeddedServer(project.path('.refit'));
  const env = { TEMPORAL_ADDRESS: server.address };
  const log = project.path('.refit/logs/worker.log');
  const worker = await nodeProgram({ name: 'worker', root: project.root, env: { ...settings, ...env }, log }).start(
    new AbortController().signal,
  );
  const connection = await Connection.connect({ address: server.address });
  return {
    client: new Client({ connection }),
    env,
    stop: async () => {
      await connection.close();
      await worker.stop();
      await server.stop();
    },
  };
}

/** Asks until there is an answer. */
export async function until<T>(answer: () => Promise<T | undefined>, what: string, patienceMs = 60_000): Promise<T> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const found = await answer();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${patienceMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}
