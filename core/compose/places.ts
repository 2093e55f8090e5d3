import path from 'node:path';
import { type PiiKey, piiKeyOf } from '../dataset/pii-key.ts';
import { redisAddress } from '../features/redis-address.ts';
import { RefitError } from '../spec/errors.ts';

/** Where things are, read from the environment once. */
export interface Places {
  /** Folder that source paths are relative to. */
  root: string;
  pipelines: string;
  store: string;
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
  return {
    root,
    pipelines: path.resolve(root, env.REFIT_PIPELINES ?? 'pipelines'),
    store: folder('REFIT_STORE', 'file:', '.refit/store'),
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
