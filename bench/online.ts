/**
 * The online store: reading 200 entities × 20 features, and materialising.
 *
 *   node --import tsx bench/online.ts [--entities 200000] [--reads 2000] [--feast <python with feast[redis]>]
 *
 * Starts a Redis server of its own (`node infra/setup.mjs --only redis-server`). Twenty numbers a key in one view, read by
 * a feature reader as the gateway does: layout and spine rows, then the view. Feast reads as many features of as many entities from the same
 * server with `get_online_features` (bench/online-feast.py).
 */
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { literal, withDuckDb } from '../core/dataset/duckdb.ts';
import { createLmdbOnlineStore } from '../core/features/lmdb-online-store.ts';
import { type MaterializeInput, materializeOnline } from '../core/features/materialize.ts';
import type { OnlineStore } from '../core/features/online-store.ts';
import { createFeatureReader } from '../core/features/read-features.ts';
import { createRedisOnlineStore } from '../core/features/redis-online-store.ts';
import type { Snapshot } from '../core/spec/artifacts.ts';
import type { FeatureView } from '../core/spec/pipeline.ts';
import { createBlobStore } from '../core/store/blobs.ts';
import { createFolderStore } from '../core/store/folder-store.ts';
import { findRedis } from '../infra/parts.mjs';

const { values } = parseArgs({
  options: {
    entities: { type: 'string', default: '200000' },
    reads: { type: 'string', default: '2000' },
    feast: { type: 'string' },
  },
});
const ENTITIES = Number(values.entities);
const READS = Number(values.reads);
const FEATURES = 20;
/** Reads before the ones that count. */
const WARM = 500;
const AT = '2024-01-02T00:00:00Z';
const VIEWS: FeatureView[] = [
  {
    ...{ kind: 'latest', name: 'stats', source: 'users', by: { id: 'id' }, ttl: '30d' },
    fields: Array.from({ length: FEATURES }, (_, i) => ({ name: `f${i}`, expr: `f${i}` })),
  },
];
const SPINE = { source: 'users', key: ['id'], predictAt: 'due', label: 'f0 > 0', labelKnownAt: 'due' };

async function main(): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'refit-bench-online-'));
  const redis = await startRedis(folder);
  try {
    const input = await publish(folder);
    const stores = [
      createRedisOnlineStore(`redis://127.0.0.1:${redis.port}/0`),
      createLmdbOnlineStore(path.join(folder, 'lmdb')),
    ];
    console.log(`${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}, ${ENTITIES} entities\n`);
    for (const store of stores) {
      const name = store.address.split(':')[0] as string;
      await materialize(name, store, input, folder);
      await read(name, store, input);
      await store.close();
    }
    if (values.feast) await feast(values.feast, folder, redis.port);
  } finally {
    redis.child.kill();
    await rm(folder, { recursive: true, force: true });
  }
}

async function publish(folder: string): Promise<MaterializeInput> {
  const blobs = createBlobStore(createFolderStore(path.join(folder, 'store')));
  const file = path.join(folder, 'users.parquet');
  const numbers = Array.from({ length: FEATURES }, (_, i) => `(hash(i, ${i}) % 1000) / 7.0 AS f${i}`);
  // A hundredth of them is due: spine rows are few beside the rows of the view.
  await withDuckDb({ scratch: folder }, (db) =>
    db.run(`COPY (SELECT 'user-' || i AS id, TIMESTAMP '2024-01-01' + to_hours(CASE WHEN i % 100 = 0 THEN 30 ELSE 1 END) AS due, ${numbers.join(', ')},
      TIMESTAMP '2024-01-01' AS __known_0, TIMESTAMP '2024-01-01' + to_seconds(i % 80000) AS __event_at, 'infinity'::TIMESTAMP AS __bad_known_at
      FROM range(${ENTITIES}) t(i)) TO ${literal(file)} (FORMAT parquet)`),
  );
  const column = (name: string, type: string) => ({ name, type, known: ['__known_0'] });
  const columns = [column('id', 'VARCHAR'), column('due', 'TIMESTAMP')];
  for (let i = 0; i < FEATURES; i++) columns.push(column(`f${i}`, 'DOUBLE'));
  const users: Snapshot = {
    ...{ source: 'users', id: 'bench', columns, rows: ENTITIES, quarantined: 0, rules: [], newestEvent: null },
    ...{ partitions: [{ name: 'users', data: await blobs.putFile(file) }], manifest: '' },
  };
  return { pipeline: 'bench', spine: SPINE, views: VIEWS, snapshots: { users }, asOf: AT };
}

async function materialize(name: string, store: OnlineStore, input: MaterializeInput, folder: string): Promise<void> {
  const blobs = createBlobStore(createFolderStore(path.join(folder, 'store')));
  const started = performance.now();
  const before = process.cpuUsage();
  const { rows } = await materializeOnline(input, store, { blobs, scratch: folder });
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(before);
  const again = performance.now();
  await materializeOnline(input, store, { blobs, scratch: folder });
  const repeated = (performance.now() - again) / 1000;
  const rate = Math.round(rows / seconds).toLocaleString('en');
  console.log(
    `${name} materialise: ${rate} entity-views/s (${rows} in ${seconds.toFixed(2)} s, ${((user + system) / 1e6).toFixed(1)} s of CPU in all threads; again, nothing changed: ${repeated.toFixed(2)} s)`,
  );
}

async function read(name: string, store: OnlineStore, { pipeline, spine, views }: MaterializeInput): Promise<void> {
  const { onlineNamespace } = await import('../core/features/online-layout.ts');
  const namespace = onlineNamespace(pipeline, spine, views);
  const reader = createFeatureReader(store, namespace);
  const due = Math.floor(ENTITIES / 100);
  const ms: number[] = [];
  let before = process.cpuUsage();
  for (let i = 0; i < READS + WARM; i++) {
    if (i === WARM) before = process.cpuUsage();
    const keys = Array.from({ length: 200 }, (_, k) => ({ id: `user-${((i * 7919 + k * 31) % due) * 100}` }));
    const started = performance.now();
    const found = await reader.read(keys, () => AT);
    const took = performance.now() - started;
    const last = found?.columns[FEATURES - 1];
    if (!last || (last as Float64Array).some(Number.isNaN)) throw new Error('a value is missing');
    if (i >= WARM) ms.push(took);
  }
  const { user, system } = process.cpuUsage(before);
  report(`${name} read 200 × ${FEATURES}`, ms, `, ${((user + system) / 1e3 / READS).toFixed(2)} ms of CPU each`);
}

function report(what: string, ms: number[], more = ''): void {
  const sorted = ms.toSorted((a, b) => a - b);
  const at = (share: number) => (sorted[Math.floor(sorted.length * share)] as number).toFixed(2);
  console.log(`${what}: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms (${sorted.length} reads${more})`);
}

async function feast(python: string, folder: string, port: number): Promise<void> {
  const script = new URL('online-feast.py', import.meta.url).pathname;
  const { stdout } = await promisify(execFile)(python, [script, folder, String(port), String(Math.min(READS, 300))], {
    maxBuffer: 1e8,
  });
  report(`feast on redis, read 200 × ${FEATURES}`, JSON.parse(stdout.trim().split('\n').at(-1) as string) as number[]);
}

async function startRedis(folder: string) {
  const found = await findRedis();
  if (!found) throw new Error('There is no redis-server: run `node infra/setup.mjs --only redis-server`.');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', ''];
  return { port, child: spawn(found.path, args, { stdio: 'ignore' }) };
}

await main();
process.exit(0);
