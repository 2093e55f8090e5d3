import { createHash, createHmac } from 'node:crypto';
import { RefitError } from '../spec/errors.ts';

/** The key that personal data is hashed with. It never leaves the process: steps depend on its digest. */
export interface PiiKey {
  /** Tells keys apart and says nothing about them. */
  readonly digest: string;
  /** HMAC-SHA-256 of a text, hex. */
  hmac(text: string): string;
  /** The key as HMAC (RFC 2104) mixes it into SHA-256, for SQL: K ⊕ ipad, K ⊕ opad, 64 bytes each. */
  pads(): { inner: Buffer; outer: Buffer };
}

/** A shorter one could be found by trying. */
const LEAST_BYTES = 16;
const BLOCK_BYTES = 64;

/** From REFIT_PII_KEY; undefined where it is not set. @throws RefitError REFIT_PII_KEY_MISSING for one that is too short */
export function piiKeyOf(secret: string | undefined): PiiKey | undefined {
  if (secret === undefined || secret === '') return undefined;
  const key = Buffer.from(secret, 'utf8');
  if (key.length < LEAST_BYTES) {
    const message = `REFIT_PII_KEY has ${key.length} bytes, fewer than the ${LEAST_BYTES} that keep hashes from being guessed.`;
    throw new RefitError('REFIT_PII_KEY_MISSING', message);
  }
  const hmac = (text: string) => createHmac('sha256', key).update(text, 'utf8').digest('hex');
  return {
    digest: hmac('refit: which key is this?').slice(0, 16),
    hmac,
    pads: () => ({ inner: pad(key, 0x36), outer: pad(key, 0x5c) }),
  };
}

function pad(key: Buffer, byte: number): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  (key.length > BLOCK_BYTES ? createHash('sha256').update(key).digest() : key).copy(block);
  return Buffer.from(block.map((one) => one ^ byte));
}
