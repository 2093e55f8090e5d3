import type { S3Client } from '@aws-sdk/client-s3';
import { RefitError } from '../spec/errors.ts';
import { parseS3Address } from '../store/s3-client.ts';
import { hasWildcard, matches } from './glob.ts';
import type { Fetch, RemoteFile } from './remote-files.ts';

/** Objects of an S3 bucket as files of a source. */

/** A source's objects by pattern, sorted by address. @throws RefitError REFIT_SOURCE_UNREACHABLE */
export async function listObjects(client: S3Client, pattern: string): Promise<(RemoteFile & { bytes: number })[]> {
  const { bucket, key } = addressOf(pattern);
  const { ListObjectsV2Command } = await import('@aws-sdk/client-s3');
  const parts = key.split('/');
  const plain = parts.slice(0, Math.max(0, parts.findIndex(hasWildcard)));
  // Without a wildcard the whole key is the prefix; other keys may begin with it.
  const prefix = parts.some(hasWildcard) ? plain.map((part) => `${part}/`).join('') : key;
  const files: (RemoteFile & { bytes: number })[] = [];
  let token: string | undefined;
  do {
    const command = new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ContinuationToken: token });
    const page = await client.send(command).catch((error: unknown) => Promise.reject(unreachable(error, pattern)));
    for (const { Key: name = '', ETag: etag = '', Size: bytes = 0 } of page.Contents ?? []) {
      // Keys that end with a slash are folders made by hand.
      if (name.endsWith('/') || !matches(parts, name.split('/'))) continue;
      files.push({ address: `s3://${bucket}/${name}`, version: `${etag} ${bytes}`, bytes });
    }
    token = page.IsTruncated ? page.NextContinuationToken : undefined;
  } while (token !== undefined);
  return files.sort((a, b) => (a.address < b.address ? -1 : 1));
}

/** Reads one object. @throws RefitError REFIT_SOURCE_MISSING, REFIT_SOURCE_UNREACHABLE */
export function fetchObject(client: () => Promise<S3Client>): Fetch {
  return async (address, signal) => {
    const { bucket, key } = addressOf(address);
    const { GetObjectCommand } = await import('@aws-sdk/client-s3');
    try {
      const command = new GetObjectCommand({ Bucket: bucket, Key: key });
      const found = await (await client()).send(command, signal ? { abortSignal: signal } : {});
      if (!found.Body) throw new Error('the answer has no body');
      const bytes = found.ContentLength;
      return {
        body: found.Body as AsyncIterable<Uint8Array>,
        version: `${found.ETag ?? ''} ${bytes ?? ''}`,
        ...(bytes === undefined ? {} : { bytes }),
      };
    } catch (error) {
      signal?.throwIfAborted();
      throw unreachable(error, address);
    }
  };
}

function addressOf(address: string): { bucket: string; key: string } {
  const parsed = parseS3Address(address);
  if (parsed && parsed.key !== '') return parsed;
  throw new RefitError(
    'REFIT_PIPELINE_INVALID',
    `"${address}" names no objects; write e.g. s3://bucket/prefix/*.parquet.`,
    { path: address },
  );
}

function unreachable(error: unknown, address: string): RefitError {
  const { name = '', message = '', code = '' } = error as { name?: string; message?: string; code?: string };
  if (name === 'NoSuchKey' || name === 'NotFound') {
    return new RefitError('REFIT_SOURCE_MISSING', `${address} is not there any more.`, { address }, { cause: error });
  }
  const why = name === 'Error' || name === '' ? message || code : name === message ? name : `${name}: ${message}`;
  const text = `${address} cannot be read from S3: ${(why || String(error)).replace(/\.$/, '')}.`;
  return new RefitError('REFIT_SOURCE_UNREACHABLE', text, { address }, { cause: error });
}
