/** The HTTP side: routes, limits, errors, OpenAPI. What a request means is decided elsewhere. */
import swagger from '@fastify/swagger';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { RefitError } from '../core/spec/errors.ts';
import { errorBody, httpError } from './http-errors.ts';
import type { Metrics } from './metrics.ts';
import { modelRoutes } from './model-routes.ts';
import type { Predictor } from './predict.ts';
import type { Router } from './router.ts';
import { Health } from './schemas.ts';
import type { Settings } from './settings.ts';
import { protocolRoutes } from './v2/routes.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Counts against the limit of requests under way. */
    predicts?: boolean;
  }
}

export interface ServerDependencies {
  router: Router;
  predictor: Predictor;
  metrics: Metrics;
  settings: Pick<Settings, 'bodyLimit' | 'requests'>;
  /** Version of Refit. */
  version: string;
  /** True once a stop was asked for. */
  draining(): boolean;
}

/** The server, not listening yet. */
export async function createServer(dependencies: ServerDependencies): Promise<FastifyInstance> {
  const { router, metrics, settings, version, draining } = dependencies;
  const app = fastify({
    bodyLimit: settings.bodyLimit,
    requestTimeout: 60_000,
    // A name that is too long is an unknown model like any other: Fastify's own word for it is in nobody's shape.
    routerOptions: { maxParamLength: 65_536 },
    // While we stop, requests on connections that are open still are answered, and their connections closed.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false, strictTypes: false } },
  });
  app.setErrorHandler((thrown, request, reply) => sendError(thrown, request, reply));
  app.setNotFoundHandler((request, reply) => {
    const message = `There is no ${request.method} ${request.url} here; /openapi.json lists what there is.`;
    return reply.status(404).send(errorBody(new RefitError('REFIT_REQUEST_INVALID', message)));
  });
  // A connection that is kept alive would keep a gateway that stops alive as well.
  app.addHook('onSend', async (_, reply) => {
    if (draining()) void reply.header('connection', 'close');
  });
  limitRequests(app, metrics, settings);
  countRequests(app, metrics, router);

  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Refit gateway', version, description: 'Predictions of the models that Refit keeps fit.' },
    },
  });
  await app.register(async (scope) => modelRoutes(scope, dependencies));
  const ready = () => router.ready() && !draining();
  await app.register(async (scope) => protocolRoutes(scope, { ...dependencies, ready }), { prefix: '/v2' });
  operationRoutes(app, dependencies);
  return app;
}

function operationRoutes(app: FastifyInstance, { router, metrics, draining }: ServerDependencies): void {
  const tags = ['Operation'];
  app.get(
    '/health',
    { schema: { tags, summary: 'Whether the gateway takes requests', response: { 200: Health, 503: Health } } },
    (_, reply) => {
      const status = draining() ? 'draining' : 'ok';
      return reply.status(draining() ? 503 : 200).send({ status, models: router.models().length });
    },
  );
  app.get(
    '/metrics',
    { schema: { tags, summary: 'Metrics for Prometheus', produces: ['text/plain'] } },
    async (_, reply) => {
      void reply.type(metrics.registry.contentType);
      return metrics.registry.metrics();
    },
  );
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
}

/** Bodies of all requests under way, in bytes; each is kept in memory several times over while it is read. */
const BODIES_BYTES = 256 * 1024 * 1024;

/** Refuses early, before a body is read: what is taken is answered. */
function limitRequests(
  app: FastifyInstance,
  metrics: Metrics,
  { requests, bodyLimit }: ServerDependencies['settings'],
): void {
  let underway = 0;
  let bytes = 0;
  metrics.underway.set(0);
  app.addHook('onRequest', (request, reply, done) => {
    if (!request.routeOptions.config.predicts) return done();
    const length = Number(request.headers['content-length'] ?? bodyLimit);
    const body = Number.isFinite(length) ? Math.min(length, bodyLimit) : bodyLimit;
    if (underway >= requests || (underway > 0 && bytes + body > BODIES_BYTES)) {
      const message = `The gateway is answering ${underway} requests of ${Math.ceil(bytes / 1024)} KiB already.`;
      return done(new RefitError('REFIT_OVERLOADED', message, { requests, underway, bytes }));
    }
    metrics.underway.set(++underway);
    bytes += body;
    reply.raw.once('close', () => {
      metrics.underway.set(--underway);
      bytes -= body;
    });
    return done();
  });
}

function countRequests(app: FastifyInstance, metrics: Metrics, router: Router): void {
  app.addHook('onResponse', (request, reply, done) => {
    const route = (request.routeOptions.url ?? '').replace(/\(.*\)::/, ':');
    const asked = (request.params as { model?: string } | undefined)?.model ?? '';
    // Names that do not serve are not remembered: anybody can make up any number of them.
    const model = router.models().includes(asked) ? asked : '';
    metrics.requests.inc({ route, method: request.method, status: reply.statusCode, model });
    metrics.seconds.observe({ route, model }, reply.elapsedTime / 1000);
    if (reply.statusCode === 503 && request.routeOptions.config.predicts) metrics.refused.inc();
    done();
  });
}

function sendError(thrown: unknown, request: FastifyRequest, reply: FastifyReply) {
  const { status, error } = status415(thrown, request) ?? httpError(thrown);
  if (status === 503) void reply.header('retry-after', '1');
  if (status >= 500) {
    process.stderr.write(`refit gateway: ${request.method} ${request.url}: ${error.code}: ${error.message}\n`);
  }
  return reply.status(status).send(errorBody(error));
}

/** What `curl -d` sends unless told otherwise deserves a better word than "Unsupported Media Type". */
function status415(thrown: unknown, { headers }: FastifyRequest) {
  if ((thrown as { statusCode?: number }).statusCode !== 415) return undefined;
  const message = `The body came as ${headers['content-type'] ?? 'no content type'}; send it as application/json.`;
  return { status: 415, error: new RefitError('REFIT_REQUEST_INVALID', message) };
}
