import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { afterEach, expect, test, vi } from 'vitest';
import { compose, placesOf } from '../../core/compose/refit.ts';
import type { RunEvent } from '../../core/spec/activities.ts';
import { deliver, signatureOf } from '../../core/webhooks/webhook.ts';

const event: RunEvent = {
  id: 'run.failed/0192',
  type: 'run.failed',
  at: '2021-01-01T00:00:00.000Z',
  pipeline: 'churn',
  workflowId: 'train/churn/2021-01-01',
  runId: '0192',
  asOf: null,
  reason: 'REFIT_WINDOW_EMPTY: No rows.',
};

let server: Server | undefined;
afterEach(() => new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve())));

/** A receiver that answers with the given statuses, one a request. */
async function receiver(...statuses: number[]) {
  const received: { headers: IncomingHttpHeaders; body: string }[] = [];
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      response.writeHead(statuses.shift() ?? 204, { location: '/elsewhere' }).end();
    });
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { received, url: `http://127.0.0.1:${port}/hook?token=hush` };
}

const never = new AbortController().signal;

test('the signature is that of the example of Standard Webhooks', () => {
  // Secret, id, time and payload of the reference libraries' own test.
  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
  const signature = signatureOf(secret, 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1_614_265_330, '{"test": 2432232314}');
  expect(signature).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
});

test('an event arrives signed over its very bytes, with one id however often it is sent', async () => {
  const { received, url } = await receiver();
  await deliver(event, { url, secret: 'a secret' }, never);
  await deliver(event, { url, secret: 'a secret' }, never);
  for (const { headers, body } of received) {
    expect(headers['webhook-id']).toBe('run.failed/0192');
    const timestamp = Number(headers['webhook-timestamp']);
    expect(Math.abs(Date.now() / 1000 - timestamp)).toBeLessThan(60);
    expect(headers['webhook-signature']).toBe(signatureOf('a secret', 'run.failed/0192', timestamp, body));
    expect(JSON.parse(body)).toEqual({
      type: 'run.failed',
      timestamp: '2021-01-01T00:00:00.000Z',
      data: {
        pipeline: 'churn',
        workflowId: 'train/churn/2021-01-01',
        runId: '0192',
        asOf: null,
        reason: event.reason,
      },
    });
  }
  expect(received).toHaveLength(2);
});

test('without a secret it goes unsigned', async () => {
  const { received, url } = await receiver();
  await deliver(event, { url, secret: undefined }, never);
  expect(received[0]?.headers).not.toHaveProperty('webhook-signature');
});

test.each([302, 404, 500])('an answer of %i is a failure that is tried again, and tells no token', async (status) => {
  const { url } = await receiver(status);
  const failure = await deliver(event, { url, secret: undefined }, never).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'REFIT_WEBHOOK_FAILED', retryable: true });
  expect((failure as Error).message).not.toContain('hush');
});

test('an address that cannot be asked is not told, not even as the cause', async () => {
  const url = 'http://somebody:hush@127.0.0.1:1/hush';
  const failure = await deliver(event, { url, secret: undefined }, never).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'REFIT_WEBHOOK_FAILED' });
  expect(inspect(failure, { depth: 9, showHidden: true })).not.toContain('hush');
  vi.stubEnv('REFIT_WEBHOOK_URL', url);
  expect(() => compose(placesOf('/nowhere'))).toThrow(/user or a password/);
  vi.unstubAllEnvs();
});

test('nobody at the other end is a failure that is tried again', async () => {
  const failure = deliver(event, { url: 'http://127.0.0.1:1/', secret: undefined }, never);
  await expect(failure).rejects.toMatchObject({ code: 'REFIT_WEBHOOK_FAILED' });
});
