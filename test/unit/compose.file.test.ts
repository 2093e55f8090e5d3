import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Ajv, type ValidateFunction } from 'ajv';
import { beforeAll, expect, test } from 'vitest';
import { ROLES } from '../../infra/docker/checks.mjs';
import {
  type ComposeFile,
  composeFile,
  interpolate,
  ROOT,
  readEnvironment,
  textOf,
  variablesIn,
} from './compose.fixture.ts';

const run = promisify(execFile);
const example = readEnvironment(textOf('.env.example'));

let compose: ComposeFile;
let isCompose: ValidateFunction;
beforeAll(() => {
  compose = composeFile(example);
  const { $schema: _, ...schema } = JSON.parse(textOf('test/fixtures/compose/compose-spec.json')) as Record<
    string,
    unknown
  >;
  isCompose = new Ajv({ strict: false, validateFormats: false }).compile(schema);
});

const services = () => Object.entries(compose.services);
/** Services that end when they have done their work. */
const ONCE = ['temporal-schema', 'temporal-namespace'];

test('docker-compose.yml is a Compose file, by the specification and by docker compose where that is installed', async () => {
  isCompose(compose);
  expect(isCompose.errors ?? []).toEqual([]);

  const hasPlugin = await run('docker', ['compose', 'version']).then(
    () => true,
    () => false,
  );
  if (hasPlugin)
    await run('docker', ['compose', '--env-file', '.env.example', '--profile', 'gpu', 'config', '-q'], { cwd: ROOT });
});

test('the specification refuses what is none: the check above can fail', () => {
  const wrong = structuredClone(compose) as { services: Record<string, object> };
  wrong.services.cpu = { ...wrong.services.cpu, restrat: 'always' };
  expect(isCompose(wrong)).toBe(false);
});

test('a password is demanded, with the sentence that says where to set it', () => {
  const { POSTGRES_PASSWORD: _, ...without } = example;
  expect(() => composeFile(without)).toThrow('POSTGRES_PASSWORD: set it in .env, see .env.example');
});

test('interpolation takes values, defaults and dollar signs as Compose does', () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the notation of Compose
  const text = '${A} ${B:-b} ${A:-no} ${EMPTY:-filled} ${EMPTY-} $$HOME $$(hostname)';
  expect(interpolate(text, { A: 'a', EMPTY: '' })).toBe('a b a filled  $HOME $(hostname)');
});

test('.env.example and docs/deployment.md have every variable, and no others', () => {
  const used = [...new Set(variablesIn(textOf('docker-compose.yml')))].sort();
  expect(Object.keys(example).sort()).toEqual(used);
  const documented = textOf('docs/deployment.md');
  expect(used.filter((name) => !documented.includes(`\`${name}\``))).toEqual([]);
});

test('defaults in docker-compose.yml are those of .env.example', () => {
  const defaults = [...textOf('docker-compose.yml').matchAll(/\$\{([A-Z_]+):-([^}]*)\}/g)];
  for (const [, name = '', value] of defaults) expect(`${name}=${value}`).toBe(`${name}=${example[name]}`);
});

test('every image is pinned, and ours is built from a target that there is', () => {
  for (const [name, { image, build }] of services()) {
    if (image.startsWith('refit/')) {
      expect(image, name).toBe(`refit/${build?.target}:${example.REFIT_TAG}`);
      expect(build?.dockerfile, name).toBe('infra/docker/Dockerfile');
    } else expect(image, name).toMatch(/^[\w./-]+:v?\d+\.\d+(\.\d+)?(-[\w.-]+)?$/);
  }
});

test('what the topology test runs is what is deployed: one release of the S3 server', () => {
  const release = /versity\/versitygw (v\S+)/.exec(textOf('infra/s3-server/go.mod'))?.[1];
  expect(compose.services.objects?.image).toBe(`versity/versitygw:${release}`);
});

test('what the topology test runs is what is deployed: one release of Temporal', () => {
  const release = /go\.temporal\.io\/server v(\S+)/.exec(textOf('infra/temporal-server/go.mod'))?.[1];
  expect(compose.services.temporal?.image).toBe(`temporalio/server:${release}`);
  for (const name of ONCE) expect(compose.services[name]?.image).toContain(`/admin-tools:${release}-`);
});

test('nothing runs as root, gains rights, or takes more than its share', () => {
  for (const [name, service] of services()) {
    expect(service.user, name).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    expect(service.cap_drop, name).toEqual(['ALL']);
    expect(service.security_opt, name).toContain('no-new-privileges:true');
    const { cpus, memory } = service.deploy?.resources?.limits ?? {};
    expect(Number(cpus), name).toBeGreaterThan(0);
    expect(memory, name).toMatch(/^\d+[MG]$/);
  }
});

test('what serves starts again and tells its health; what runs once is tried again when it fails', () => {
  for (const [name, { restart, image, healthcheck }] of services()) {
    if (ONCE.includes(name)) expect(restart, name).toBe('on-failure:5');
    else expect(restart, name).toBe('unless-stopped');
    // Our images bring their own.
    if (!ONCE.includes(name) && !image.startsWith('refit/')) expect(healthcheck?.test, name).toBeDefined();
  }
});

test('each service waits for what it needs, and what it waits for can come true', () => {
  for (const [name, { depends_on = {} }] of services()) {
    for (const [other, { condition }] of Object.entries(depends_on)) {
      const needed = compose.services[other];
      expect(needed, `${name} waits for ${other}`).toBeDefined();
      if (condition === 'service_healthy') expect(needed?.healthcheck?.test, other).toBeDefined();
      if (condition === 'service_completed_successfully')
        expect(ONCE, `${name} waits for the end of ${other}`).toContain(other);
    }
  }
  expect(compose.services.temporal?.depends_on).toHaveProperty('temporal-schema');
  expect(compose.services['temporal-schema']?.depends_on).toHaveProperty('postgres');
  for (const worker of ['control', 'cpu', 'gpu']) {
    expect(compose.services[worker]?.depends_on).toHaveProperty('temporal-namespace');
  }
});

test('each role of the images is a service of its own; the GPU worker only by its profile', () => {
  const roles = services().flatMap(([name, { image, command }]) =>
    image.startsWith('refit/') && command?.length ? [[name, command]] : [],
  );
  expect(Object.fromEntries(roles)).toEqual({ control: ['control'], cpu: ['cpu'], gpu: ['gpu'], gateway: ['gateway'] });
  for (const [, [role = '']] of roles as [string, string[]][]) expect(Object.keys(ROLES)).toContain(role);
  expect(Object.fromEntries(services().map(([name, { profiles }]) => [name, profiles])).gpu).toEqual(['gpu']);
  expect(services().filter(([, { profiles }]) => profiles).length).toBe(1);
});

test('workers and gateway share the store and the online store by their servers, and no folder', () => {
  const sharers = ['control', 'cpu', 'gpu', 'gateway'].map((name) => compose.services[name]);
  for (const service of sharers) {
    expect(service?.environment).toMatchObject({
      REFIT_STORE: 's3://refit/store',
      AWS_ENDPOINT_URL: 'http://objects:7070',
      REFIT_ONLINE: 'redis://redis:6379/0',
    });
    expect(service?.depends_on).toMatchObject({ objects: {}, redis: {} });
    for (const volume of service?.volumes ?? []) {
      if (typeof volume === 'object') expect(volume.read_only).toBe(true);
      else expect(volume).toBe('gateway:/project/.refit/gateway');
    }
  }
  expect(Object.keys(compose.volumes).sort()).toEqual(['gateway', 'objects', 'postgres', 'redis']);
});

test('the bucket and the keys of the S3 server are those that workers and gateway use', () => {
  const { environment: server } = compose.services.objects ?? {};
  const { environment: worker } = compose.services.cpu ?? {};
  expect(worker?.REFIT_STORE).toContain(`s3://${server?.OBJECTS_BUCKET}/`);
  expect(server?.ROOT_ACCESS_KEY_ID).toBe(worker?.AWS_ACCESS_KEY_ID);
  expect(server?.ROOT_SECRET_ACCESS_KEY).toBe(worker?.AWS_SECRET_ACCESS_KEY);
  expect(server?.VGW_REGION).toBe(worker?.AWS_REGION);
});

test('ports are open to this host only, until somebody says otherwise', () => {
  const ports = services().flatMap(([, service]) => service.ports ?? []);
  expect(ports.length).toBe(3);
  for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  expect(compose.services.postgres?.ports).toBeUndefined();
});
