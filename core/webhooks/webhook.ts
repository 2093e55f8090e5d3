/**
 * Events for other systems as Standard Webhooks (https://www.standardwebhooks.com, specification 1.0): a signed POST whose
 * `webhook-id` is the same however often it is sent, so that receivers can tell a repetition.
 */
import { createHmac } from 'node:crypto';
import type { RunEvent } from '../spec/activities.ts';
import { post } from './post.ts';

export interface Webhook {
  url: string;
  /** Signs the events; without one they go unsigned. */
  secret: string | undefined;
}

/** `whsec_<base64>` is decoded, as the specification has it; any other text is taken byte by byte. */
function keyOf(secret: string): Buffer {
  return secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : Buffer.from(secret, 'utf8');
}

/** `v1,<base64 of HMAC-SHA256 over id.timestamp.body>`; timestamp in seconds. */
export function signatureOf(secret: string, id: string, timestamp: number, body: string): string {
  return `v1,${createHmac('sha256', keyOf(secret)).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}

/** Headers and body of an event. */
export function requestOf(
  event: RunEvent,
  { secret }: Webhook,
  now: Date,
): { headers: Record<string, string>; body: string } {
  const { id, type, at, ...data } = event;
  const body = JSON.stringify({ type, timestamp: at, data });
  const timestamp = Math.floor(now.getTime() / 1000);
  const signature = secret === undefined ? {} : { 'webhook-signature': signatureOf(secret, id, timestamp, body) };
  const named = { 'webhook-id': id, 'webhook-timestamp': String(timestamp), 'user-agent': 'refit' };
  return { headers: { 'content-type': 'application/json', ...named, ...signature }, body };
}

/** Sends an event. @throws RefitError REFIT_WEBHOOK_FAILED when the receiver does not answer with 2xx within ten seconds. */
export async function deliver(event: RunEvent, webhook: Webhook, signal: AbortSignal): Promise<void> {
  const receiver = { url: webhook.url, name: 'The webhook', code: 'REFIT_WEBHOOK_FAILED' } as const;
  await post(receiver, requestOf(event, webhook, new Date()), signal);
}
