/** The gateway with its online features in Redis: the same answers, and what happens when Redis goes away. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRedisOnlineStore } from '../../core/features/redis-online-store.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import {
  createGatewayProject,
  expectedScore,
  type GatewayProject,
  type RunningGateway,
  startGateway,
} from './gateway.fixture.ts';

let redis: RedisServer;
let project: GatewayProject;
let gateway: RunningGateway;
beforeAll(async () => {
  [redis, project] = await Promise.all([startRedis(), createGatewayProject()]);
  await project.promote(-2);
  await project.materializeInto(createRedisOnlineStore(redis.url));
  gateway = await startGateway(project.root, { REFIT_ONLINE: redis.url });
});
afterAll(async () => {
  await gateway?.end();
  await Promise.all([project?.remove(), redis?.remove()]);
});

const expected = expectedScore(-2, { distance: 1000, carrier: 'AA', wind: 20 });
const scoreOf = (answer: { body: { predictions: { score: number }[] } }) => answer.body.predictions[0]?.score;

test('a prediction from an entity key takes the features from Redis', async () => {
  expect(scoreOf(await gateway.predict([{ flight_id: 'A' }]))).toBeCloseTo(expected, 6);
  const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
  expect(metrics).toMatch(/refit_online_view_age_seconds\{model="flights",view="weather"\} [1-9]/);
});

test('without Redis keys are answered with why, raw fields as ever, and all is well when it is back', async () => {
  await redis.kill();
  const refused = await gateway.predict([{ flight_id: 'A' }]);
  expect(refused).toMatchObject({ status: 503, body: { error: { code: 'REFIT_ONLINE_UNREACHABLE' } } });
  const raw = await gateway.predict([{ distance: 1000, carrier: 'AA', wind: 20 }]);
  expect(raw.status).toBe(200);
  expect((await fetch(`${gateway.url}/metrics`)).status).toBe(200);
  await redis.start();
  await expect.poll(() => gateway.predict([{ flight_id: 'A' }]), { timeout: 20_000 }).toMatchObject({ status: 200 });
  expect(scoreOf(await gateway.predict([{ flight_id: 'A' }]))).toBeCloseTo(expected, 6);
});
