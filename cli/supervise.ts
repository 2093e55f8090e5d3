import { setTimeout as pause } from 'node:timers/promises';

/** A program that runs and is ready. */
export interface Running {
  pid: number | undefined;
  /** Settles when it has ended, with how: `was ended by SIGKILL`. */
  ended: Promise<string>;
  /** Asks it to end, insists after a while; returns when it is gone. */
  stop(): Promise<void>;
}

export interface Program {
  /** For people, e.g. `worker`. */
  name: string;
  /** Starts it and waits until it is ready. @throws RefitError when it does not get there; nothing of it is left then */
  start(signal: AbortSignal): Promise<Running>;
}

export type News =
  | { name: string; what: 'died'; how: string; waitMs: number }
  | { name: string; what: 'back'; pid: number | undefined }
  | { name: string; what: 'failed'; reason: string; waitMs: number };

export interface Supervised {
  stop(): Promise<void>;
}

/** A program that lived this long was well: when it dies, it is started again at once. */
const WELL_MS = 60_000;
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 30_000;

/**
 * Starts a program and starts it again whenever it dies: at once, and then after longer and longer waits while it keeps
 * dying. `given` ends the
 * starting, too. @throws what the first start throws
 */
export async function supervise(
  { name, start }: Program,
  tell: (news: News) => void,
  given?: AbortSignal,
): Promise<Supervised> {
  const stopping = new AbortController();
  const signal = given ? AbortSignal.any([stopping.signal, given]) : stopping.signal;
  let running: Running | undefined = await start(signal);
  if (signal.aborted) {
    await running.stop();
    signal.throwIfAborted();
  }
  let failures = 0;
  let since = Date.now();

  const waitMs = () => {
    failures = Date.now() - since > WELL_MS ? 0 : failures;
    const wait = failures === 0 ? 0 : Math.min(FIRST_WAIT_MS * 2 ** (failures - 1), LONGEST_WAIT_MS);
    failures += 1;
    return wait;
  };
  const restart = async (): Promise<Running | undefined> => {
    try {
      since = Date.now();
      const again = await start(signal);
      tell({ name, what: 'back', pid: again.pid });
      return again;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const wait = waitMs();
      if (signal.aborted) return undefined;
      tell({ name, what: 'failed', reason, waitMs: wait });
      await pause(wait, undefined, { signal }).catch(() => undefined);
      return undefined;
    }
  };
  const keep = async () => {
    while (!signal.aborted) {
      const how = await running?.ended;
      if (signal.aborted) return;
      const wait = waitMs();
      tell({ name, what: 'died', how: how ?? 'is gone', waitMs: wait });
      await pause(wait, undefined, { signal }).catch(() => undefined);
      do {
        running = undefined;
        if (!signal.aborted) running = await restart();
      } while (running === undefined && !signal.aborted);
    }
  };
  const kept = keep();
  return {
    stop: async () => {
      stopping.abort();
      await running?.stop();
      await kept;
      // It may have come back just then.
      await running?.stop();
    },
  };
}
