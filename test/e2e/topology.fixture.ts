/**
 * The deployment of docker-compose.yml as processes: PostgreSQL, Temporal's own server, an S3 server, Redis, and Refit's roles
 * by their entry point.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { temporalBinary } from '../../infra/parts.mjs';
import { REPOSITORY } from '../support/project.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { buildS3Server } from '../support/s3-server.ts';

const run = promisify(execFile);
const PASSWORD = 'topology';

/** A process that is ended with the test, and with the test's process however that ends. */
export interface Running {
  name: string;
  log: string;
  child: ChildProcess;
  ended: Promise<number | null>;
  /** Asks it to end as a container is asked. @returns its exit status; null when it was killed after 20 s */
  stop(): Promise<number | null>;
}

export interface Topology {
  address: string;
  /** `127.0.0.1:<port>` of PostgreSQL. */
  database: string;
  folder: string;
  /** The environment that leads to the S3 server and to Redis: all that roles have in common but Temporal. */
  stores: Record<string, string>;
  remove(): Promise<void>;
}

/**
 * Ports of the loopback that are free now, from 20,000 to 32,767: Temporal keeps its members' ports in PostgreSQL as signed
 * numbers of 16 bits. All are held until all are known, so that none is given twice.
 */
export async function freePorts(count: number): Promise<number[]> {
  const held: Server[] = [];
  while (held.length < count) {
    const server = createServer();
    const port = 20_000 + Math.floor(Math.random() * 12_768);
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (free) held.push(server);
  }
  const ports = held.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** The folder of PostgreSQL's server programs; installed with apt-get where that is possible. */
async function postgresPrograms(): Promise<string> {
  const found = () => {
    const versions = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql').sort() : [];
    const folders = [...versions.map((version) => `/usr/lib/postgresql/${version}/bin`).reverse()];
    return [...folders, ...(process.env.PATH ?? '').split(path.delimiter)].find((folder) =>
      existsSync(path.join(folder, 'initdb')),
    );
  };
  if (!found() && process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) await installPostgres();
  const folder = found();
  if (folder) return folder;
  throw new Error(
    'PostgreSQL is not on this machine, and the topology test needs a server of its own. Install it (Debian, Ubuntu: apt-get install postgresql).',
  );
}

async function installPostgres(): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  // Debian would make and start a cluster of its own, at the port that people expect theirs at.
  await mkdir('/etc/postgresql-common', { recursive: true });
  const settings = '/etc/postgresql-common/createcluster.conf';
  if (!existsSync(settings)) await writeFile(settings, 'create_main_cluster = false\n');
  await run('apt-get', ['update'], { env });
  const keep = ['-o', 'Dpkg::Options::=--force-confold', '-o', 'Dpkg::Options::=--force-confdef'];
  await run('apt-get', ['install', '-y', '--no-install-recommends', ...keep, 'postgresql'], { env });
}

/** PostgreSQL refuses to run as root. */
async function postgresUser(): Promise<{ uid?: number; gid?: number }> {
  if (process.getuid?.() !== 0) return {};
  const id = async (flag: string) => Number((await run('id', [flag, 'postgres'])).stdout);
  return { uid: await id('-u'), gid: await id('-g') };
}

/** Starts PostgreSQL and Temporal's server, made ready by the very scripts that the containers run. */
export async function startTopology(): Promise<Topology> {
  const folder = await mkdtemp(path.join(tmpdir(), 'refit-topology-'));
  const running: Running[] = [];
  let redis: RedisServer | undefined;
  const remove = async () => {
    for (const process of running.reverse()) await process.stop();
    await redis?.remove();
    for (const name of [folder, `${folder}-pg`]) await rm(name, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    await run(process.execPath, [path.join(REPOSITORY, 'infra/setup.mjs'), '--only', 'temporal-server'], {
      maxBuffer: 1e8,
    });
    await buildS3Server();
    const [port = 0, s3Port = 0, ...ports] = await freePorts(11);
    const database = await startPostgres(`${folder}-pg`, port);
    running.push(database);
    const tools = await programsFolder(folder);
    const sql = { SQL_PLUGIN: 'postgres12', SQL_HOST: '127.0.0.1', SQL_PORT: String(port), SQL_USER: 'temporal' };
    await script('temporal-schema.sh', tools, { ...sql, SQL_PASSWORD: PASSWORD });
    const server = startTemporal(folder, port, ports);
    running.push(server);
    running.push(startS3(folder, tools, s3Port));
    redis = await startRedis();
    const stores = { ...S3_KEYS, AWS_ENDPOINT_URL: `http://127.0.0.1:${s3Port}`, REFIT_ONLINE: redis.url };
    await until('the S3 server answers', () =>
      fetch(stores.AWS_ENDPOINT_URL).then(
        () => true,
        () => false,
      ),
    );
    const address = `127.0.0.1:${ports[0]}`;
    await script('temporal-namespace.sh', tools, { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: 'default' }, server);
    return {
      address,
      database: `127.0.0.1:${port}`,
      folder,
      stores: { ...stores, REFIT_STORE: `s3://${BUCKET}/store` },
      remove,
    };
  } catch (error) {
    const logs = running.map(({ name, log }) => `${name}:\n${readFileSync(log, 'utf8').slice(-2000)}`);
    await remove();
    throw new Error(`The topology did not start: ${String(error)}\n${logs.join('\n')}`, { cause: error });
  }
}

const BUCKET = 'refit';
const S3_KEYS = { AWS_ACCESS_KEY_ID: 'topology', AWS_SECRET_ACCESS_KEY: 'topology-secret', AWS_REGION: 'us-east-1' };

/** The S3 server by the script that its container runs. */
function startS3(folder: string, PATH: string, port: number): Running {
  const env = {
    ...{ OBJECTS_ROOT: path.join(folder, 'objects'), OBJECTS_BUCKET: BUCKET, VGW_PORT: `127.0.0.1:${port}`, PATH },
    ROOT_ACCESS_KEY_ID: S3_KEYS.AWS_ACCESS_KEY_ID,
    ROOT_SECRET_ACCESS_KEY: S3_KEYS.AWS_SECRET_ACCESS_KEY,
    VGW_REGION: S3_KEYS.AWS_REGION,
  };
  const script = path.join(REPOSITORY, 'infra/docker/s3-server.sh');
  return start('objects', ['sh', script], { log: path.join(folder, 'objects.log'), env });
}

/** PostgreSQL of its own in a new folder, with the user `temporal` and the password `topology`. */
export async function startPostgres(folder: string, port: number): Promise<Running> {
  const programs = await postgresPrograms();
  const user = await postgresUser();
  await mkdir(folder, { mode: 0o700 });
  const secret = path.join(folder, 'password');
  writeFileSync(secret, PASSWORD);
  if (user.uid !== undefined) for (const name of [folder, secret]) chownSync(name, user.uid, user.gid ?? user.uid);
  const data = path.join(folder, 'data');
  const options = ['--username=temporal', '--auth=scram-sha-256', `--pwfile=${secret}`, '--encoding=UTF8', '--no-sync'];
  await run(path.join(programs, 'initdb'), ['--pgdata', data, '--locale=C', ...options], user);
  // Thrown away after the test: nothing is synced to the disk.
  const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off'].flatMap((it) => ['-c', it]);
  const command = [path.join(programs, 'postgres'), '-D', data, '-p', String(port), ...settings];
  const server = start('postgres', command, { log: path.join(folder, 'log'), ...user });
  const ready = ['--host', '127.0.0.1', '--port', String(port), '--timeout', '1'];
  await until('PostgreSQL answers', () =>
    run(path.join(programs, 'pg_isready'), ready).then(
      () => true,
      () => false,
    ),
  );
  return server;
}

/** The configuration of Temporal's image, told where everything is as docker-compose.yml does. */
function startTemporal(folder: string, databasePort: number, ports: number[]): Running {
  const names = ['FRONTEND_GRPC', 'FRONTEND_HTTP', 'FRONTEND_MEMBERSHIP', 'MATCHING_GRPC', 'MATCHING_MEMBERSHIP'];
  names.push('HISTORY_GRPC', 'HISTORY_MEMBERSHIP', 'WORKER_GRPC', 'WORKER_MEMBERSHIP');
  const dynamic = path.join(REPOSITORY, 'infra/docker/temporal-dynamic.yaml');
  const env = {
    ...{ DB: 'postgres12', POSTGRES_SEEDS: '127.0.0.1', POSTGRES_USER: 'temporal', POSTGRES_PWD: PASSWORD },
    ...{ DB_PORT: String(databasePort), POSTGRES_PORT: String(databasePort), NUM_HISTORY_SHARDS: '4' },
    ...{ LOG_LEVEL: 'warn', BIND_ON_IP: '127.0.0.1', DYNAMIC_CONFIG_FILE_PATH: dynamic },
    ...Object.fromEntries(names.map((name, index) => [`${name}_PORT`, String(ports[index])])),
  };
  const bin = path.join(REPOSITORY, '.refit/bin');
  const where = ['--root', bin, '--config', 'temporal-server-config', '--env', 'docker', '--allow-no-auth'];
  return start('temporal', [path.join(bin, 'temporal-server'), ...where, 'start'], {
    log: path.join(folder, 'temporal.log'),
    env,
  });
}

/** A folder with the programs that the scripts expect on PATH. */
async function programsFolder(_folder: string): Promise<string> {
  const temporal = await temporalBinary();
  if (!temporal) throw new Error('There is no temporal command here; run `node infra/setup.mjs`.');
  return [path.dirname(temporal), path.join(REPOSITORY, '.refit/bin'), process.env.PATH].join(path.delimiter);
}

/** Runs one of the containers' scripts; `server` is the process that it waits for. */
async function script(name: string, PATH: string, env: Record<string, string>, server?: Running): Promise<void> {
  const options = { env: { ...env, PATH, HOME: tmpdir() }, maxBuffer: 1e8 };
  const file = path.join(REPOSITORY, 'infra/docker', name);
  const done = run('sh', [file], options).catch((error: { stderr: string }) => {
    throw new Error(`${name}: ${error.stderr.trim().split('\n').at(-1)}`);
  });
  const died = server?.ended.then((status) => Promise.reject(new Error(`${server.name} ended (${status})`)));
  await (died ? Promise.race([done, died]) : done);
}

/** Starts a role by the images' entry point, with the environment that the image and docker-compose.yml give it. */
export function startRole(topology: Topology, role: string, env: Record<string, string>): Running {
  return start(role, ['sh', 'infra/docker/start.sh', role], {
    log: path.join(topology.folder, `${role}.log`),
    env: roleEnvironment(topology, role, env),
  });
}

/** A container's `docker healthcheck`: undefined when healthy, else what it says. */
export async function healthProblem(
  topology: Topology,
  role: string,
  env: Record<string, string>,
): Promise<string | undefined> {
  return run(process.execPath, ['infra/docker/healthcheck.mjs'], {
    cwd: REPOSITORY,
    env: roleEnvironment(topology, role, env),
  }).then(
    () => undefined,
    (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
  );
}

function roleEnvironment({ folder }: Topology, role: string, env: Record<string, string>): NodeJS.ProcessEnv {
  // Each container has a /tmp of its own.
  const TMPDIR = path.join(folder, `tmp-${role}`);
  mkdirSync(TMPDIR, { recursive: true });
  return { PATH: process.env.PATH, HOME: process.env.HOME, NODE_ENV: 'production', TMPDIR, ...env };
}

/** The shell ends the program when its standard input does: on stop, and when this process is gone. */
const GUARD =
  'exec 3<&0; "$0" "$@" </dev/null 3<&- & program=$!; (read -r _ <&3; kill "$program") 2>/dev/null & wait "$program"';

function start(
  name: string,
  [program = '', ...args]: string[],
  { log, env, uid, gid }: { log: string; env?: NodeJS.ProcessEnv; uid?: number; gid?: number },
): Running {
  const out = openSync(log, 'a');
  const child = spawn('sh', ['-c', GUARD, program, ...args], {
    cwd: uid === undefined ? REPOSITORY : '/',
    env: env ?? process.env,
    stdio: ['pipe', out, out],
    detached: true,
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const stop = async () => {
    child.stdin?.end();
    const insist = setTimeout(() => child.pid && process.kill(-child.pid, 'SIGKILL'), 20_000);
    const status = await ended;
    clearTimeout(insist);
    return status;
  };
  return { name, log, child, ended, stop };
}

/** Polls until it is so. @throws Error after two minutes, saying what was waited for */
export async function until(what: string, probe: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 120_000;
  while (!(await probe())) {
    if (Date.now() > deadline) throw new Error(`Waited two minutes in vain: ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
