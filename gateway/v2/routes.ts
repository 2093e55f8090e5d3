/** The Open Inference Protocol V2 under `/v2`. Its errors are `{ "error": "<sentence>" }`, as its clients expect. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { httpError } from '../http-errors.ts';
import type { Predictor } from '../predict.ts';
import type { Router } from '../router.ts';
import { InferRequest, InferResponse, readInferRequest, wantedOutputs, writeInferResponse } from './message.ts';
import { OUTPUT, signatureOf, tableOfInputs } from './signature.ts';
import { invalid } from './tensors.ts';

const Params = Type.Object({ model: Type.String() });
const VersionParams = Type.Object({ ...Params.properties, version: Type.String() });
const ProtocolError = Type.Object({ error: Type.String() }, { description: 'What went wrong, in one sentence.' });
const Tensor = Type.Object({ name: Type.String(), datatype: Type.String(), shape: Type.Array(Type.Integer()) });
const ServerMetadata = Type.Object({
  name: Type.String(),
  version: Type.String(),
  extensions: Type.Array(Type.String()),
});
const ModelMetadata = Type.Object({
  name: Type.String(),
  versions: Type.Array(Type.String()),
  platform: Type.String(),
  inputs: Type.Array(Tensor),
  outputs: Type.Array(Tensor),
});
const Live = Type.Object({ live: Type.Boolean() });
const Ready = Type.Object({ ready: Type.Boolean() });
const ModelReady = Type.Object({ name: Type.String(), ready: Type.Boolean() });

type ForModel = FastifyRequest<{ Params: { model: string; version?: string } }>;

export interface ProtocolDependencies {
  router: Router;
  predictor: Predictor;
  /** Version of Refit. */
  version: string;
  /** False while the gateway starts or stops. */
  ready(): boolean;
}

/** To be registered under the prefix /v2. */
export async function protocolRoutes(app: FastifyInstance, dependencies: ProtocolDependencies): Promise<void> {
  const { router, ready } = dependencies;
  // A body is JSON, or JSON and bytes: the header says where it ends, whatever the content type.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_, body, done) => done(null, body));
  app.setErrorHandler((thrown, _, reply) => {
    const { status, error } = httpError(thrown);
    if (status >= 500) process.stderr.write(`refit gateway: ${error.code}: ${error.message}\n`);
    if (status === 503) void reply.header('retry-after', '1');
    return reply.status(status).send({ error: error.message });
  });
  app.setNotFoundHandler((request, reply) =>
    reply.status(404).send({ error: `There is no ${request.method} ${request.url} in the Open Inference Protocol.` }),
  );

  const tags = ['Open Inference Protocol V2'];
  const route = (summary: string, params: object | undefined, ok: object) => ({
    schema: {
      tags,
      summary,
      ...(params && { params }),
      response: { 200: ok, '4xx': ProtocolError, '5xx': ProtocolError },
    },
  });
  const extensions = ['binary_tensor_data'];
  app.get('', route('What this server is', undefined, ServerMetadata), () => ({
    name: 'refit',
    version: dependencies.version,
    extensions,
  }));
  app.get('/health/live', route('Whether the server runs', undefined, Live), () => ({ live: true }));
  const readyRoute = route('Whether the server takes requests', undefined, Ready);
  app.get('/health/ready', readyRoute, (_, reply) => reply.status(ready() ? 200 : 503).send({ ready: ready() }));

  for (const [path, params] of [
    ['/models/:model', Params],
    ['/models/:model/versions/:version', VersionParams],
  ] as const) {
    app.get(path, route("A model's inputs and outputs", params, ModelMetadata), (request: ForModel) =>
      metadata(request, router),
    );
    app.get(
      `${path}/ready`,
      route('Whether a model can be asked', params, ModelReady),
      async (request: ForModel, reply) => {
        const served = await router.pick(request.params.model, request.params.version);
        return reply.status(ready() ? 200 : 503).send({ name: served.name, ready: ready() });
      },
    );
    const { schema } = route('Ask a model, with tensors as JSON or bytes', params, InferResponse);
    app.post(
      `${path}/infer`,
      // The body is checked where its JSON is told from its bytes; here it is described only.
      { schema: { ...schema, body: InferRequest }, validatorCompiler: () => () => true, config: { predicts: true } },
      (request: ForModel, reply) => infer(request, reply, dependencies),
    );
  }
}

async function metadata({ params }: ForModel, router: Router) {
  const { name, version, manifest } = await router.pick(params.model, params.version);
  const platform = 'onnxruntime_onnx';
  return { name, versions: [String(version)], platform, ...signatureOf(manifest.trainedModel.features) };
}

async function infer(request: ForModel, reply: FastifyReply, { router, predictor }: ProtocolDependencies) {
  const served = await router.pick(request.params.model, request.params.version);
  const encoding = request.headers['content-encoding'];
  if (encoding)
    throw invalid(`A body with Content-Encoding ${encoding} is not taken; send it as it is.`, { status: 415 });
  const length = request.headers['inference-header-content-length'];
  const body = request.body instanceof Uint8Array ? request.body : new Uint8Array(0);
  const message = readInferRequest(body, length === undefined ? undefined : Number(length));
  const wanted = wantedOutputs(message, [OUTPUT]);
  const table = tableOfInputs(served.manifest.trainedModel.features, message.inputs);
  const values = await predictor.tensors(served, table, performance.now() - reply.elapsedTime);
  const { id } = message;
  const head = { model_name: served.name, model_version: String(served.version), ...(id !== undefined && { id }) };
  const written = writeInferResponse(
    head,
    wanted.map((output) => ({ ...output, values })),
  );
  if (written.headerLength === undefined) void reply.type('application/json; charset=utf-8');
  else {
    void reply.type('application/octet-stream');
    void reply.header('inference-header-content-length', String(written.headerLength));
  }
  return reply.send(Buffer.from(written.body));
}
