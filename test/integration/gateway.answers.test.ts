/** What a user of the gateway sees: predictions from raw fields and from keys, what is wrong with a request, what is served. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  AS_OF,
  createGatewayProject,
  expectedScore,
  type GatewayProject,
  loggedRows,
  type RunningGateway,
  startGateway,
} from './gateway.fixture.ts';

let project: GatewayProject;
let gateway: RunningGateway;
beforeAll(async () => {
  project = await createGatewayProject();
  await project.promote(-2);
  await project.materialize();
  gateway = await startGateway(project.root, { REFIT_GATEWAY_BODY_BYTES: '100000', REFIT_GATEWAY_QUEUE_ROWS: '1000' });
});
afterAll(async () => {
  await gateway.end();
  await project.remove();
});

const scoreOf = (answer: { body: { predictions: { score: number }[] } }) => answer.body.predictions[0]?.score;

describe('a prediction', () => {
  test('from raw fields answers in the agreed shape', async () => {
    const { status, body } = await gateway.predict([{ distance: 1000, carrier: 'AA', wind: 20 }]);
    expect(status).toBe(200);
    expect(body).toEqual({
      model: 'flights',
      version: 1,
      predictions: [
        { score: expect.closeTo(expectedScore(-2, { distance: 1000, carrier: 'AA', wind: 20 }), 6), label: true },
      ],
      latencyMs: expect.any(Number),
    });
  });

  test('takes what is left out, or null, as missing', async () => {
    const { body } = await gateway.predict([{ carrier: 'AA' }, { distance: null, wind: 20 }]);
    const scores = body.predictions.map(({ score }: { score: number }) => score);
    expect(scores).toEqual([
      expect.closeTo(expectedScore(-2, { carrier: 'AA' }), 6),
      expect.closeTo(expectedScore(-2, { wind: 20 }), 6),
    ]);
    expect(body.predictions.map(({ label }: { label: boolean }) => label)).toEqual([false, true]);
  });

  test('from an entity key takes the online features', async () => {
    const answer = await gateway.predict([{ flight_id: 'A' }]);
    expect(answer.status).toBe(200);
    expect(scoreOf(answer)).toBeCloseTo(expectedScore(-2, { distance: 1000, carrier: 'AA', wind: 20 }), 6);
  });

  test('takes no feature that is older than its view allows, at the time that is asked for', async () => {
    expect(scoreOf(await gateway.predict([{ flight_id: 'B' }]))).toBeCloseTo(expectedScore(-2, { distance: 500 }), 6);
    const later = await gateway.predict([{ flight_id: 'A' }], { asOf: '2014-01-01T06:00:00Z' });
    expect(scoreOf(later)).toBeCloseTo(expectedScore(-2, { distance: 1000, carrier: 'AA' }), 6);
  });

  test('may mix keys, raw fields, and keys with fields that take their place', async () => {
    const { body } = await gateway.predict([{ flight_id: 'A', wind: 0 }, { distance: 1000 }, { flight_id: 'A' }]);
    expect(body.predictions.map(({ score }: { score: number }) => score)).toEqual([
      expect.closeTo(expectedScore(-2, { distance: 1000, carrier: 'AA' }), 6),
      expect.closeTo(expectedScore(-2, { distance: 1000 }), 6),
      expect.closeTo(expectedScore(-2, { distance: 1000, carrier: 'AA', wind: 20 }), 6),
    ]);
  });
});

describe('a request that cannot be answered is told why', () => {
  test.each([
    [
      { instances: [{ distnce: 1 }] },
      400,
      'REFIT_REQUEST_INVALID',
      'Unknown field "distnce" in instances[0] (did you mean "distance"?).',
    ],
    [
      { instances: [{ wind: 1 }, { distance: 'far' }] },
      400,
      'REFIT_REQUEST_INVALID',
      'In instances[1], distance: must be number or boolean or null.',
    ],
    [{ instances: [{}] }, 400, 'REFIT_REQUEST_INVALID', 'instances[0] is empty'],
    [{ instances: [] }, 400, 'REFIT_REQUEST_INVALID', 'instances'],
    [{ rows: [] }, 400, 'REFIT_REQUEST_INVALID', 'The field "instances" is missing in the body.'],
    [{ instances: [{ wind: 1 }], asOF: 'x' }, 400, 'REFIT_REQUEST_INVALID', 'Unknown field "asOF" in the body'],
    [{ instances: [{ wind: 1 }], asOf: 'today' }, 400, 'REFIT_AS_OF_INVALID', '"today" is no date'],
    [
      { instances: [{ flight_id: 'A' }], asOf: '2013-12-01' },
      400,
      'REFIT_REQUEST_INVALID',
      `are as of ${AS_OF}; they cannot answer for the earlier`,
    ],
    [
      { instances: [{ flight_id: 'A' }, { flight_id: 'Z' }] },
      404,
      'REFIT_ENTITY_UNKNOWN',
      'The entity {"flight_id":"Z"} of instances[1] has no online features',
    ],
    [{ instances: Array.from({ length: 1001 }, () => ({ wind: 1 })) }, 413, 'REFIT_REQUEST_INVALID', 'at most 1000'],
    [{ instances: [{ carrier: 'x'.repeat(100_000) }] }, 413, 'REFIT_REQUEST_INVALID', 'too large'],
    ['{"instances":', 400, 'REFIT_REQUEST_INVALID', 'JSON'],
  ])('%#', async (request, status, code, message) => {
    const answer = await gateway.post('/v1/models/flights:predict', request);
    expect(answer.status).toBe(status);
    expect(answer.body.error).toMatchObject({
      code,
      message: expect.stringContaining(message),
      cure: expect.any(String),
    });
    expect(answer.body.error.details).toBeTypeOf('object');
  });

  test('also where the model, the content type or the place is wrong', async () => {
    const instances = [{ wind: 1 }];
    const unknown = await gateway.post('/v1/models/fligths:predict', { instances });
    expect(unknown).toMatchObject({ status: 404, body: { error: { code: 'REFIT_MODEL_UNKNOWN' } } });
    expect(unknown.body.error.message).toContain('did you mean "flights"?');
    const endless = await gateway.post(`/v1/models/${'x'.repeat(5_000)}:predict`, { instances });
    expect(endless).toMatchObject({ status: 404, body: { error: { code: 'REFIT_MODEL_UNKNOWN' } } });
    const { body: protocol } = await gateway.get(`/v2/models/${'x'.repeat(5_000)}`);
    expect(protocol.error).toMatch(/^No version of a model "x{100}…" was promoted/);
    const entity = await gateway.post('/v1/models/flights:predict', { instances: [{ flight_id: 'x'.repeat(5_000) }] });
    expect(entity).toMatchObject({ status: 404, body: { error: { code: 'REFIT_ENTITY_UNKNOWN' } } });
    expect(entity.body.error.message.length).toBeLessThan(500);
    const form = await gateway.post('/v1/models/flights:predict', 'x=1', { 'content-type': 'text/csv' });
    expect(form).toMatchObject({ status: 415 });
    expect(form.body.error.message).toContain('send it as application/json');
    expect(await gateway.get('/v1/nothing')).toMatchObject({ status: 404 });
  });
});

describe('the gateway tells about itself', () => {
  test('what it serves', async () => {
    const { body } = await gateway.get('/v1/models');
    expect(body).toEqual({
      models: [{ model: 'flights', version: 1, asOf: AS_OF, question: 'Will it be late?' }],
    });
    const { body: one } = await gateway.get('/v1/models/flights');
    expect(one).toMatchObject({ version: 1, keys: ['flight_id'], metrics: { auc: 0.7 } });
  });

  test('its health, and its metrics', async () => {
    expect(await gateway.get('/health')).toEqual({ status: 200, body: { status: 'ok', models: 1 } });
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
    expect(metrics).toContain('refit_gateway_champion_version{model="flights"} 1');
    expect(metrics).toMatch(/refit_gateway_predictions_total\{model="flights",version="1",source="raw"\} [1-9]/);
    expect(metrics).toMatch(/refit_gateway_feature_misses_total\{model="flights",view="weather"\} [1-9]/);
    expect(metrics).toMatch(
      /refit_gateway_requests_total\{route="\/v1\/models\/:model:predict",method="POST",status="200",model="flights"\}/,
    );
    // Both times are in the past of any clock.
    expect(metrics).toMatch(/refit_online_view_age_seconds\{model="flights",view="weather"\} [1-9]\d{8}/);
    expect(metrics).toMatch(/refit_online_materialized_age_seconds\{model="flights"\} [1-9]\d{8}/);
    expect(metrics).not.toContain('fligths');
  });

  test('its interface, as OpenAPI', async () => {
    const { body } = await gateway.get('/openapi.json');
    expect(body).toMatchObject({ openapi: '3.1.0', info: { title: 'Refit gateway' } });
    expect(Object.keys(body.paths ?? {})).toEqual(
      expect.arrayContaining(['/v1/models/{model}:predict', '/v2/models/{model}/infer', '/v2', '/health', '/metrics']),
    );
  });
});

test('every prediction is in the log, with what was asked and answered, and none that failed', async () => {
  const own = await startGateway(project.root);
  const { body } = await own.predict([{ flight_id: 'A' }, { distance: 7 }]);
  expect(await own.end()).toBe(0);
  const rows = (await loggedRows(project.root)).slice(-2);
  expect(rows).toMatchObject([
    {
      ...{ model: 'flights', version: 1, source: 'features', keys: '{"flight_id":"A"}', label: true },
      ...{ inputs: '{"distance":1000,"carrier":"AA","wind":20}', score: body.predictions[0].score },
    },
    { source: 'raw', keys: null, inputs: '{"distance":7,"carrier":null,"wind":null}', label: false },
  ]);
  const all = await loggedRows(project.root, 'id, predicted_at');
  expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
});
