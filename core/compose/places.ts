import path from 'node:path';
import { RefitError } from '../spec/errors.ts';

/** Where things are, read from the environment once. */
export interface Places {
  /** Folder that source paths are relative to. */
  root: string;
  pipelines: string;
  store: string;
  online: string;
  /** Caches, servers' data, scratch; safe to delete. */
  state: string;
  lightgbm: string;
}

/** Reads REFIT_* of the environment; relative paths are relative to `root`. @throws RefitError REFIT_USAGE */
export function placesOf(root: string, env: NodeJS.ProcessEnv = process.env): Places {
  const folder = (variable: string, scheme: string, fallback: string): string => {
    const value = env[variable] ?? fallback;
    if (/^[a-z0-9+]+:/i.test(value) && !value.startsWith(scheme)) {
      throw new RefitError(
        'REFIT_USAGE',
        `${variable} is "${value}", but this version of Refit takes ${scheme}<folder> only.`,
      );
    }
    return path.resolve(root, value.startsWith(scheme) ? value.slice(scheme.length) : value);
  };
  const state = path.join(root, '.refit');
  return {
    root,
    pipelines: path.resolve(root, env.REFIT_PIPELINES ?? 'pipelines'),
    store: folder('REFIT_STORE', 'file:', '.refit/store'),
    online: folder('REFIT_ONLINE', 'lmdb:', '.refit/online'),
    state,
    lightgbm: path.join(state, 'lib', 'lib_lightgbm.so'),
  };
}
