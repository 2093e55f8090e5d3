/** `/v1/models`: what serves, and predictions from entity keys or raw fields. */
import type { FastifyInstance } from 'fastify';
import type { Predictor } from './predict.ts';
import type { Router } from './router.ts';
import {
  ErrorResponse,
  ModelInformation,
  ModelParams,
  ModelSummary,
  PredictRequest,
  PredictResponse,
} from './schemas.ts';
import type { ServedModel } from './served-model.ts';

const tags = ['Models'];
const errors = { '4xx': ErrorResponse, '5xx': ErrorResponse };

export function modelRoutes(
  app: FastifyInstance,
  { router, predictor }: { router: Router; predictor: Predictor },
): void {
  app.get(
    '/v1/models',
    {
      schema: {
        tags,
        summary: 'The models that can be asked',
        response: {
          200: { type: 'object', properties: { models: { type: 'array', items: ModelSummary } }, required: ['models'] },
        },
      },
    },
    async () => {
      const found = await Promise.all(router.models().map((name) => router.pick(name).catch(() => undefined)));
      return { models: found.flatMap((served) => (served ? [summaryOf(served)] : [])) };
    },
  );

  app.get<{ Params: ModelParams }>(
    '/v1/models/:model',
    {
      schema: {
        tags,
        summary: 'A model: its version, its keys, its inputs',
        params: ModelParams,
        response: { 200: ModelInformation, ...errors },
      },
    },
    async ({ params }) => informationOf(await router.pick(params.model)),
  );

  app.post<{ Params: ModelParams; Body: PredictRequest }>(
    '/v1/models/:model(^[^:/]+)::predict',
    {
      config: { predicts: true },
      schema: {
        tags,
        summary: 'Predict, from entity keys (with online features) or from raw fields',
        params: ModelParams,
        body: PredictRequest,
        response: { 200: PredictResponse, ...errors },
      },
    },
    async ({ params, body }, reply) => {
      const startedMs = performance.now() - reply.elapsedTime;
      return predictor.instances(await router.pick(params.model), body, startedMs);
    },
  );
}

function summaryOf({ name, version, manifest, spec }: ServedModel) {
  return { model: name, version, asOf: manifest.asOf, question: spec.question };
}

function informationOf(served: ServedModel) {
  const { manifest, spec, instances } = served;
  return {
    ...summaryOf(served),
    trainer: manifest.trainedModel.trainer,
    keys: spec.spine.key,
    inputs: manifest.trainedModel.features,
    metrics: manifest.metrics.test,
    sha256: manifest.sha256,
    instance: instances.schema,
  };
}
