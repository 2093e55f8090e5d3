import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStack, type Stack } from '../../cli/stack.ts';
import { RefitClient, type RefitError } from '../../client/index.ts';
import { placesOf } from '../../core/compose/refit.ts';
import { RunResult } from '../../core/spec/run.ts';
import { type Project, REPOSITORY } from '../support/project.ts';
import { type Block, blocksOf, createServicesProject, execute, shell, succeed } from '../support/services.ts';
import { certificates, guard } from '../support/temporal-cloud.ts';

const TARBALL = 'refit-client-0.1.0.tgz';
const tool = (name: string) => path.join(REPOSITORY, 'node_modules/.bin', name);

let project: Project;
let stack: Stack;
/** A TypeScript project that knows nothing of Refit but the packed client. */
let service: string;
let blocks: Block[];

beforeAll(async () => {
  blocks = await blocksOf('docs/services.md');
  project = await createServicesProject();
  service = await mkdtemp(path.join(tmpdir(), 'refit-service-'));
  await writeFile(path.join(service, 'package.json'), '{ "name": "my-service", "private": true, "type": "module" }');
  const installed = async () => {
    const [pack, install] = blocks.filter(({ language }) => language === 'sh');
    await shell((pack?.text ?? '').replace('../my-service', service), { cwd: REPOSITORY });
    await shell(install?.text ?? '', { cwd: service });
    await succeed('npm', ['install', '-D', 'typescript@6.0.3', '@types/node@20.19.43'], { cwd: service });
  };
  [stack] = await Promise.all([openStack(placesOf(project.root)), installed()]);
});
afterAll(async () => {
  await stack?.close();
  await project?.remove();
  if (service) await rm(service, { recursive: true, force: true });
});

describe('the package', () => {
  test('is found clean by publint and attw', async () => {
    await succeed(tool('publint'), [TARBALL, '--strict'], { cwd: service });
    await succeed(tool('attw'), [TARBALL, '--profile', 'esm-only'], { cwd: service });
  });

  test('needs the Temporal client and nothing of the worker, no native module', async () => {
    const code = await readFile(path.join(service, 'node_modules/@refit/client/dist/index.js'), 'utf8');
    const imported = new Set([...code.matchAll(/from "([^"]+)"/g)].map(([, name]) => name ?? ''));
    expect([...imported].filter((name) => !name.startsWith('node:')).sort()).toEqual([
      '@temporalio/client',
      '@temporalio/common',
      '@temporalio/envconfig',
    ]);
    const modules = await readdir(path.join(service, 'node_modules'), { recursive: true });
    expect(modules.filter((name) => name.endsWith('.node'))).toEqual([]);
    const temporal = await readdir(path.join(service, 'node_modules/@temporalio'));
    expect(temporal.sort()).toEqual(['client', 'common', 'envconfig', 'proto']);
  });
});

describe('a service written in TypeScript', () => {
  test('compiles, and a wrong name, setting or field does not', async () => {
    const shown = [...blocks, ...(await blocksOf('client/README.md'))];
    for (const { place, text } of shown.filter(({ language }) => language === 'ts')) {
      await writeFile(path.join(service, path.basename(place)), text);
    }
    await writeFile(path.join(service, 'mistakes.ts'), MISTAKES);
    await writeFile(path.join(service, 'tsconfig.json'), JSON.stringify({ compilerOptions: STRICT }));
    await succeed(path.join(service, 'node_modules/.bin/tsc'), [], { cwd: service });
  });

  const program = (name: string) =>
    succeed(process.execPath, [`dist/${name}.js`], { cwd: service, env: { TEMPORAL_ADDRESS: stack.address } });

  test('runs the flights pipeline and watches it', async () => {
    const said = await program('start');
    expect(said).toMatch(/^train\/flight-delays\/2013-12-01\/set-[0-9a-f]{12}$/m);
    expect(said).toMatch(/^train /m);
    expect(said).toMatch(/^promoted version 1 AUC 0\.[67]\d+$/m);
  });

  test('joins by key, and is told when a key is used for something else', async () => {
    const said = await program('key');
    expect(said).toMatch(/^1 run$/m);
    expect(said).toMatch(/^REFIT_KEY_REUSED The key "order-17" was first used for another run/m);
  });

  test('approves what waits, and lists the runs', async () => {
    const said = await program('approve');
    expect(said).toMatch(/^version 2 waits until \d{4}-/m);
    expect(said).toMatch(/^promoted$/m);
    expect(said).toMatch(/^train\/flight-delays\/2013-12-01\/key-order-17 unchanged 1$/m);
  });
});

describe('from inside a process', () => {
  const NOV = { pipeline: 'flight-delays', asOf: '2013-12-01', set: { 'model.rounds': 60 } };
  let refit: RefitClient;
  beforeAll(async () => {
    refit = await RefitClient.connect({ address: stack.address });
  });
  afterAll(() => refit?.close());

  test('1,000 starts with one key from 20 clients at once: one run, one result, also after its end', async () => {
    const connect = () => RefitClient.connect({ address: stack.address });
    const clients = await Promise.all(Array.from({ length: 20 }, connect));
    const request = { ...NOV, key: 'a-thousand' };
    const starts = clients.flatMap((client) => Array.from({ length: 50 }, () => client.start(request)));
    const runs = await Promise.all(starts);
    expect(runs).toHaveLength(1000);
    expect(new Set(runs.map(({ runId }) => runId)).size).toBe(1);
    const results = new Set((await Promise.all(runs.map((run) => run.result()))).map((one) => JSON.stringify(one)));
    expect(results.size).toBe(1);
    await Promise.all(clients.map((client) => client.close()));

    const late = await refit.run({ ...request, reason: 'again, a day later' });
    expect(results).toContain(JSON.stringify(late));
    const check = new Ajv2020({ strict: false }).compile(RunResult);
    expect(check(late), JSON.stringify(check.errors)).toBe(true);
    expect(
      (await all(refit.list({ trigger: 'client' }))).filter(({ workflowId }) => /a-thousand/.test(workflowId)),
    ).toHaveLength(1);
  });

  test('the same key for another date is refused, though its workflow id differs', async () => {
    const asked = refit.run({ pipeline: 'flight-delays', asOf: '2013-12-02', key: 'a-thousand' });
    await expect(asked).rejects.toMatchObject({ code: 'REFIT_KEY_REUSED' });
  });

  test('a run without a key runs again once it has ended, and finds everything cached', async () => {
    const [one, two] = [await refit.run(NOV), await refit.run(NOV)];
    expect(two.runId).not.toBe(one.runId);
    expect(two.model).toEqual(one.model);
    expect(two.verdict).toBe('unchanged');
  });

  test('wrong names, settings and decisions are told with code, sentence and cure', async () => {
    const caught = (work: Promise<unknown>) =>
      work.then(
        () => undefined,
        (error: RefitError) => error,
      );
    const name = await caught(refit.run({ pipeline: 'flight-delay' }));
    expect(name).toMatchObject({ code: 'REFIT_PIPELINE_UNKNOWN', details: { known: ['flight-delays'] } });
    expect(name?.message).toContain('did you mean "flight-delays"');
    expect(name?.cure).toContain('REFIT_PIPELINES');
    expect(await caught(refit.run({ pipeline: 'flight-delays', set: { 'modle.rounds': 1 } }))).toMatchObject({
      code: 'REFIT_SET_INVALID',
    });
    const ended = await refit.start(NOV);
    await ended.result();
    expect(await caught(ended.approve({ by: 'Ada', reason: 'late' }))).toMatchObject({ code: 'REFIT_NOT_WAITING' });
    expect(await caught(refit.handle('train/nothing/latest'))).toMatchObject({ code: 'REFIT_RUN_UNKNOWN' });
    expect(await caught(RefitClient.connect({ address: '127.0.0.1:1', timeoutMs: 500 }))).toMatchObject({
      code: 'REFIT_TEMPORAL_UNREACHABLE',
    });
  });

  test('a run is cancelled; leaving its progress leaves it alone', async () => {
    const run = await refit.start({ ...NOV, set: { 'model.rounds': 20_000, 'model.earlyStopping': 0 } });
    for await (const { training } of run.progress({ everyMs: 100 })) if (training && training.round > 0) break;
    const [same] = await all(refit.list({ status: 'running', pipeline: 'flight-delays' }));
    expect(same?.runId).toBe(run.runId);
    const patience = new AbortController();
    const waiting = run.result({ signal: patience.signal });
    patience.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await (await refit.handle(run.workflowId)).cancel();
    await expect(run.result()).rejects.toMatchObject({ code: 'REFIT_CANCELLED' });
    const last = (await all(run.progress())).at(-1);
    expect(last?.stage).toBe('train');
    await run.cancel();
  });

  test('a filter takes its values literally', async () => {
    expect(await all(refit.list({ pipeline: "x' OR RefitPipeline = 'flight-delays" }))).toEqual([]);
    const promoted = await all(refit.list({ pipeline: 'flight-delays', verdict: 'promoted', version: 1 }));
    expect(promoted.map(({ trigger, status, stage }) => ({ trigger, status, stage }))).toEqual([
      { trigger: 'client', status: 'completed', stage: 'done' },
    ]);
    expect(await all(refit.list({ limit: 2 }))).toHaveLength(2);
  });
});

describe('as the environment says', () => {
  let folder: string;
  let keys: Awaited<ReturnType<typeof certificates>>;
  beforeAll(async () => {
    folder = path.join(service, 'keys');
    await mkdir(folder);
    keys = await certificates(folder);
  });

  /** The list of runs as a process with this environment sees it. */
  const listed = (env: NodeJS.ProcessEnv) => {
    const code = `import { RefitClient } from '@refit/client';
      const refit = await RefitClient.connect({ timeoutMs: 3000 });
      for await (const run of refit.list({ limit: 1 })) console.log(run.pipeline);
      await refit.close();`;
    return execute(process.execPath, ['--input-type=module', '-e', code], { cwd: service, env });
  };

  test('with mTLS', async () => {
    const front = await guard(stack.address, { server: keys.server, clients: keys.ca });
    const trusting = { TEMPORAL_ADDRESS: front.address, TEMPORAL_TLS_SERVER_CA_CERT_PATH: keys.ca };
    const { cert, key } = keys.client;
    const known = { ...trusting, TEMPORAL_TLS_CLIENT_CERT_PATH: cert, TEMPORAL_TLS_CLIENT_KEY_PATH: key };
    expect(await listed(known)).toMatchObject({ code: 0, stdout: 'flight-delays\n' });
    const stranger = await listed(trusting);
    expect(stranger.code).not.toBe(0);
    expect(stranger.stderr).toContain('REFIT_TEMPORAL_UNREACHABLE');
    await front.close();
  });

  test('with an API key, as Temporal Cloud takes it', async () => {
    const front = await guard(stack.address, { server: keys.server, apiKey: 'right' });
    // Temporal Cloud has a certificate of the authorities that are known everywhere: here ours is one of them.
    const env = { TEMPORAL_ADDRESS: front.address, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: keys.ca };
    expect(await listed({ ...env, TEMPORAL_API_KEY: 'right' })).toMatchObject({ code: 0, stdout: 'flight-delays\n' });
    expect((await listed({ ...env, TEMPORAL_API_KEY: 'wrong' })).stderr).toContain('REFIT_TEMPORAL_UNREACHABLE');
    await front.close();
  });
});

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

/** Temporal's own declarations do not compile with exactOptionalPropertyTypes: they are not looked at. */
const STRICT = {
  ...{ target: 'es2023', module: 'nodenext', types: ['node'], outDir: 'dist', strict: true },
  ...{ exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: true },
};

/** Each expected error that does not come is one itself. */
const MISTAKES = `import { type Pipeline, RefitClient } from '@refit/client';
interface Pipelines { 'flight-delays': Pipeline; churn: { set: { 'model.rounds'?: number } } }
export async function mistakes(refit: RefitClient<Pipelines>) {
  // @ts-expect-error a pipeline that is not declared
  await refit.start({ pipeline: 'flight-delay' });
  // @ts-expect-error a setting that no pipeline has
  await refit.start({ pipeline: 'flight-delays', set: { 'modle.rounds': 1 } });
  // @ts-expect-error a value of the wrong type
  await refit.start({ pipeline: 'flight-delays', set: { 'model.rounds': 'many' } });
  // @ts-expect-error a setting that this pipeline does not let callers change
  await refit.start({ pipeline: 'churn', set: { 'split.test': '1mo' } });
  // @ts-expect-error an argument that runs do not have
  await refit.start({ pipeline: 'churn', asof: '2014-01-01' });
  const result = await refit.run({ pipeline: 'churn', set: { 'model.rounds': 10 } });
  // @ts-expect-error a result has metrics of validate, test and baseline
  result.metrics.training;
  const name: 'churn' = result.pipeline;
  return name;
}
`;
