import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSourceFiles, type SourceFiles } from '../../core/dataset/source-files.ts';
import { sha256 } from '../../core/store/digest.ts';
import { createFileCache } from '../../core/store/file-cache.ts';
import { releasingLocalFiles } from '../../core/store/local-files.ts';

/** A server that lists two objects a page and hands them out; `broken` ones break off halfway. */
interface Bucket {
  objects: Map<string, string>;
  broken: Set<string>;
  gets: string[];
  server: Server;
  url: string;
}

let bucket: Bucket;
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'refit-s3-'));
  bucket = await startBucket();
});
afterEach(async () => {
  bucket.server.closeAllConnections();
  await new Promise((resolve) => bucket.server.close(resolve));
  await rm(folder, { recursive: true, force: true });
});

async function startBucket(): Promise<Bucket> {
  const made = { objects: new Map<string, string>(), broken: new Set<string>(), gets: [] as string[] };
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://x');
    const key = decodeURIComponent(url.pathname).replace('/data/', '');
    if (!url.pathname.startsWith('/data')) return void response.writeHead(404).end(error('NoSuchBucket'));
    if (url.searchParams.get('list-type') === '2') return void response.end(page(made.objects, url.searchParams));
    const body = made.objects.get(key);
    made.gets.push(key);
    if (body === undefined) return void response.writeHead(404).end(error('NoSuchKey'));
    response.writeHead(200, { etag: `"${sha256(body)}"`, 'content-length': Buffer.byteLength(body) });
    if (!made.broken.has(key)) return void response.end(body);
    response.write(body.slice(0, 3));
    setTimeout(() => response.destroy(), 20);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { ...made, server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const error = (code: string) => `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`;

function page(objects: Map<string, string>, query: URLSearchParams): string {
  const all = [...objects.keys()].filter((key) => key.startsWith(query.get('prefix') ?? '')).sort();
  const from = Number(query.get('continuation-token') ?? 0);
  const items = all.slice(from, from + 2).map((key) => {
    const body = objects.get(key) ?? '';
    return `<Contents><Key>${key}</Key><ETag>"${sha256(body)}"</ETag><Size>${Buffer.byteLength(body)}</Size></Contents>`;
  });
  const more = from + 2 < all.length;
  const token = more ? `<NextContinuationToken>${from + 2}</NextContinuationToken>` : '';
  return `<?xml version="1.0"?><ListBucketResult><IsTruncated>${more}</IsTruncated>${token}${items.join('')}</ListBucketResult>`;
}

function sources(limitBytes = 1e9, env: NodeJS.ProcessEnv = {}): SourceFiles {
  return createSourceFiles(folder, createFileCache(path.join(folder, 'cache'), limitBytes), {
    AWS_ENDPOINT_URL: bucket.url,
    AWS_ACCESS_KEY_ID: 'k',
    AWS_SECRET_ACCESS_KEY: 's',
    ...env,
  });
}

describe('objects of S3', () => {
  it('are listed by pattern, over all pages', async () => {
    for (const key of ['d/a/1.csv', 'd/a/2.csv', 'd/b/1.csv', 'd/b/1.csv.tmp', 'd/.hidden/1.csv', 'd/b/', 'e/1.csv']) {
      bucket.objects.set(key, key);
    }
    const names = async (pattern: string) => (await sources().list('x', { path: pattern })).map(({ name }) => name);
    expect(await names('s3://data/d/*/*.csv')).toEqual([
      's3://data/d/a/1.csv',
      's3://data/d/a/2.csv',
      's3://data/d/b/1.csv',
    ]);
    expect(await names('s3://data/**/1.csv')).toEqual([
      's3://data/d/a/1.csv',
      's3://data/d/b/1.csv',
      's3://data/e/1.csv',
    ]);
    expect(await names('s3://data/d/b/1.csv')).toEqual(['s3://data/d/b/1.csv']);
    await expect(names('s3://data/d/*/*.parquet')).rejects.toMatchObject({ code: 'REFIT_SOURCE_MISSING' });
    await expect(names('s3://data')).rejects.toMatchObject({ code: 'REFIT_PIPELINE_INVALID' });
    await expect(names('s3://other/*.csv')).rejects.toMatchObject({
      code: 'REFIT_SOURCE_UNREACHABLE',
      message: expect.stringContaining('NoSuchBucket') as string,
    });
  });

  it('are fetched once while they stay the same', async () => {
    bucket.objects.set('a.csv', 'one');
    const look = async (files: SourceFiles) => {
      const [file] = await files.list('x', { path: 's3://data/a.csv' });
      return files.fingerprint(file as never);
    };
    expect(await look(sources())).toBe(sha256('one'));
    expect(await look(sources())).toBe(sha256('one'));
    expect(await readFile(await sources().path('s3://data/a.csv', sha256('one')), 'utf8')).toBe('one');
    expect(bucket.gets).toEqual(['a.csv']);
    bucket.objects.set('a.csv', 'two');
    expect(await look(sources())).toBe(sha256('two'));
    // What a run was pinned to is still here, though it is gone from the bucket.
    expect(await readFile(await sources().path('s3://data/a.csv', sha256('one')), 'utf8')).toBe('one');
  });

  it('are kept within one limit, but for what is in use; notes that nobody needs go', async () => {
    const body = (n: number) => String(n).repeat(1_000);
    for (let n = 0; n < 9; n++) bucket.objects.set(`${n}.csv`, body(n));
    const notes = path.join(folder, 'cache', 'notes');
    await mkdir(notes, { recursive: true });
    await writeFile(path.join(notes, 'old.json'), '{}');
    await utimes(path.join(notes, 'old.json'), new Date(0), new Date(0));
    const files = sources(3_000);
    await releasingLocalFiles(async () => {
      const used = await files.path('s3://data/0.csv', sha256(body(0)));
      for (const file of await files.list('x', { path: 's3://data/*.csv' })) await files.fingerprint(file);
      expect(await readFile(used, 'utf8')).toBe(body(0));
    });
    const there = await readdir(path.join(folder, 'cache', 'files'), { recursive: true, withFileTypes: true });
    expect(there.filter((entry) => entry.isFile()).length).toBeLessThanOrEqual(4);
    // What made room is known still, and fetched again when it is read.
    bucket.gets.length = 0;
    const [, first] = await files.list('x', { path: 's3://data/*.csv' });
    expect(await files.fingerprint(first as never)).toBe(sha256(body(1)));
    expect(bucket.gets).toEqual([]);
    expect(await readFile(await files.path('s3://data/1.csv', sha256(body(1))), 'utf8')).toBe(body(1));
    expect(bucket.gets).toEqual(['1.csv']);
    expect(await readdir(notes)).toHaveLength(9);
  });

  it('that changed, went away or break off are told', async () => {
    bucket.objects.set('a.csv', 'one');
    await expect(sources().path('s3://data/a.csv', sha256('other'))).rejects.toMatchObject({
      code: 'REFIT_SOURCE_CHANGED',
    });
    await expect(sources().path('s3://data/b.csv', sha256('b'))).rejects.toMatchObject({
      code: 'REFIT_SOURCE_MISSING',
    });
    bucket.objects.set('c.csv', 'a long text');
    bucket.broken.add('c.csv');
    await expect(sources().path('s3://data/c.csv', sha256('a long text'))).rejects.toMatchObject({
      code: 'REFIT_SOURCE_UNREACHABLE',
    });
    expect(await readdir(path.join(folder, 'cache', 'tmp'))).toEqual([]);
    const nowhere = sources(1e9, { AWS_ENDPOINT_URL: 'http://127.0.0.1:9' });
    await expect(nowhere.list('x', { path: 's3://data/*.csv' })).rejects.toMatchObject({
      code: 'REFIT_SOURCE_UNREACHABLE',
    });
  });
});
