import { RefitError } from '../spec/errors.ts';
import { checkKey } from './keys.ts';

/** A place in S3. `prefix` is empty or ends in `/`. */
export interface S3Address {
  bucket: string;
  prefix: string;
}

/**
 * `s3://bucket/some/prefix` → `{ bucket: 'bucket', prefix: 'some/prefix/' }`; slashes at the end mean nothing.
 * @throws RefitError REFIT_USAGE
 */
export function parseStoreAddress(address: string): S3Address {
  const [, bucket = '', rest = ''] = /^s3:\/\/([^/]*)(?:\/(.*))?$/.exec(address) ?? [];
  const path = rest.replace(/\/+$/, '');
  if (!/^[A-Za-z0-9][A-Za-z0-9.-]{1,61}[A-Za-z0-9]$/.test(bucket)) throw badAddress(address);
  if (path === '') return { bucket, prefix: '' };
  try {
    checkKey(path);
  } catch {
    throw badAddress(address);
  }
  return { bucket, prefix: `${path}/` };
}

function badAddress(address: string): RefitError {
  const sentence = `REFIT_STORE is "${address}", which is no s3://bucket/prefix: a bucket's name, then parts of plain characters.`;
  return new RefitError('REFIT_USAGE', sentence, { address });
}
