/**
 * A connection to Redis that mends itself: it connects when it is first used, comes back by itself when it was lost, and lets
 * nobody wait longer than a bounded time. It knows nothing of features.
 */
import { createHash } from 'node:crypto';
import type { RedisArgument } from '@redis/client';
import { RefitError } from '../spec/errors.ts';
import type { RedisAddress } from './redis-address.ts';

export interface RedisConnection {
  /**
   * Sends one command, and again where the connection was lost meanwhile: commands must be safe to repeat. Strings of the
   * answer are Buffers. @throws RefitError REFIT_ONLINE_UNREACHABLE, REFIT_ONLINE_REFUSED
   */
  send(command: RedisArgument[]): Promise<unknown>;
  /** Runs a Lua script, by its digest where the server knows it already. */
  script(source: string, keys: RedisArgument[], args: RedisArgument[]): Promise<unknown>;
  close(): Promise<void>;
}

/** How long a command waits for a connection or an answer, all attempts together. */
const PATIENCE_MS = 5_000;
const SLOWEST_RETRY_MS = 500;
/** Redis is there, but not ready yet: it reads its data, or a script is at work. */
const PASSING = /^(LOADING|BUSY |TRYAGAIN|MASTERDOWN|CLUSTERDOWN)/;

// Loaded when it is first used: it takes a tenth of a second, and most commands need no Redis.
type Library = typeof import('@redis/client');
type Client = ReturnType<typeof createdClient>;

function createdClient({ createClient, RESP_TYPES }: Library, url: string, patienceMs: number) {
  return createClient({
    url,
    // RESP 2 is what every server speaks, and all that is needed here.
    RESP: 2,
    disableOfflineQueue: true,
    commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
    socket: {
      connectTimeout: patienceMs,
      reconnectStrategy: (retries: number, cause: Error) =>
        isRefusal(cause) ? false : Math.min(20 * 2 ** retries, SLOWEST_RETRY_MS),
    },
  });
}

export function connectRedis({ url, shown }: RedisAddress, patienceMs = PATIENCE_MS): RedisConnection {
  const life = { patienceMs, closed: false };
  const clients = clientKeeper(url, life);
  const details = { store: shown };

  async function send(command: RedisArgument[]): Promise<unknown> {
    const deadline = performance.now() + patienceMs;
    let problem: unknown;
    while (!life.closed) {
      const { client, problem: before } = await clients.ready(deadline);
      problem = before ?? problem;
      if (!client) break;
      try {
        return await inTime(client.sendCommand(command), deadline);
      } catch (error) {
        problem = error;
        if (isRefusal(error)) break;
        // A connection that does not answer is given up: the other side may be gone without a word.
        if (error instanceof TooLate) clients.drop(client);
        if (performance.now() >= deadline) break;
        await pause(20);
      }
    }
    const why = life.closed ? 'it was closed' : messageOf(problem ?? 'no answer');
    if (isRefusal(problem)) {
      throw new RefitError('REFIT_ONLINE_REFUSED', `The online store ${shown} refuses: ${why}.`, details, {
        cause: problem,
      });
    }
    throw new RefitError('REFIT_ONLINE_UNREACHABLE', `The online store ${shown} cannot be reached: ${why}.`, details, {
      cause: problem,
    });
  }

  return {
    send,
    async script(source, keys, args) {
      const rest = [String(keys.length), ...keys, ...args];
      try {
        return await send(['EVALSHA', createHash('sha1').update(source).digest('hex'), ...rest]);
      } catch (error) {
        // A server that was started anew has forgotten its scripts.
        if (!(error instanceof RefitError && messageOf(error.cause).startsWith('NOSCRIPT'))) throw error;
        return send(['EVAL', source, ...rest]);
      }
    },
    async close() {
      life.closed = true;
      await clients.close();
    },
  };
}

/** One client at a time. It comes back by itself; only one that was refused or given up is followed by another. */
function clientKeeper(url: string, life: { patienceMs: number; closed: boolean }) {
  let client: Client | undefined;
  let problem: unknown;
  // Since when there is no connection: who comes late does not wait the whole time again.
  let downSince: number | undefined;

  function opened(library: Library): Client {
    if (client?.isOpen) return client;
    const made = createdClient(library, url, life.patienceMs);
    problem = undefined;
    downSince ??= performance.now();
    made.on('error', (error: unknown) => {
      problem = error;
      downSince ??= performance.now();
    });
    made.on('ready', () => {
      problem = undefined;
      downSince = undefined;
    });
    made.connect().catch((error: unknown) => {
      problem = error;
    });
    client = made;
    return made;
  }

  let library: Library | undefined;
  return {
    /** A client that takes commands; none when that took until `deadline`, or will not happen: then `problem` says why. */
    async ready(deadline: number): Promise<{ client?: Client; problem?: unknown }> {
      library ??= await import('@redis/client');
      while (!life.closed) {
        const one = opened(library);
        if (one.isReady) return { client: one };
        if (performance.now() >= Math.min(deadline, (downSince ?? deadline) + life.patienceMs)) break;
        await pause(5);
        if (!one.isOpen && isRefusal(problem)) break;
      }
      return { problem };
    },
    drop(one: Client): void {
      if (client === one) client = undefined;
      if (one.isOpen) one.destroy();
    },
    async close(): Promise<void> {
      const one = client;
      client = undefined;
      if (one?.isReady) await one.close();
      else if (one?.isOpen) one.destroy();
    },
  };
}

class TooLate extends Error {}

/** @throws TooLate at the deadline */
async function inTime<T>(work: Promise<T>, deadline: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TooLate('it does not answer')), deadline - performance.now());
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Redis says no, and will say so again: a wrong password, a database that is not there, no memory. */
function isRefusal(error: unknown): boolean {
  return isReply(error) && !PASSING.test(messageOf(error));
}

/** An error that Redis itself answered with: node-redis has a class for it, and subclasses. */
function isReply(error: unknown): boolean {
  for (let one = error; one instanceof Error; one = Object.getPrototypeOf(one)) {
    if (one.constructor.name === 'ErrorReply') return true;
  }
  return false;
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  return (error instanceof Error ? error.message : String(error)).replace(/\.$/, '');
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
