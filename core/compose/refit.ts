import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { createLmdbOnlineStore } from '../features/lmdb-online-store.ts';
import type { OnlineStore } from '../features/online-store.ts';
import { RefitError } from '../spec/errors.ts';
import { createBlobStore } from '../store/blobs.ts';
import { createFolderStore } from '../store/folder-store.ts';
import type { BlobStore, ObjectStore } from '../store/ports.ts';
import type { Native } from '../store/step.ts';
import { createStepCache, type StepCache } from '../store/step-cache.ts';
import type { Webhook } from '../webhooks/webhook.ts';

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

/** The adapters of this process. Nothing else constructs one. */
export interface Refit {
  places: Places;
  objects: ObjectStore;
  blobs: BlobStore;
  cache: StepCache;
  /** Where events go; undefined when nobody wants them. */
  webhook: Webhook | undefined;
  online(): OnlineStore;
  close(): Promise<void>;
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

/** Builds the adapters that the environment names. */
export function compose(places: Places): Refit {
  const objects = createFolderStore(places.store);
  const blobs = createBlobStore(objects);
  let online: OnlineStore | undefined;
  return {
    places,
    objects,
    blobs,
    cache: createStepCache({
      blobs,
      versions: nativeVersions(places),
      scratchRoot: path.join(places.state, 'scratch'),
    }),
    webhook: webhookOf(process.env),
    // Opened on first use: a process that never reads online features holds no environment open.
    online: () => {
      online ??= createLmdbOnlineStore(places.online);
      return online;
    },
    close: async () => online?.close(),
  };
}

/** REFIT_WEBHOOK_URL and REFIT_WEBHOOK_SECRET. @throws RefitError REFIT_USAGE when the address is none */
function webhookOf({ REFIT_WEBHOOK_URL: url, REFIT_WEBHOOK_SECRET: secret }: NodeJS.ProcessEnv): Webhook | undefined {
  if (!url) return undefined;
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw new RefitError('REFIT_USAGE', 'REFIT_WEBHOOK_URL is no http or https address.');
  }
  return { url, secret: secret || undefined };
}

const require = createRequire(import.meta.url);

function nativeVersions({ lightgbm }: Places): Record<Native, string> {
  const versionOf = (name: string) => (require(`${name}/package.json`) as { version: string }).version;
  return {
    duckdb: versionOf('@duckdb/node-api'),
    onnxruntime: versionOf('onnxruntime-node'),
    lightgbm: libraryDigest(lightgbm),
  };
}

/** The library has no package version of its own here: its bytes are its version. */
function libraryDigest(file: string): string {
  try {
    return createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 16);
  } catch {
    throw new RefitError('REFIT_SETUP_MISSING', 'The LightGBM library is not there yet.', { file });
  }
}
