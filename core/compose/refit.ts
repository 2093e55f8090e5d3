import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { createSourceFiles, type SourceFiles } from '../dataset/source-files.ts';
import { createLmdbOnlineStore } from '../features/lmdb-online-store.ts';
import type { OnlineStore } from '../features/online-store.ts';
import { createRedisOnlineStore } from '../features/redis-online-store.ts';
import { type OpenLineage, openLineageOf } from '../openlineage/destination.ts';
import { RefitError } from '../spec/errors.ts';
import { createBlobStore } from '../store/blobs.ts';
import { createFileCache } from '../store/file-cache.ts';
import { createFolderStore } from '../store/folder-store.ts';
import type { BlobStore, ObjectStore } from '../store/ports.ts';
import { createS3Store } from '../store/s3-store.ts';
import type { Native } from '../store/step.ts';
import { createStepCache, type StepCache } from '../store/step-cache.ts';
import { isRedis, type Places } from './places.ts';

export { addressIn, type Places, placesOf } from './places.ts';

import type { Webhook } from '../webhooks/webhook.ts';

/** The adapters of this process. Nothing else constructs one. */
export interface Refit {
  places: Places;
  objects: ObjectStore;
  blobs: BlobStore;
  cache: StepCache;
  /** What pipelines read: files of the project, objects of S3. */
  sources: SourceFiles;
  /** Where events go; undefined when nobody wants them. */
  webhook: Webhook | undefined;
  /** Where lineage is told; undefined when nobody wants it. */
  openLineage: OpenLineage | undefined;
  /** Version of Refit. */
  version: string;
  online(): OnlineStore;
  close(): Promise<void>;
}

/** Builds the adapters that the environment names. */
export function compose(places: Places): Refit {
  const objects = openStore(places);
  const blobs = createBlobStore(objects);
  let online: OnlineStore | undefined;
  let cache: StepCache | undefined;
  return {
    places,
    objects,
    blobs,
    // Made on first use: who only serves or looks has no trainer's library, and needs none.
    get cache() {
      cache ??= createStepCache({
        blobs,
        versions: nativeVersions(places),
        scratchRoot: path.join(places.state, 'scratch'),
      });
      return cache;
    },
    sources: createSourceFiles(places.root, createFileCache(places.cache.folder, places.cache.bytes)),
    webhook: webhookOf(process.env),
    openLineage: openLineageOf(places.root, process.env),
    version: manifestOf().version,
    // Opened on first use: a process that never reads online features holds no environment open.
    online: () => {
      online ??= isRedis(places.online) ? createRedisOnlineStore(places.online) : createLmdbOnlineStore(places.online);
      return online;
    },
    close: async () => online?.close(),
  };
}

/** The store that the environment names; nothing is asked of a server yet. @throws RefitError REFIT_USAGE */
function openStore({ store, cache }: Places): ObjectStore {
  if (!store.startsWith('s3:')) return createFolderStore(store);
  return createS3Store(store, { cache: cache.folder, cacheBytes: cache.bytes });
}

/** REFIT_WEBHOOK_URL and REFIT_WEBHOOK_SECRET. @throws RefitError REFIT_USAGE when the address is none */
function webhookOf({ REFIT_WEBHOOK_URL: url, REFIT_WEBHOOK_SECRET: secret }: NodeJS.ProcessEnv): Webhook | undefined {
  if (!url) return undefined;
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw new RefitError('REFIT_USAGE', 'REFIT_WEBHOOK_URL is no http or https address.');
  }
  const { username, password } = new URL(url);
  if (username || password) {
    throw new RefitError(
      'REFIT_USAGE',
      'REFIT_WEBHOOK_URL holds a user or a password, which cannot be sent: put a token into its path or query.',
    );
  }
  return { url, secret: secret || undefined };
}

const require = createRequire(import.meta.url);

function nativeVersions({ lightgbm }: Places): Record<Native, string> {
  const versionOf = (name: string) => (require(`${name}/package.json`) as { version: string }).version;
  return {
    duckdb: versionOf('@duckdb/node-api'),
    // Exactly pinned, and not always beside the other packages (infra/parts/onnxruntime.mjs).
    onnxruntime: pinnedVersion('onnxruntime-node'),
    lightgbm: libraryDigest(lightgbm),
  };
}

interface Manifest {
  version: string;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

function manifestOf(): Manifest {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as Manifest;
}

function pinnedVersion(name: string): string {
  const manifest = manifestOf();
  const version = manifest.optionalDependencies?.[name] ?? manifest.dependencies?.[name];
  if (version === undefined) throw new RefitError('REFIT_INTERNAL', `package.json does not pin ${name}.`);
  return version;
}

/** The library has no package version of its own here: its bytes are its version. */
function libraryDigest(file: string): string {
  try {
    return createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 16);
  } catch {
    throw new RefitError('REFIT_SETUP_MISSING', 'The LightGBM library is not there yet.', { file });
  }
}
