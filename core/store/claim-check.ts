import type { Payload, PayloadCodec } from '@temporalio/common';
import type { BlobRef } from '../spec/artifacts.ts';
import type { BlobStore } from './ports.ts';

/** Larger payloads go to the store; what people look at in the Temporal UI is far smaller and stays. */
const LIMIT_BYTES = 64 * 1024;
/** Temporal's name for it. */
const METADATA_ENCODING_KEY = 'encoding';
const ENCODING = 'json/refit-blob';
/** Encoding of what was put away. */
const INNER = 'refit-encoding';

const text = (bytes: Uint8Array | null | undefined): string => new TextDecoder().decode(bytes ?? new Uint8Array());
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

/**
 * Puts large arguments and results into the store and hands their address around: Temporal takes 2 MB a payload and 50 MB a
 * history, and a source of some thousand files has larger lists than that. Workers need it, and commands, which read what a
 * workflow found of a thousand features; what goes in and comes out of a training run is small, so that other services need no
 * store (docs/adr/0021). (Claim check, Hohpe and Woolf, Enterprise Integration Patterns, 2003.)
 */
export function claimCheck(blobs: BlobStore): PayloadCodec {
  return {
    encode: (payloads) => Promise.all(payloads.map((payload) => putAway(blobs, payload))),
    decode: (payloads) => Promise.all(payloads.map((payload) => fetchBack(blobs, payload))),
  };
}

async function putAway(blobs: BlobStore, payload: Payload): Promise<Payload> {
  const { data, metadata } = payload;
  // Not `byteLength`: what comes out of a workflow without a value is an empty array.
  if (!data || data.length <= LIMIT_BYTES) return payload;
  const ref = await blobs.putBytes(data);
  const inner = metadata?.[METADATA_ENCODING_KEY] ?? bytes('');
  return {
    metadata: { ...metadata, [METADATA_ENCODING_KEY]: bytes(ENCODING), [INNER]: inner },
    data: bytes(JSON.stringify(ref)),
  };
}

/** @throws RefitError REFIT_STORE_CORRUPT when the blob is gone: the task is tried again until it is back */
async function fetchBack(blobs: BlobStore, payload: Payload): Promise<Payload> {
  const { [METADATA_ENCODING_KEY]: encoding, [INNER]: inner, ...metadata } = payload.metadata ?? {};
  if (text(encoding) !== ENCODING || !inner) return payload;
  const data = await blobs.bytes(JSON.parse(text(payload.data)) as BlobRef);
  return { metadata: { ...metadata, [METADATA_ENCODING_KEY]: inner }, data };
}
