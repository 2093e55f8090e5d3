/** The flights pipeline on an S3 server and Redis, and the page that tells how. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Project, REPOSITORY, refit, runJson } from '../support/project.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { type S3Server, startS3Server } from '../support/s3-server.ts';
import { blocksOf, createServicesProject } from '../support/services.ts';
import { until } from './topology.fixture.ts';

let s3: S3Server;
let redis: RedisServer;
let onServers: Project;
let embedded: Project;
beforeAll(async () => {
  [s3, redis, onServers, embedded] = await Promise.all([
    startS3Server(),
    startRedis(),
    createServicesProject(),
    createServicesProject(),
  ]);
  await s3.createBucket('my-bucket');
  // Copies of its own, not those of other tests.
  await rm(onServers.path('.refit/cache'));
});
afterAll(async () => {
  await s3?.stop();
  await redis?.remove();
  for (const project of [onServers, embedded]) await project?.remove();
});

const servers = () => ({ ...s3.env, REFIT_STORE: 's3://my-bucket/refit', REFIT_ONLINE: redis.url });

test('the same model, byte for byte, with S3 and Redis as with the embedded defaults; nothing lies in the folder', async () => {
  const there = await runJson(onServers, ['flight-delays'], servers());
  const here = await runJson(embedded, ['flight-delays']);
  expect(there.verdict).toBe('promoted');
  expect(there.model.sha256).toBe(here.model.sha256);
  expect(there.metrics).toEqual(here.metrics);
  expect(there.gates.map(({ name, passed, value }) => [name, passed, value])).toEqual(
    here.gates.map(({ name, passed, value }) => [name, passed, value]),
  );
  expect(there.model.path).toBe('s3://my-bucket/refit/models/flight-delays/1');
  expect(there.report).toMatch(/^s3:\/\/my-bucket\/refit\/reports\/flight-delays\/.+\/evaluation\.html$/);
  for (const folder of ['store', 'online']) expect(existsSync(onServers.path('.refit', folder))).toBe(false);
});

/** The commands of a block of the page, after its settings. */
async function commandsOf(place: string): Promise<string[]> {
  const block = (await blocksOf('docs/stores.md')).find((one) => one.place === place);
  return (block?.text ?? '').trim().split('\n');
}

test('every command of docs/stores.md does what it says there; the second run finds all steps in the store', async () => {
  const [settings, ...commands] = await commandsOf('stores');
  expect(settings).toBe(`export REFIT_STORE=${servers().REFIT_STORE}`);
  const said: Record<string, string> = {};
  for (const line of commands) {
    const [npx, no, program, ...args] = line.split(' ');
    expect([npx, no, program]).toEqual(['npx', '--no', 'refit']);
    const { code, stdout, stderr } = await refit(onServers, args, servers());
    // What the doctor finds of the programs is another test's.
    if (args[0] !== 'doctor') expect(code, `${line}\n${stdout}${stderr}`).toBe(0);
    said[args[0] ?? ''] = stdout;
  }
  expect(said.doctor).toContain('Store      s3://my-bucket/refit, it answers');
  expect(said.run).toContain('unchanged');
  expect(said.verify).toContain('flight-delays@1 is what was registered.');
});

test('damage of an object in the bucket is found by verify', async () => {
  const key = 'refit/models/flight-delays/1/model.onnx';
  const { appendFile } = await import('node:fs/promises');
  await appendFile(s3.fileOf('my-bucket', key), 'x');
  const { code, stdout } = await refit(onServers, ['verify', 'flight-delays@1'], servers());
  expect(code).toBe(1);
  expect(stdout).toContain('model.onnx');
});

test.each([
  [{ REFIT_STORE: 's3://no-such-bucket/x' }, 'REFIT_STORE_MISSING', /no bucket for the store s3:\/\/no-such-bucket\/x/],
  [{ AWS_SECRET_ACCESS_KEY: 'wrong' }, 'REFIT_STORE_DENIED', /s3:\/\/my-bucket\/refit/],
  [{ AWS_ENDPOINT_URL: 'http://127.0.0.1:9' }, 'REFIT_STORE_UNREACHABLE', /s3:\/\/my-bucket\/refit/],
])('%j: doctor and run say so in a sentence with a cure', async (wrong, code, words) => {
  const env = { ...servers(), ...wrong };
  const doctor = await refit(onServers, ['doctor', '--json'], env);
  expect(doctor.code).toBe(1);
  expect(JSON.parse(doctor.stdout).storeProblem).toMatchObject({ code, message: expect.stringMatching(words) });
  const run = await refit(onServers, ['run', 'flight-delays', '--json'], env);
  expect(run.code).toBe(1);
  const { error } = JSON.parse(run.stdout);
  expect(error).toMatchObject({ code, message: expect.stringMatching(words), cure: expect.stringMatching(/.{20,}/) });
});

test('an address that is none is wrong usage', async () => {
  for (const REFIT_STORE of ['s3://', 's3:bucket', 's3://b/../x', 'gs://bucket/x']) {
    const { code, stderr } = await refit(onServers, ['models'], { ...servers(), REFIT_STORE });
    expect(code, REFIT_STORE).toBe(2);
    expect(stderr).toContain(REFIT_STORE);
  }
});

test('the server that the page builds and starts serves the bucket that it names', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'refit-page-'));
  const port = await freePort();
  const text = (await commandsOf('server')).join('\n').replace('/srv/objects', folder).replaceAll('7070', String(port));
  const child = spawn('bash', ['-euo', 'pipefail', '-c', text], { cwd: REPOSITORY, stdio: 'ignore', detached: true });
  try {
    const env = {
      ...{ AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`, AWS_ACCESS_KEY_ID: 'me', AWS_SECRET_ACCESS_KEY: 'a-secret' },
      ...{ AWS_REGION: 'us-east-1', REFIT_STORE: 's3://my-bucket/refit' },
    };
    await until('the server of the page answers', async () => {
      const { code } = await refit(embedded, ['models'], env);
      return code === 0;
    });
  } finally {
    process.kill(-(child.pid ?? 0), 'SIGTERM');
    await rm(folder, { recursive: true, force: true });
  }
});

async function freePort(): Promise<number> {
  const held = createServer();
  await new Promise<void>((resolve) => held.listen(0, '127.0.0.1', resolve));
  const { port } = held.address() as { port: number };
  await new Promise((resolve) => held.close(resolve));
  return port;
}
