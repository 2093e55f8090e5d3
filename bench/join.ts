/**
 * `node --import tsx bench/join.ts [--python venv/bin/python] [--rows 1000000] [--events 10000000] [--json]`: the historical
 * join of a spine with three latest views, from Parquet to Parquet, each case in a process of its own. With `--python` (a
 * virtual environment with polars, feast[duckdb], pyarrow) the same files are joined by polars and Feast (join-peers.py).
 */
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type DuckDb, literal, withDuckDb } from '../core/dataset/duckdb.ts';
import { joinSpine } from '../core/features/join-spine.ts';
import type { ColumnInfo, Snapshot } from '../core/spec/artifacts.ts';
import type { FeatureView } from '../core/spec/pipeline.ts';
import { createBlobStore } from '../core/store/blobs.ts';
import { createFolderStore } from '../core/store/folder-store.ts';

const SOURCES = ['payments', 'visits', 'ratings'] as const;
/** Share of the events, and how long a row answers. */
const SHARES = { payments: [0.4, undefined], visits: [0.4, '7d'], ratings: [0.2, '1d'] } as const;
const DAYS = 90;
const ENTITIES = 100_000;

interface Case {
  name: string;
  rows: number;
  events: number;
  entities: number;
  /** All events at one instant, asked about later. */
  tied?: boolean;
}

interface Figure {
  name: string;
  rows: number;
  seconds: number;
  /** Of all threads: what is left to compare on a machine that is not quiet. */
  cpuSeconds: number;
  peakMb: number;
}

const { values: options } = parseArgs({
  options: {
    python: { type: 'string' },
    rows: { type: 'string', default: '1000000' },
    events: { type: 'string', default: '10000000' },
    json: { type: 'boolean', default: false },
    /** Used by itself: run one case over what is in this folder. */
    folder: { type: 'string' },
  },
});

async function main(): Promise<void> {
  if (options.folder) {
    const figure = await joinFolder(options.folder);
    process.send?.(figure);
    return;
  }
  const root = await mkdtemp(path.join(tmpdir(), 'refit-bench-join-'));
  try {
    const [rows, events] = [Number(options.rows), Number(options.events)];
    const cases: Case[] = [
      { name: 'uniform', rows, events, entities: ENTITIES },
      { name: '50k × 50k, 5,000 entities', rows: 50_000, events: 150_000, entities: 5_000 },
      { name: '50k × 50k, one entity', rows: 50_000, events: 150_000, entities: 1 },
      { name: '50k × 50k, one entity, one instant', rows: 50_000, events: 150_000, entities: 1, tied: true },
    ];
    const figures: Figure[] = [];
    for (const [index, one] of cases.entries()) {
      const folder = path.join(root, String(index));
      await makeData(folder, one);
      figures.push({ ...one, ...(await child(folder)) });
      if (index === 0 && options.python) figures.push(...(await peers(options.python, folder, rows)));
    }
    process.stdout.write(options.json ? `${JSON.stringify({ figures })}\n` : table(figures));
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** Parquet files of events and of a spine, the same for everybody. */
async function makeData(folder: string, { rows, events, entities, tied = false }: Case): Promise<void> {
  await mkdir(folder, { recursive: true });
  const random = (i: string, seed: number, range: number) => `(hash(${i} * 4 + ${seed}) % ${range})::BIGINT`;
  const seconds = tied ? 1 : DAYS * 86_400;
  const time = (i: string, seed: number) => `TIMESTAMP '2024-01-01' + to_seconds(${random(i, seed, seconds)})`;
  const write = (db: DuckDb, name: string, sql: string) =>
    db.run(`COPY (${sql}) TO ${literal(path.join(folder, `${name}.parquet`))} (FORMAT parquet, COMPRESSION zstd)`);
  await withDuckDb({ scratch: folder }, async (db) => {
    for (const [at, name] of SOURCES.entries()) {
      const count = Math.round(events * SHARES[name][0]);
      // Known up to ten minutes after it happened, so that rows are learned out of order.
      await write(
        db,
        name,
        `SELECT ${random('i', 10 + at, entities)} AS customer, ${time('i', 20 + at)} AS happened,
        happened + to_seconds(${random('i', 30 + at, 600)}) AS recorded, i::DOUBLE AS amount, (i % 7)::DOUBLE AS kind,
        recorded AS __known_0, happened AS __event_at, 'infinity'::TIMESTAMP AS __bad_known_at
        FROM range(${count}) r(i)`,
      );
    }
    await write(
      db,
      'spine',
      `SELECT i AS ask, ${random('i', 40, entities)} AS customer, ${time('i', 41)}${tied ? ' + INTERVAL 1 HOUR' : ''} AS predict_at FROM range(${rows}) r(i)`,
    );
  });
}

async function joinFolder(folder: string): Promise<Omit<Figure, 'name' | 'rows'>> {
  const blobs = createBlobStore(createFolderStore(path.join(folder, 'store')));
  const columns: ColumnInfo[] = ['customer', 'happened', 'recorded', 'amount', 'kind'].map((name) => ({
    ...{ name, type: name === 'customer' ? 'BIGINT' : 'DOUBLE', known: ['__known_0'] },
  }));
  const snapshots: Record<string, Snapshot> = {};
  for (const source of SOURCES) {
    const data = await blobs.putFile(path.join(folder, `${source}.parquet`));
    const nothing = { rows: 0, quarantined: 0, rules: [], newestEvent: null, manifest: '' };
    snapshots[source] = { ...nothing, source, id: source, columns, partitions: [{ name: source, data }] };
  }
  const views = SOURCES.map((source): FeatureView => {
    const ttl = SHARES[source][1];
    const fields = ['amount', 'kind'].map((expr) => ({ name: `${source}_${expr}`, expr }));
    return { kind: 'latest', name: source, source, by: { customer: 'customer' }, fields, ...(ttl ? { ttl } : {}) };
  });
  const spine = {
    source: 'payments',
    key: ['nothing'],
    predictAt: 'happened',
    label: 'true',
    labelKnownAt: 'recorded',
  };
  const [from, to] = ['spine', 'out'].map((name) => ({
    path: path.join(folder, `${name}.parquet`),
    format: 'parquet' as const,
  }));
  const started = performance.now();
  const before = process.cpuUsage();
  if (from && to)
    await joinSpine({ spine, views, snapshots, asOf: '2025-01-01T00:00:00Z', from, to }, { blobs, scratch: folder });
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(before);
  const status = await readFile('/proc/self/status', 'utf8');
  return {
    seconds,
    cpuSeconds: (user + system) / 1e6,
    peakMb: Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024),
  };
}

function child(folder: string): Promise<Omit<Figure, 'name' | 'rows'>> {
  const script = fileURLToPath(import.meta.url);
  const running = spawn(process.execPath, ['--import', 'tsx', script, '--folder', folder], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  return new Promise((resolve, reject) => {
    running.once('message', (figure) => resolve(figure as Figure));
    running.once('exit', (code) => reject(new Error(`The case in ${folder} ended with ${code}.`)));
  });
}

/** JSON lines of `{ name, seconds, cpuSeconds, peakMb }`. */
async function peers(python: string, folder: string, rows: number): Promise<Figure[]> {
  const script = fileURLToPath(new URL('join-peers.py', import.meta.url));
  const running = spawn(python, [script, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  running.stdout.on('data', (part: Buffer) => {
    text += part.toString();
  });
  await new Promise((resolve) => running.once('close', resolve));
  const lines = text.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => ({ rows, ...(JSON.parse(line) as Omit<Figure, 'rows'>) }));
}

function table(figures: Figure[]): string {
  const lines = figures.map(
    ({ name, rows, seconds, cpuSeconds, peakMb }) =>
      `| ${name} | ${rows.toLocaleString('en')} | ${seconds.toFixed(2)} s | ${cpuSeconds.toFixed(2)} s | ${((seconds / rows) * 1e6).toFixed(1)} µs | ${peakMb} MB |`,
  );
  return `| case | rows | time | CPU | per row | peak memory |\n| --- | ---: | ---: | ---: | ---: | ---: |\n${lines.join('\n')}\n`;
}

await main();
