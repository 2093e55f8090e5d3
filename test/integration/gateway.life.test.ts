/** The gateway as a process: a champion that moves, a kill, a stop, a port that is taken. */
import { readdir, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import path from 'node:path';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  type Answer,
  createGatewayProject,
  type GatewayProject,
  loggedRows,
  type RunningGateway,
  startGateway,
} from './gateway.fixture.ts';

let project: GatewayProject;
let running: RunningGateway[];
beforeEach(async () => {
  project = await createGatewayProject();
  running = [];
});
afterEach(async () => {
  await Promise.all(running.map((gateway) => gateway.end('SIGKILL')));
  await project.remove();
});
async function start(env: NodeJS.ProcessEnv = {}): Promise<RunningGateway> {
  const gateway = await startGateway(project.root, env);
  running.push(gateway);
  return gateway;
}

/** Asks again and again from several callers at once until told to stop; `distance` numbers the rows. */
function load(gateway: RunningGateway, callers = 8) {
  const answers: Answer[] = [];
  const failures: unknown[] = [];
  let stopped = false;
  let row = 0;
  const caller = async () => {
    while (!stopped) {
      row += 1;
      await gateway.predict([{ distance: row }]).then(
        (answer) => answers.push(answer),
        (error) => failures.push(error),
      );
    }
  };
  const all = Array.from({ length: callers }, caller);
  return {
    answers,
    failures,
    stop: async () => {
      stopped = true;
      await Promise.all(all);
    },
  };
}
/** A request of which half the body has been sent. */
function halfSent({ port }: RunningGateway) {
  const [first, rest] = ['{"instances":[{"dist', 'ance":1}]}'] as const;
  const outgoing = request({
    ...{ port, host: '127.0.0.1', method: 'POST', path: '/v1/models/flights:predict' },
    headers: { 'content-type': 'application/json', 'content-length': first.length + rest.length },
  });
  const answer = new Promise<object>((resolve, reject) => {
    outgoing.on('error', reject);
    outgoing.on('response', (response) => void json(response).then((body) => resolve(body as object), reject));
  });
  outgoing.write(first);
  return {
    sendTheRest: () => {
      outgoing.end(rest);
      return answer;
    },
  };
}

const versionsOf = (answers: Answer[]) => [...new Set(answers.map(({ body }) => body.version))];

describe('a champion that moves', () => {
  test('takes over under load, without a failed request and without a step back', async () => {
    await project.promote(-2);
    const gateway = await start();
    const { answers, failures, stop } = load(gateway);
    for (const version of [2, 3]) {
      await project.promote(version);
      await vi.waitFor(() => expect(versionsOf(answers)).toContain(version), 20_000);
    }
    await stop();
    expect(failures).toEqual([]);
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(versionsOf(answers)).toEqual([1, 2, 3]);
    // What answered is what it says it is: each version has its own bias.
    for (const { body } of answers) {
      const high = body.predictions[0].score > 0.5;
      expect(high).toBe(body.version > 1);
    }
  });

  test('is found by a gateway that was there before the model', async () => {
    const gateway = await start();
    const early = await gateway.predict([{ distance: 1 }]);
    expect(early).toMatchObject({
      status: 404,
      body: { error: { code: 'REFIT_MODEL_UNKNOWN', cure: expect.any(String) } },
    });
    await project.promote(-2);
    expect((await gateway.predict([{ distance: 1 }])).status).toBe(200);
  });

  test('and is damaged leaves the last one, and other models, where they are', async () => {
    await project.promote(-2);
    await project.promote(-2, 'churn');
    const gateway = await start();
    expect((await gateway.predict([{ distance: 1 }])).body.version).toBe(1);
    const next = await project.register(1);
    await writeFile(path.join(project.root, '.refit/store', next.trainedModel.onnx.uri), 'altered');
    await project.route(next);
    await writeFile(path.join(project.root, '.refit/store/routing/churn.json'), '{ torn');
    await vi.waitFor(() => expect(gateway.said().match(/cannot be brought up to date/g)).toHaveLength(2), 20_000);
    expect(gateway.said()).toContain(`The blob ${next.sha256} is missing or altered.`);
    for (const model of ['flights', 'churn']) {
      const answer = await gateway.post(`/v1/models/${model}:predict`, { instances: [{ distance: 1 }] });
      expect(answer).toMatchObject({ status: 200, body: { version: 1 } });
    }
    expect((await gateway.get('/v2/health/ready')).status).toBe(200);
  });
});

describe('the prediction log', () => {
  test('survives kill -9: what was answered five seconds before is there, and nothing twice', async () => {
    await project.promote(-2);
    const gateway = await start();
    const { answers, stop } = load(gateway, 4);
    await sleep(2_000);
    const safe = answers.length;
    await sleep(5_000);
    await gateway.end('SIGKILL');
    await stop();
    expect(safe).toBeGreaterThan(0);

    const afterKill = await loggedRows(project.root, 'id');
    expect(afterKill.length).toBeGreaterThanOrEqual(safe);
    const next = await start();
    expect((await next.predict([{ distance: 0 }])).status).toBe(200);
    expect(await next.end()).toBe(0);
    const rows = await loggedRows(project.root, 'id, inputs');
    expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);
    expect(rows.length).toBeGreaterThanOrEqual(afterKill.length);
    expect(await readdir(path.join(project.root, '.refit/gateway/log'))).toEqual([]);
  });
});

describe('a stop', () => {
  const ways = ['SIGTERM', 'disconnect'] as const;
  test.each(ways)('by %s finishes what is under way, then writes the log out', async (how) => {
    await project.promote(-2);
    const gateway = await start();
    await gateway.predict([{ distance: 1 }]);
    const underway = halfSent(gateway);
    await vi.waitFor(async () => {
      const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
      expect(/refit_gateway_requests_under_way \d+/.exec(metrics)?.[0]).toBe('refit_gateway_requests_under_way 1');
    }, 20_000);
    if (how === 'disconnect') gateway.process.disconnect();
    else gateway.process.kill(how);
    // No other is taken any more, while this one is waited for.
    await vi.waitFor(() => expect(fetch(`${gateway.url}/health`)).rejects.toThrow('fetch failed'), 20_000);
    expect(await underway.sendTheRest()).toMatchObject({ version: 1, predictions: [{ label: false }] });
    expect(await gateway.end()).toBe(0);
    expect(await loggedRows(project.root, 'id')).toHaveLength(2);
  });
});

describe('a start', () => {
  test('on a port that is taken says so', async () => {
    const first = await start();
    await expect(start({ REFIT_GATEWAY_PORT: String(first.port) })).rejects.toThrow(
      `REFIT_PORT_IN_USE: Something listens on 127.0.0.1:${first.port} already.`,
    );
  });

  test('with a setting that is none says which', async () => {
    await expect(start({ REFIT_GATEWAY_THREADS: 'many' })).rejects.toThrow(
      'REFIT_USAGE: REFIT_GATEWAY_THREADS is "many"; it must be a whole number from 1 to 256.',
    );
  });
});

test('more requests than are allowed at once are refused with a word, the others answered', async () => {
  await project.promote(-2);
  const gateway = await start({ REFIT_GATEWAY_REQUESTS: '2' });
  const rows = Array.from({ length: 5_000 }, (_, distance) => ({ distance }));
  const answers = await Promise.all(Array.from({ length: 12 }, () => gateway.predict(rows)));
  const refused = answers.filter(({ status }) => status === 503);
  expect(refused.length).toBeGreaterThan(0);
  expect(refused[0]?.body.error.code).toBe('REFIT_OVERLOADED');
  expect(answers.filter(({ status }) => status === 200).length).toBe(answers.length - refused.length);
});

test('large bodies are refused before they fill the memory; small requests are answered beside them', async () => {
  await project.promote(-2);
  const gateway = await start({ REFIT_GATEWAY_BODY_BYTES: String(200 * 2 ** 20) });
  /** Says how much will come, and sends nothing of it. */
  const announce = () =>
    request({
      ...{ port: gateway.port, host: '127.0.0.1', method: 'POST', path: '/v1/models/flights:predict' },
      headers: { 'content-type': 'application/json', 'content-length': 150 * 2 ** 20 },
    });
  const first = announce().on('error', () => undefined);
  first.flushHeaders();
  const underway = async () => (await fetch(`${gateway.url}/metrics`)).text();
  await vi.waitFor(async () => expect(await underway()).toMatch(/requests_under_way 1$/m), 20_000);
  const second = announce().on('error', () => undefined);
  second.flushHeaders();
  const status = await new Promise((resolve) => second.on('response', (response) => resolve(response.statusCode)));
  expect(status).toBe(503);
  expect((await gateway.predict([{ distance: 1 }])).status).toBe(200);
  for (const one of [first, second]) one.destroy();
});
