import { appendFile, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { withDuckDb } from '../../core/dataset/duckdb.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';
import type { ObjectStore } from '../../core/store/ports.ts';
import { createSegmentPublisher, type PublishSegment } from '../../gateway/log-parquet.ts';
import { createPredictionLog, type Prediction, type PredictionLog } from '../../gateway/prediction-log.ts';

let folder: string;
let objects: ObjectStore;
let logs: PredictionLog[];
let now: Date;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'refit-log-'));
  objects = createFolderStore(path.join(folder, 'store'));
  logs = [];
  now = new Date('2026-11-21T07:59:58Z');
});
afterEach(async () => {
  for (const log of logs) await log.close();
  await rm(folder, { recursive: true });
});

const segments = () => path.join(folder, 'log');
const names = () => readdir(segments()).catch(() => []);
const parquet = (): PublishSegment => createSegmentPublisher(objects, path.join(folder, 'scratch'));
function open(publish: PublishSegment = parquet(), options: object = {}): PredictionLog {
  const log = createPredictionLog({
    folder: segments(),
    publish,
    flushMs: 5,
    publishMs: 0,
    now: () => now,
    ...options,
  });
  logs.push(log);
  return log;
}
const prediction = (id: string, over: Partial<Prediction> = {}): Prediction => ({
  ...{ id, at: now, model: 'flights', version: 3, source: 'raw', keys: null, inputs: { distance: 100, carrier: null } },
  ...{ score: 0.25, label: false, latencyMs: 1.5 },
  ...over,
});
async function stored(): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of objects.list('predictions/')) keys.push(key);
  return keys;
}
async function rows(columns = 'id'): Promise<Record<string, unknown>[]> {
  if ((await stored()).length === 0) return [];
  const files = path.join(folder, 'store/predictions/*/*/*/*.parquet');
  return withDuckDb({ scratch: folder }, (db) =>
    db.rows(`SELECT ${columns} FROM read_parquet('${files}', hive_partitioning = true) ORDER BY id`),
  );
}
const ids = async () => (await rows()).map(({ id }) => id);

/** What a killed process leaves: its segment, whose owner is no process any more. */
async function kill(log: PredictionLog): Promise<void> {
  logs = logs.filter((other) => other !== log);
  const [name] = await names();
  if (!name) throw new Error('no segment');
  const copy = await readFile(path.join(segments(), name));
  await log.close();
  await rm(path.join(folder, 'store/predictions'), { recursive: true, force: true });
  await writeFile(path.join(segments(), dead(name)), copy);
}
/** Process ids end at 4 million. */
const dead = (name: string) => name.replace(/(\.[0-9a-f]{12})\.\d+\./, '$1.99999999.');

describe('the prediction log', () => {
  test('ends up in the store by model and hour, with all that was asked and answered', async () => {
    const log = open();
    log.append([
      prediction('a/0', { source: 'features', keys: { flight_id: 'AA-1' } }),
      prediction('b/0', { model: 'churn' }),
    ]);
    now = new Date('2026-11-21T08:00:01Z');
    log.append([prediction('c/0')]);
    await log.close();
    const token = '[0-9a-f.]+';
    expect((await stored()).map((key) => key.replace(new RegExp(`${token}\\.parquet$`), '*'))).toEqual([
      'predictions/churn/date=2026-11-21/hour=07/*',
      'predictions/flights/date=2026-11-21/hour=07/*',
      'predictions/flights/date=2026-11-21/hour=08/*',
    ]);
    expect((await rows('* EXCLUDE (date)'))[0]).toMatchObject({
      ...{
        id: 'a/0',
        predicted_at: new Date('2026-11-21T07:59:58Z'),
        model: 'flights',
        version: 3,
        source: 'features',
      },
      ...{ keys: '{"flight_id":"AA-1"}', inputs: '{"distance":100,"carrier":null}' },
      ...{ score: 0.25, label: false, latency_ms: 1.5 },
    });
    expect((await rows('id, keys'))[2]).toEqual({ id: 'c/0', keys: null });
    expect(await names()).toEqual([]);
  });

  test('loses no row over text that is no Unicode: half a character is written as the model was given it', async () => {
    const log = open();
    const texts = ['\ud800', '\udfffx', '\\ud800', '✈️😀', '\u0000"'];
    log.append(texts.map((carrier, i) => prediction(`${i}`, { inputs: { carrier } })));
    await log.close();
    const found = (await rows('inputs')).map(({ inputs }) => JSON.parse(String(inputs)).carrier);
    expect(found).toEqual(['\ufffd', '\ufffdx', '\\ud800', '✈️😀', '\u0000"']);
  });

  test('is in the store while its hour lasts, each row once', async () => {
    const log = open();
    for (const id of ['a', 'b', 'c']) {
      log.append([prediction(id)]);
      await vi.waitFor(async () => expect(await ids()).toContain(id), { timeout: 10_000, interval: 50 });
    }
    expect(await ids()).toEqual(['a', 'b', 'c']);
    await vi.waitFor(() => expect(log.state()).toMatchObject({ written: 3, buffered: 0, lagSeconds: 0 }));
  });

  test('of a killed process is published by the next one, a torn last line left out', async () => {
    const log = open();
    log.append([prediction('a'), prediction('b')]);
    await vi.waitFor(async () => expect(await names()).toHaveLength(1));
    await kill(log);
    const [name = ''] = await names();
    await appendFile(path.join(segments(), name), '{"id":"torn","at":"2026-');
    const next = open();
    next.append([prediction('c')]);
    await next.close();
    await vi.waitFor(async () => expect(await ids()).toEqual(['a', 'b', 'c']), { timeout: 10_000, interval: 50 });
  });

  test.each(['before', 'after'] as const)('is there once when a process dies %s publishing', async (when) => {
    const log = open();
    log.append([prediction('a'), prediction('b', { model: 'churn' })]);
    await vi.waitFor(async () => expect(await names()).toHaveLength(1));
    await kill(log);
    // Dies at each of its writes to the store, one after the other, then lives.
    for (const crashAt of [1, 2]) {
      let writes = 0;
      const failing: ObjectStore = {
        ...objects,
        putFile: async (...args) => {
          writes += 1;
          if (writes === crashAt && when === 'before') throw new Error('killed');
          const etag = await objects.putFile(...args);
          if (writes === crashAt) throw new Error('killed');
          return etag;
        },
      };
      const dying = open(createSegmentPublisher(failing, path.join(folder, 'scratch')));
      await vi.waitFor(() => expect(dying.state().failures).toBe(1), { timeout: 10_000 });
      await dying.close();
    }
    open();
    await vi.waitFor(async () => expect(await ids()).toEqual(['a', 'b']), { timeout: 10_000, interval: 50 });
    await vi.waitFor(async () => expect(await names()).toEqual([]));
  });

  test('is published by one of several that find it, or by all with the same result', async () => {
    const log = open();
    log.append([prediction('a'), prediction('b')]);
    await vi.waitFor(async () => expect(await names()).toHaveLength(1));
    await kill(log);
    const finders = [open(), open(), open()];
    await vi.waitFor(async () => expect(await names()).toEqual([]), { timeout: 10_000 });
    expect(await ids()).toEqual(['a', 'b']);
    for (const finder of finders) expect(finder.state().failures).toBe(0);
  });

  test('of several killed processes is published though one of them cannot be', async () => {
    const log = open();
    log.append([prediction('a')]);
    await vi.waitFor(async () => expect(await names()).toHaveLength(1));
    await kill(log);
    const [name = ''] = await names();
    const line = await readFile(path.join(segments(), name), 'utf8');
    const first = name.replace(/[0-9a-f]{16}\.ndjson$/, '0000000000000000.ndjson');
    await writeFile(path.join(segments(), first), line.replace('"a"', '"b"'));
    const works = parquet();
    const next = open(async (segment) => {
      if (segment.file.endsWith(first)) throw new Error('no such table');
      await works(segment);
    });
    await vi.waitFor(async () => expect(await names()).toEqual([first]), { timeout: 10_000 });
    expect(await ids()).toEqual(['a']);
    expect(next.state().failures).toBe(1);
  });

  test('leaves segments of processes that live alone', async () => {
    const log = open();
    log.append([prediction('a')]);
    await vi.waitFor(async () => expect(await names()).toHaveLength(1));
    const other = open();
    await other.close();
    expect(await names()).toHaveLength(1);
  });

  test('keeps rows on this machine while the store fails, and publishes them when it is back', async () => {
    let broken = true;
    const works = parquet();
    const log = open(async (segment) => {
      if (broken) throw new Error('ENOSPC');
      await works(segment);
    });
    log.append([prediction('a')]);
    await vi.waitFor(() => expect(log.state()).toMatchObject({ written: 1, failures: 1 }));
    broken = false;
    now = new Date(now.getTime() + 60_000);
    log.append([prediction('b')]);
    await vi.waitFor(async () => expect(await ids()).toEqual(['a', 'b']), { timeout: 10_000, interval: 50 });
  });

  test('drops rows, and counts them, only when the disk fails for too long', async () => {
    const log = open(parquet(), { bufferBytes: 600 });
    // In the folder's place lies a file: nothing can be written.
    await mkdir(folder, { recursive: true });
    await writeFile(segments(), '');
    for (let i = 0; i < 10; i++) log.append([prediction(`${i}`)]);
    const { buffered, dropped } = log.state();
    expect(buffered).toBeGreaterThan(0);
    expect(buffered + dropped).toBe(10);
    now = new Date(now.getTime() + 60_000);
    const { failures } = log.state();
    await vi.waitFor(() => expect(log.state().failures).toBeGreaterThan(failures + 2));
    expect(log.state().lagSeconds).toBe(60);
    await rename(segments(), `${segments()}.aside`);
    await vi.waitFor(() => expect(log.state()).toMatchObject({ buffered: 0, written: buffered }));
    await log.close();
    expect(await rows()).toHaveLength(buffered);
  });

  test('goes on when its files are removed under it', async () => {
    const log = open();
    log.append([prediction('a')]);
    await vi.waitFor(async () => expect(await ids()).toEqual(['a']), { timeout: 10_000, interval: 50 });
    await rm(segments(), { recursive: true });
    log.append([prediction('b')]);
    await vi.waitFor(() => expect(log.state().written).toBe(2));
    log.append([prediction('c')]);
    await log.close();
    expect(await ids()).toEqual(expect.arrayContaining(['a', 'c']));
  });
});
