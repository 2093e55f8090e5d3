import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import type { Places } from '../core/compose/places.ts';
import { RefitError } from '../core/spec/errors.ts';
import { type DevPorts, requireFree } from './dev-ports.ts';
import { startEmbeddedServer } from './embedded-server.ts';
import { nodeProgram } from './node-program.ts';
import { type Claim, claimStack, findOwner, findStack } from './running-stack.ts';
import { type News, type Program, type Supervised, supervise } from './supervise.ts';

/** What `refit dev` runs. */
export interface DevStack {
  addresses: { pid: number; temporal: string; ui?: string; gateway: string; store: string };
  /** Whether other commands of this project use this server. */
  shared: boolean;
  stop(): Promise<void>;
}

interface DevOptions {
  ports: DevPorts;
  /** Whether the ports were asked for: a second stack may stand beside the first then, with a database of its own. */
  moved: boolean;
}

/**
 * Starts server, worker and gateway, each watched by itself. @returns undefined when `signal` stopped it before it was ready
 * @throws RefitError REFIT_PORT_IN_USE, REFIT_SETUP_MISSING, REFIT_TEMPORAL_UNREACHABLE, REFIT_WORKER_MISSING
 */
export async function startDevStack(
  places: Places,
  { ports, moved }: DevOptions,
  signal: AbortSignal,
  tell: (text: string) => void,
): Promise<DevStack | undefined> {
  const foreign = await foreignServer();
  const claim = foreign ? undefined : await claimStack(places.state);
  let server: Supervised | undefined;
  const programs: Supervised[] = [];
  const stop = async () => {
    // The server last: the others have something to tell it.
    await Promise.all(programs.map((one) => one.stop()));
    await server?.stop();
    claim?.release();
  };
  try {
    if (!foreign && !claim && !moved) throw runningAlready(places.state);
    await requireFree(foreign ? { gateway: ports.gateway } : ports);
    const parts = programsOf(places, ports, { foreign, alone: claim !== undefined });
    const watch = (program: Program) => supervise(program, (news) => tell(sentenceOf(news)), signal);
    if (parts.server) server = await watch(parts.server);
    const begin = async (program: Program) => void programs.push(await watch(program));
    // Both to the end, so that nothing that starts late is left behind.
    for (const outcome of await Promise.allSettled([begin(parts.worker), begin(parts.gateway)])) {
      if (outcome.status === 'rejected') throw outcome.reason;
    }
    const addresses = addressesOf(places, ports, foreign);
    share(claim, addresses);
    return { addresses, shared: claim !== undefined || foreign !== undefined, stop };
  } catch (error) {
    await stop();
    if (signal.aborted) return undefined;
    throw error;
  }
}

function programsOf(
  places: Places,
  ports: DevPorts,
  { foreign, alone }: { foreign: string | undefined; alone: boolean },
) {
  const name = alone ? 'dev' : `dev-${ports.temporal}`;
  const log = (program: string) => path.join(places.state, 'logs', alone ? `${program}.log` : `${program}-${name}.log`);
  const server = {
    name: 'Temporal server',
    start: () =>
      startEmbeddedServer(places.state, {
        port: ports.temporal,
        ...(ports.ui === undefined ? {} : { uiPort: ports.ui }),
        database: name,
      }),
  };
  const address = foreign ? {} : { TEMPORAL_ADDRESS: `127.0.0.1:${ports.temporal}` };
  const common = { root: places.root };
  return {
    server: foreign ? undefined : server,
    worker: nodeProgram({ ...common, name: 'worker', env: address, log: log('worker') }),
    gateway: nodeProgram({
      ...common,
      name: 'gateway',
      env: { ...address, REFIT_GATEWAY_PORT: String(ports.gateway) },
      log: log('gateway'),
    }),
  };
}

function addressesOf(places: Places, ports: DevPorts, foreign: string | undefined): DevStack['addresses'] {
  const host = process.env.REFIT_GATEWAY_HOST || '127.0.0.1';
  return {
    pid: process.pid,
    temporal: foreign ?? `127.0.0.1:${ports.temporal}`,
    ...(foreign || ports.ui === undefined ? {} : { ui: `http://127.0.0.1:${ports.ui}` }),
    gateway: `http://${host}:${ports.gateway}`,
    store: places.store,
  };
}

function share(claim: Claim | undefined, { temporal, ui, gateway }: DevStack['addresses']): void {
  claim?.publish({ command: 'refit dev', address: temporal, ...(ui ? { ui } : {}), gateway });
}

/** The server that TEMPORAL_ADDRESS or a Temporal profile names. */
async function foreignServer(env = process.env): Promise<string | undefined> {
  if (env.TEMPORAL_ADDRESS) return env.TEMPORAL_ADDRESS;
  const folders = [
    env.XDG_CONFIG_HOME,
    path.join(homedir(), '.config'),
    path.join(homedir(), 'Library/Application Support'),
  ];
  const files = folders.flatMap((folder) => (folder ? [path.join(folder, 'temporalio/temporal.toml')] : []));
  if (!env.TEMPORAL_PROFILE && !env.TEMPORAL_CONFIG_FILE && !files.some((file) => existsSync(file))) return undefined;
  // Loaded only for those who have one: it takes 20 MB for as long as this runs.
  const { loadClientConnectConfig } = await import('@temporalio/envconfig');
  return loadClientConnectConfig().connectionOptions.address;
}

function runningAlready(state: string): RefitError {
  const stack = findStack(state);
  const details = { pid: stack?.pid ?? findOwner(state), address: stack?.address };
  const who = `process ${details.pid}`;
  if (!stack) {
    const sentence = `Another command of this project (${who}) is starting or ending a server.`;
    return new RefitError('REFIT_PORT_IN_USE', sentence, details);
  }
  if (stack.command === 'refit dev') {
    const where = `Temporal at ${stack.address}, the gateway at ${stack.gateway}`;
    const sentence = `\`refit dev\` of this project is running already (${who}): ${where}.`;
    return new RefitError('REFIT_PORT_IN_USE', sentence, details);
  }
  const sentence = `\`${stack.command}\` of this project (${who}) runs a Temporal server at ${stack.address} until it ends.`;
  return new RefitError('REFIT_PORT_IN_USE', sentence, details);
}

const inSeconds = (waitMs: number) => (waitMs === 0 ? 'now' : `in ${(waitMs / 1000).toFixed(waitMs < 1000 ? 2 : 0)} s`);

function sentenceOf(news: News): string {
  if (news.what === 'back') return `The ${news.name} is back (process ${news.pid}).`;
  if (news.what === 'died') return `The ${news.name} ${news.how}; it is started again ${inSeconds(news.waitMs)}.`;
  return `The ${news.name} did not come back, next try ${inSeconds(news.waitMs)}. ${news.reason}`;
}
