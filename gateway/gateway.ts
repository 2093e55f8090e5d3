/** Puts the gateway together and takes it apart again, in the order that loses nothing. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { Refit } from '../core/compose/refit.ts';
import { RefitError } from '../core/spec/errors.ts';
import { systemCode } from '../core/store/store-errors.ts';
import { createInferencePool } from './inference-pool.ts';
import { createSegmentPublisher } from './log-parquet.ts';
import { createMetrics, type Metrics, watchFreshness, watchLog } from './metrics.ts';
import { createPredictor } from './predict.ts';
import { createPredictionLog, type PredictionLog } from './prediction-log.ts';
import { createRouter, type Router } from './router.ts';
import { createModelLoader } from './served-model.ts';
import { createServer } from './server.ts';
import type { Settings } from './settings.ts';

export interface Gateway {
  port: number;
  /** Stops accepting, finishes what is under way, writes the log out. Safe to call again. */
  stop(): Promise<void>;
}

/** Starts answering. @throws RefitError REFIT_PORT_IN_USE */
export async function startGateway(refit: Refit, settings: Settings): Promise<Gateway> {
  const metrics = createMetrics();
  const pool = createInferencePool(settings);
  const log = openLog(refit, metrics);
  const onBatch = (model: string, rows: number) => metrics.batchRows.observe({ model }, rows);
  const loader = createModelLoader({ refit, pool, settings, onBatch });
  const router = openRouter(refit, loader, settings, metrics);
  watchFreshness(metrics, router);
  const predictor = createPredictor(log, metrics, settings.queueRows);
  let stopping: Promise<void> | undefined;
  const app = await createServer({
    ...{ router, predictor, metrics, settings },
    version: packageVersion(),
    draining: () => stopping !== undefined,
  });
  const closeAll = async () => {
    await router.stop();
    await log.close();
    await pool.close();
  };
  try {
    await listen(app, settings);
  } catch (error) {
    await closeAll();
    throw error;
  }
  return {
    port: (app.server.address() as { port: number }).port,
    stop: () => {
      stopping ??= drain(app, settings.drainMs).then(closeAll);
      return stopping;
    },
  };
}

function openLog({ places, objects }: Refit, metrics: Metrics): PredictionLog {
  const log = createPredictionLog({
    folder: path.join(places.state, 'gateway', 'log'),
    publish: createSegmentPublisher(objects, path.join(places.state, 'scratch')),
    onFailure: (error) => say(`the prediction log cannot be written, predictions go on: ${reasonOf(error)}`),
  });
  watchLog(metrics, log);
  return log;
}

function openRouter(
  { objects }: Refit,
  loader: ReturnType<typeof createModelLoader>,
  { pollMs }: Settings,
  metrics: Metrics,
): Router {
  return createRouter(
    { objects, loader, pollMs },
    {
      serving: ({ name, version }) => {
        metrics.champion.set({ model: name }, version);
        say(`version ${version} of ${name} serves`);
      },
      problem: (model, error) => {
        metrics.routingProblems.inc({ model });
        say(`${model || 'routing'} cannot be brought up to date: ${reasonOf(error)}`);
      },
    },
  );
}

async function listen(app: FastifyInstance, { host, port }: Settings): Promise<void> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    await app.close();
    if (systemCode(error) === 'EADDRINUSE') {
      throw new RefitError('REFIT_PORT_IN_USE', `Something listens on ${host}:${port} already.`, { host, port });
    }
    throw new RefitError('REFIT_USAGE', `The gateway cannot listen on ${host}:${port}: ${reasonOf(error)}.`, {
      host,
      port,
    });
  }
}

/** Requests that take longer than the limit are cut off. */
async function drain(app: FastifyInstance, drainMs: number): Promise<void> {
  const idle = setInterval(() => app.server.closeIdleConnections(), 100);
  const cut = setTimeout(() => app.server.closeAllConnections(), drainMs);
  await app.close();
  clearInterval(idle);
  clearTimeout(cut);
}

function packageVersion(): string {
  return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function say(what: string): void {
  process.stderr.write(`refit gateway: ${what}\n`);
}
