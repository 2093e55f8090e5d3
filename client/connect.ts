import { Client, Connection, type ConnectionOptions } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { RefitError } from '../core/spec/errors.ts';

/**
 * Where the Temporal server is. By default what `@temporalio/envconfig` finds: the variables TEMPORAL_* (address, namespace,
 * mTLS certificates, API key of Temporal Cloud) over the profile in `temporal.toml`; with neither, localhost:7233.
 */
export interface ConnectOptions {
  /** Profile of temporal.toml; TEMPORAL_PROFILE or `default` when absent. */
  profile?: string | undefined;
  /** `host:port`; goes before what the environment says, as all that follow. */
  address?: string | undefined;
  namespace?: string | undefined;
  /** API key of Temporal Cloud; TLS goes with it. */
  apiKey?: string | undefined;
  tls?: ConnectionOptions['tls'] | undefined;
  /** How long to try, 10 s when absent. */
  timeoutMs?: number | undefined;
}

/** Opens a connection of its own. @throws RefitError REFIT_USAGE (profile), REFIT_TEMPORAL_UNREACHABLE */
export async function connectTemporal(
  options: ConnectOptions = {},
): Promise<{ client: Client; connection: Connection }> {
  const { namespace, ...connect } = settingsOf(options);
  const address = connect.address ?? 'localhost:7233';
  try {
    const connection = await Connection.connect({ ...connect, connectTimeout: options.timeoutMs ?? 10_000 });
    return { client: new Client({ connection, namespace }), connection };
  } catch (error) {
    throw new RefitError(
      'REFIT_TEMPORAL_UNREACHABLE',
      `No Temporal server answers at ${address}.`,
      { address },
      { cause: error },
    );
  }
}

/** @internal What the options and the environment come to. */
export function settingsOf(options: ConnectOptions): ConnectionOptions & { namespace: string } {
  const { connectionOptions, namespace } = fromEnvironment(options.profile);
  const apiKey = options.apiKey ?? connectionOptions.apiKey;
  const tls = options.tls ?? connectionOptions.tls ?? (apiKey === undefined ? undefined : true);
  const address = options.address ?? connectionOptions.address;
  return {
    ...(address === undefined ? {} : { address }),
    ...(tls === undefined ? {} : { tls }),
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(connectionOptions.metadata === undefined ? {} : { metadata: connectionOptions.metadata }),
    namespace: options.namespace ?? namespace ?? 'default',
  };
}

function fromEnvironment(profile: string | undefined) {
  try {
    return loadClientConnectConfig(profile === undefined ? {} : { profile });
  } catch (error) {
    throw new RefitError(
      'REFIT_USAGE',
      `The Temporal configuration cannot be used: ${(error as Error).message}.`,
      {},
      { cause: error },
    );
  }
}
