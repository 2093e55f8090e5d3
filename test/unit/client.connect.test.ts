import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { settingsOf } from '../../client/connect.ts';
import { blocksOf } from '../support/services.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'refit-connect-'));
  for (const name of Object.keys(process.env)) if (name.startsWith('TEMPORAL_')) vi.stubEnv(name, undefined);
  vi.stubEnv('TEMPORAL_CONFIG_FILE', path.join(folder, 'temporal.toml'));
  await writeFile(path.join(folder, 'temporal.toml'), '[profile.default]\n');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

/** The profiles of docs/services.md, their files in this folder. */
async function useDocumentedProfiles(): Promise<void> {
  const toml = (await blocksOf('docs/services.md')).find(({ language }) => language === 'toml');
  const text = (toml?.text ?? '').replaceAll('/etc/refit', folder);
  await writeFile(path.join(folder, 'temporal.toml'), text);
  for (const name of ['client.pem', 'client.key', 'ca.pem']) await writeFile(path.join(folder, name), name);
}

test('with nothing said it is the default namespace of the server on this machine', () => {
  expect(settingsOf({})).toEqual({ namespace: 'default' });
});

test('the documented profile of Temporal Cloud: API key and TLS', async () => {
  await useDocumentedProfiles();
  expect(settingsOf({ profile: 'cloud' })).toEqual({
    address: 'eu-central-1.aws.api.temporal.io:7233',
    namespace: 'models.a1b2c',
    apiKey: 'the key',
    tls: true,
  });
});

test('the documented profile of an own server: certificates of both sides', async () => {
  await useDocumentedProfiles();
  const bytes = (text: string) => new Uint8Array(Buffer.from(text));
  expect(settingsOf({ profile: 'own' })).toMatchObject({
    address: 'temporal.example.com:7233',
    namespace: 'models',
    tls: {
      clientCertPair: { crt: bytes('client.pem'), key: bytes('client.key') },
      serverRootCACertificate: bytes('ca.pem'),
    },
  });
});

test('variables go before the profile, options before both', async () => {
  await useDocumentedProfiles();
  vi.stubEnv('TEMPORAL_PROFILE', 'cloud');
  vi.stubEnv('TEMPORAL_NAMESPACE', 'of-the-variable');
  expect(settingsOf({})).toMatchObject({ namespace: 'of-the-variable', apiKey: 'the key' });
  expect(settingsOf({ namespace: 'of-the-option', address: 'here:1', apiKey: 'another', tls: false })).toEqual({
    address: 'here:1',
    namespace: 'of-the-option',
    apiKey: 'another',
    tls: false,
  });
});

test('a profile that is not there is named', async () => {
  await useDocumentedProfiles();
  expect(() => settingsOf({ profile: 'prod' })).toThrow(/Temporal configuration cannot be used: .*prod/);
});
