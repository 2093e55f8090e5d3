/** A real S3 server (versitygw) of a test's own, its objects in a temporary folder; and stores in it. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { CreateBucketCommand, type S3Client } from '@aws-sdk/client-s3';
import type { ObjectStore } from '../../core/store/ports.ts';
import { createS3Client } from '../../core/store/s3-client.ts';
import { createS3Store, type S3StoreOptions } from '../../core/store/s3-store.ts';
import { s3Server } from '../../infra/parts.mjs';
import { REPOSITORY } from './project.ts';

export interface S3Server {
  port: number;
  /** The environment with which anything of Refit, and the SDK, finds it. */
  env: { AWS_ENDPOINT_URL: string; AWS_ACCESS_KEY_ID: string; AWS_SECRET_ACCESS_KEY: string; AWS_REGION: string };
  client: S3Client;
  /** The file in which the server keeps an object: for planting damage. */
  fileOf(bucket: string, key: string): string;
  createBucket(name: string): Promise<void>;
  stop(): Promise<void>;
}

const KEYS = { AWS_ACCESS_KEY_ID: 'refit-test', AWS_SECRET_ACCESS_KEY: 'refit-test-secret', AWS_REGION: 'us-east-1' };

/** Builds the server where it is not there yet, and starts it on a free port of the loopback. */
export async function startS3Server(): Promise<S3Server> {
  await buildS3Server();
  const folder = await mkdtemp(path.join(tmpdir(), 'refit-s3-'));
  const root = path.join(folder, 'objects');
  await mkdir(root);
  const port = await freePort();
  const log = path.join(folder, 'log');
  const out = openSync(log, 'a');
  const login = ['--access', KEYS.AWS_ACCESS_KEY_ID, '--secret', KEYS.AWS_SECRET_ACCESS_KEY];
  const args = ['--port', `127.0.0.1:${port}`, ...login, '--region', KEYS.AWS_REGION, '--quiet', 'posix', root];
  const server = spawn(s3Server(), args, { stdio: ['ignore', out, out] });
  const stopWithUs = () => server.kill('SIGKILL');
  process.once('exit', stopWithUs);
  const env = { AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`, ...KEYS };
  const client = await createS3Client({ ...env });
  await untilListening(port, server, log);
  return {
    port,
    env,
    client,
    fileOf: (bucket, key) => path.join(root, bucket, key),
    createBucket: async (name) => void (await client.send(new CreateBucketCommand({ Bucket: name }))),
    stop: async () => {
      client.destroy();
      process.removeListener('exit', stopWithUs);
      const ended = new Promise((resolve) => server.once('exit', resolve));
      if (server.exitCode === null && server.kill('SIGTERM')) await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** @throws Error with the set-up's own sentence where it cannot be built */
export async function buildS3Server(): Promise<void> {
  const setup = [path.join(REPOSITORY, 'infra/setup.mjs'), '--only', 's3-server'];
  await promisify(execFile)(process.execPath, setup, { maxBuffer: 1e8 }).catch((error: { stdout: string }) => {
    throw new Error(error.stdout);
  });
}

/** For `racing-writer.ts`, in a process of its own: a store from `{ address, options, env }` as JSON. */
export function openS3Store(argument: string): ObjectStore {
  const { address, options, env } = JSON.parse(argument) as {
    address: string;
    options: S3StoreOptions;
    env: Record<string, string>;
  };
  Object.assign(process.env, env);
  return createS3Store(address, options);
}

async function freePort(): Promise<number> {
  const held = createServer();
  await new Promise<void>((resolve) => held.listen(0, '127.0.0.1', resolve));
  const { port } = held.address() as AddressInfo;
  await new Promise((resolve) => held.close(resolve));
  return port;
}

async function untilListening(port: number, server: ChildProcess, log: string): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const answers = await fetch(`http://127.0.0.1:${port}/`).then(
      () => true,
      () => false,
    );
    if (answers) return;
    if (server.exitCode !== null || Date.now() > deadline) {
      throw new Error(`The S3 server did not start: ${readFileSync(log, 'utf8')}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
