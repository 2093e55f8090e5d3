import path from 'node:path';
import { type PiiKey, piiKeyOf } from '../dataset/pii-key.ts';
import { redisAddress } from '../features/redis-address.ts';
import { RefitError } from '../spec/errors.ts';
import { parseStoreAddress } from '../store/s3-address.ts';

/** Where things are, read from the environment once. */
export interface Places {
  /** Folder that source paths are relative to. */
  root: string;
  pipelines: string;
  /** A folder, or `s3://bucket/prefix`. */
  store: string;
  /** Local copies of what lies elsewhere: objects of an S3 store, files and tables that pipelines read. */
  cache: { folder: string; bytes: number };
  /** Folder of LMDB, or `redis://…`, which may hold a password: never shown. */
  online: string;
  /** Caches, servers' data, scratch; safe to delete. */
  state: string;
  lightgbm: string;
  /** What personal data is hashed with; undefined where REFIT_PII_KEY is not set. */
  piiKey?: PiiKey | undefined;
}

/** Reads REFIT_* of the environment; relative paths are relative to `root`. @throws RefitError REFIT_USAGE */
export function placesOf(root: string, env: NodeJS.ProcessEnv = process.env): Places {
  const folder = (variable: string, scheme: string, fallback: string, takes = `${scheme}<folder> only`): string => {
    const value = env[variable] ?? fallback;
    if (/^[a-z0-9+]+:/i.test(value) && !value.startsWith(scheme)) {
      throw new RefitError('REFIT_USAGE', `${variable} is "${value}", but this version of Refit takes ${takes}.`);
    }
    return path.resolve(root, value.startsWith(scheme) ? value.slice(scheme.length) : value);
  };
  const state = path.join(root, '.refit');
  const isS3 = env.REFIT_STORE?.startsWith('s3:');
  return {
    root,
    pipelines: path.resolve(root, env.REFIT_PIPELINES ?? 'pipelines'),
    store: isS3
      ? storeAddress(env.REFIT_STORE ?? '')
      : folder('REFIT_STORE', 'file:', '.refit/store', 'file:<folder> or s3://<bucket>/<prefix>'),
    cache: { folder: path.join(state, 'cache', 'files'), bytes: cacheBytes(env) },
    online: isRedis(env.REFIT_ONLINE)
      ? redisAddress(env.REFIT_ONLINE).url
      : folder('REFIT_ONLINE', 'lmdb:', '.refit/online', 'lmdb:<folder> or redis://<host>:<port>/<database>'),
    state,
    lightgbm: path.join(state, 'lib', 'lib_lightgbm.so'),
    piiKey: piiKeyOf(env.REFIT_PII_KEY),
  };
}

/** Whether an online store's address is one of Redis. */
export function isRedis(address: string | undefined): address is string {
  return /^rediss?:/i.test(address ?? '');
}

/** Without slashes at its end. @throws RefitError REFIT_USAGE */
function storeAddress(value: string): string {
  const { bucket, prefix } = parseStoreAddress(value);
  return `s3://${bucket}/${prefix}`.replace(/\/$/, '');
}

const CACHE_BYTES = 10 * 2 ** 30;

function cacheBytes({ REFIT_STORE_CACHE_BYTES: value }: NodeJS.ProcessEnv): number {
  if (!value) return CACHE_BYTES;
  const bytes = Number(value);
  if (Number.isSafeInteger(bytes) && bytes >= 0) return bytes;
  throw new RefitError('REFIT_USAGE', `REFIT_STORE_CACHE_BYTES is "${value}", which is no number of bytes.`);
}

/** Where something of the store is, for people: a path, or an `s3://` address. */
export function addressIn({ store }: Pick<Places, 'store'>, key: string): string {
  return store.startsWith('s3:') ? `${store}/${key}` : path.join(store, key);
}
