/** A project with a registered model and online features, made without training; and the gateway as a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { withDuckDb } from '../../core/dataset/duckdb.ts';
import { packKept } from '../../core/features/kept-rows.ts';
import { createLmdbOnlineStore } from '../../core/features/lmdb-online-store.ts';
import { entityKey, onlineNamespace, writeLayout } from '../../core/features/online-layout.ts';
import type { OnlineStore } from '../../core/features/online-store.ts';
import { exportNativeModel } from '../../core/onnx/export-model.ts';
import { promote } from '../../core/registry/routing.ts';
import type { VersionManifest } from '../../core/registry/schemas.ts';
import { registerVersion } from '../../core/registry/versions.ts';
import type { FeatureInfo } from '../../core/spec/artifacts.ts';
import type { FeatureView, SpineSpec } from '../../core/spec/pipeline.ts';
import { createBlobStore } from '../../core/store/blobs.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';
import type { BlobStore } from '../../core/store/ports.ts';
import { REPOSITORY } from '../support/project.ts';

export const FEATURES: FeatureInfo[] = [
  { name: 'distance', kind: 'number', view: 'schedule' },
  { name: 'carrier', kind: 'category', view: 'schedule' },
  { name: 'wind', kind: 'number', view: 'weather' },
];
const VIEWS: FeatureView[] = [
  { kind: 'fields', name: 'schedule', source: 'flights', fields: [{ name: 'distance', expr: 'distance' }] },
  {
    ...{ kind: 'latest', name: 'weather', source: 'weather', by: { origin: 'origin' }, ttl: '6h' },
    fields: [{ name: 'wind', expr: 'wind' }],
  },
];
const SPINE: SpineSpec = {
  ...{ source: 'flights', key: ['flight_id'], predictAt: 'departs_at', label: 'late', labelKnownAt: 'landed_at' },
};
export const AS_OF = '2014-01-01T00:00:00Z';

export interface GatewayProject {
  root: string;
  blobs: BlobStore;
  /** Registers a version and makes it the champion. Its model: sigmoid(bias + distance/1000 + wind/10 + 0.5 for AA). */
  promote(bias: number, model?: string): Promise<VersionManifest>;
  /** The first half of `promote`, and the second. */
  register(bias: number, model?: string): Promise<VersionManifest>;
  route(manifest: VersionManifest): Promise<void>;
  /** Writes online features as of AS_OF: flights A (all there), B (its weather is too old), by their flight_id. */
  materialize(model?: string): Promise<void>;
  /** The same, into a store that is closed afterwards. */
  materializeInto(store: OnlineStore, model?: string): Promise<void>;
  remove(): Promise<void>;
}

/** What the model says; missing values count as 0. */
export function expectedScore(bias: number, row: { distance?: number; carrier?: string; wind?: number }): number {
  const z = bias + (row.distance ?? 0) / 1000 + (row.wind ?? 0) / 10 + (row.carrier === 'AA' ? 0.5 : 0);
  return 1 / (1 + Math.exp(-z));
}

export async function createGatewayProject(): Promise<GatewayProject> {
  const root = await mkdtemp(path.join(tmpdir(), 'refit-gateway-'));
  await mkdir(path.join(root, '.refit'));
  await symlink(path.join(REPOSITORY, '.refit/lib'), path.join(root, '.refit/lib'));
  const blobs = createBlobStore(createFolderStore(path.join(root, '.refit/store')));
  return {
    root,
    blobs,
    register: (bias, model = 'flights') => registerModel(blobs, model, bias),
    route: (manifest) => route(blobs, manifest),
    promote: async (bias, model = 'flights') => {
      const manifest = await registerModel(blobs, model, bias);
      await route(blobs, manifest);
      return manifest;
    },
    materialize: (model = 'flights') => writeFeatures(createLmdbOnlineStore(path.join(root, '.refit/online')), model),
    materializeInto: (store, model = 'flights') => writeFeatures(store, model),
    remove: () => rm(root, { recursive: true, force: true, maxRetries: 5 }),
  };
}

async function registerModel(blobs: BlobStore, model: string, bias: number): Promise<VersionManifest> {
  const number = (feature: string, scale: number) => ({
    ...{ feature, mean: 0, scale, impute: 0, weight: 1, missingWeight: 0 },
  });
  const native = {
    format: 'logistic' as const,
    intercept: bias,
    numbers: [number('distance', 1000), number('wind', 10)],
    categories: [{ feature: 'carrier', levels: ['AA', 'UA'], weights: [0.5, 0], otherWeight: 0 }],
    features: FEATURES,
  };
  const onnx = await blobs.putBytes(exportNativeModel(native));
  const nativeBlob = await blobs.putJson(native);
  const spec = await blobs.putJson({
    ...{ name: model, question: 'Will it be late?', asOf: 'latest', spine: SPINE, features: VIEWS },
  });
  const quality = { auc: 0.7, logLoss: 0.4, brier: 0.1 };
  return registerVersion(blobs, {
    ...{ model, key: `bias ${bias}`, asOf: AS_OF, gates: [], comparison: null, report: null, page: null },
    trainedModel: {
      ...{ trainer: 'logistic', native: nativeBlob, onnx, predictions: nativeBlob, features: FEATURES, rounds: 1 },
      ...{ roundsTrained: 1, params: {}, importance: [], seenUntil: AS_OF },
    },
    signature: {},
    metrics: { validate: quality, test: quality, baseline: quality },
    profile: nativeBlob,
    lineage: { pipeline: { digest: spec.sha256, spec }, trainingSet: 'digest', sources: {} },
  });
}

async function route(blobs: BlobStore, { model, version }: VersionManifest): Promise<void> {
  const run = { runId: `run-${version}`, workflowId: `train/${model}`, decisionId: `promote ${version}` };
  await promote(blobs.objects, { model, version, by: 'rule', reason: 'gates passed', gates: [], ...run });
}

/** Closes the store. */
async function writeFeatures(store: OnlineStore, model: string): Promise<void> {
  const namespace = onlineNamespace(model, SPINE, VIEWS);
  const timesAt = (iso: string) => ({ eventAtUs: Date.parse(iso) * 1000, knownAtUs: Date.parse(iso) * 1000 });
  const entity = { id: `${namespace}/entity`, features: FEATURES.slice(0, 2), rows: 2, spine: 'any' };
  const weather = {
    ...{
      id: `${namespace}/weather`,
      part: 'weather',
      view: 'weather',
      features: FEATURES.slice(2),
      absent: [null],
      texts: [false],
    },
    ...{ read: { kind: 'latest' as const, ttl: '6h', aheadUs: 0, ages: [null] } },
    newestUs: Date.parse('2013-12-31T22:00:00Z') * 1000,
    size: { whole: 1, since: 0 },
  };
  const kept = (degrees: number, iso: string) => {
    const at = Date.parse(iso) * 1000;
    const rows = { numbers: Float64Array.of(at, at, degrees), texts: [], tile: undefined };
    return { values: packKept({ ...rows, untilUs: Infinity }), ...timesAt(AS_OF) };
  };
  const key = (name: string) => entityKey([name]) as string;
  await store.put(entity.id, [
    { key: key('A'), values: [1000, 'AA', key('JFK')], ...timesAt(AS_OF) },
    { key: key('B'), values: [500, 'UA', key('LGA')], ...timesAt(AS_OF) },
  ]);
  await store.put(weather.id, [
    { key: key('JFK'), ...kept(20, '2013-12-31T22:00:00Z') },
    { key: key('LGA'), ...kept(30, '2013-12-31T12:00:00Z') },
  ]);
  await writeLayout(store, namespace, {
    ...{
      asOf: AS_OF,
      turn: 1,
      before: [],
      key: ['flight_id'],
      entity,
      lookups: [weather],
      computed: [],
      features: FEATURES,
    },
  });
  await store.close();
}

export interface RunningGateway {
  url: string;
  port: number;
  process: ChildProcess;
  /** Standard error so far. */
  said(): string;
  /** JSON of an answer with its status. */
  get(path: string): Promise<{ status: number; body: Record<string, never> }>;
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>;
  predict(instances: object[], more?: object): Promise<Answer>;
  /** Ends with the signal; answers with the exit status. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
}

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks at any part of any answer
  body: any;
}

/** Starts `gateway/start.mjs`; answers when it listens, or rejects with what it said when it ends first. */
export async function startGateway(root: string, env: NodeJS.ProcessEnv = {}): Promise<RunningGateway> {
  const child = spawn(process.execPath, [path.join(REPOSITORY, 'gateway/start.mjs')], {
    cwd: root,
    env: { ...process.env, REFIT_ROOT: root, REFIT_GATEWAY_PORT: '0', REFIT_GATEWAY_POLL_MS: '50', ...env },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const port = await new Promise<number>((resolve, reject) => {
    child.once('message', (message: { port: number }) => resolve(message.port));
    child.once('close', (code) => reject(new Error(`The gateway ended with ${code}:\n${said}`)));
  });
  const url = `http://127.0.0.1:${port}`;
  const answer = async (response: Response): Promise<Answer> => ({
    status: response.status,
    body: await response.json(),
  });
  const post: RunningGateway['post'] = async (to, body, headers = {}) =>
    answer(
      await fetch(`${url}${to}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: body instanceof Uint8Array || typeof body === 'string' ? (body as string) : JSON.stringify(body),
      }),
    );
  return {
    ...{ url, port, process: child, post },
    said: () => said,
    get: async (from) => answer(await fetch(`${url}${from}`)),
    predict: (instances, more = {}) => post('/v1/models/flights:predict', { instances, ...more }),
    end: (signal = 'SIGTERM') => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      return ended;
    },
  };
}

/** Rows of the prediction log in the store. */
export async function loggedRows(root: string, columns = '*'): Promise<Record<string, unknown>[]> {
  const folder = path.join(root, '.refit/store/predictions');
  if ((await readdir(folder).catch(() => [])).length === 0) return [];
  return withDuckDb({ scratch: root }, (db) =>
    db.rows(`SELECT ${columns} FROM read_parquet('${folder}/*/*/*/*.parquet') ORDER BY predicted_at, id`),
  );
}
